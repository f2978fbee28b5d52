"""Facts of a space file by h5py alone: names and sizes are known without loading PyTorch."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.hdf5 import one_line, open_checked
from .frame_columns import frame_bytes
from .text_columns import read_texts, text_bytes

FORMAT = "latentsdf-space"
VERSION = 6
"""The newest version read; a file is marked with the lowest one that reads all of it: 6 where weights are streams, else
5 where a shape is a stored mesh, else 4 where a shape has a residual or codes are streams, else 3 where one has a
correction, else 2 where anything is in 8 bits, else 1."""

CODE_STREAMS = 4
"""The version that reads codes stored as streams."""
WEIGHT_STREAMS = 6
"""The version that reads weights stored as streams."""
LARGEST_HISTORY = 1 << 28
"""Bytes of a history, inflated, above which it counts as damaged."""
RESIDUAL = 1
"""First byte of a residual in the column of corrections, `codec.residual.KIND`, which PyTorch is loaded with."""
MESH = 2
"""First byte of a stored mesh there, `codec.mesh_stream.KIND`."""


class Sizes(NamedTuple):
    """Bytes of the parts of a space as stored.

    Attributes:
        decoder: of the weights that all shapes share, and of the unit of quantised codes.
        code: of one code; the mean, rounded up, where their sizes differ.
        corrections: of all corrections, residuals among them.
        corrected: shapes with a correction.
        records: of all search records.
        frames: of all frames.
        texts: of all names and metadata.
    """

    decoder: int
    code: int
    corrections: int = 0
    corrected: int = 0
    records: int = 0
    frames: int = 0
    texts: int = 0


class SpaceInfo(NamedTuple):
    """Facts of a space file.

    Attributes:
        names: of the shapes, in the order of their codes.
        decoder: its kind.
        code_size: D.
        parameters: numbers in the decoder, buffers counted.
        sizes: bytes as stored.
        history: log of training, plain JSON values.
        unfinished: whether the file holds a training run that is not at its end.
        residuals: bytes of each residual; shapes without one are left out.
        meshes: bytes of each stored mesh, likewise.
    """

    names: tuple[str, ...]
    decoder: str
    code_size: int
    parameters: int
    sizes: Sizes
    history: Mapping[str, Any]
    unfinished: bool
    residuals: tuple[int, ...] = ()
    meshes: tuple[int, ...] = ()

    @property
    def prefix_sizes(self) -> tuple[int, ...]:
        """Shorter code lengths that the space was trained for; see `LatentSpace.prefix_sizes`."""
        return tuple(self.history.get("config", {}).get("nested", ()))


def space_info(path: str | Path) -> SpaceInfo:
    """Read the facts of a space file; weights and codes are not read.

    Raises:
        FileNotFoundError, ValueError: as `load`; damage to weights and codes is not noticed.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            shapes = file["shapes"]
            return SpaceInfo(
                names=tuple(read_texts(shapes, "name")),
                decoder=json.loads(file.attrs["decoder"])["kind"],
                code_size=_code_size(shapes),
                parameters=_parameters(file["decoder"]),
                sizes=_sizes(file),
                history=read_history(file),
                unfinished="resume" in file,
                residuals=_lengths_of_kind(shapes, RESIDUAL),
                meshes=_lengths_of_kind(shapes, MESH),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error


def write_history(file: Any, history: Mapping[str, Any], compact: bool) -> None:
    """Write the log of training: as text, or compressed."""
    text = json.dumps(dict(history))
    if compact:
        file.create_dataset("history", data=np.frombuffer(zlib.compress(text.encode(), 9), np.uint8))
    else:
        file.attrs["history"] = text


def read_history(file: Any) -> dict[str, Any]:
    """Read the log of training; ValueError where it is damaged."""
    if "history" not in file:
        return json.loads(file.attrs["history"])
    inflate = zlib.decompressobj()
    try:
        return json.loads(inflate.decompress(file["history"][:].tobytes(), LARGEST_HISTORY).decode())
    except zlib.error as error:
        raise ValueError(f"the history is damaged: {error}") from error


def check_finished(path: str | Path, info: SpaceInfo) -> None:
    """Refuse a space file that takes no shapes since its training is not at its end, with a ValueError."""
    if info.unfinished:
        text = "is an unfinished training run, and its decoder may still change under new codes"
        raise ValueError(f"{path} {text}; finish it with `latentsdf train ... --resume` first")


def _lengths_of_kind(shapes: Any, kind: int) -> tuple[int, ...]:
    packed = shapes["correction"][:] if "correction" in shapes else []
    return tuple(len(item) for item in packed if len(item) and item[0] == kind)


def _parameters(group: Any) -> int:
    """Numbers of the decoder; of a tensor stored as a stream its steps, which lie beside it, do not count."""
    streams = {name: item.attrs["shape"] for name, item in group.items() if "shape" in item.attrs}
    beside = {f"{name}.{part}" for name in streams for part in ("rows", "columns")}
    plain = sum(item.size for name, item in group.items() if name not in streams and name not in beside)
    return plain + sum(int(np.prod(shape)) for shape in streams.values())


def _sizes(file: Any) -> Sizes:
    decoder = sum(
        item.id.get_storage_size() + sum(value.nbytes for value in item.attrs.values())
        for item in file["decoder"].values()
    )
    shapes = file["shapes"]
    keys = ("code_unit", "code_steps", "code_deviation", "code_limit")
    shared = sum(shapes[key].nbytes for key in keys if key in shapes)
    lengths = [len(item) for item in shapes["correction"][:]] if "correction" in shapes else []
    return Sizes(
        decoder=decoder + shared,
        code=_code_bytes(shapes),
        corrections=sum(lengths),
        corrected=sum(length > 0 for length in lengths),
        records=shapes["record"].id.get_storage_size() if "record" in shapes else 0,
        frames=frame_bytes(shapes),
        texts=text_bytes(shapes),
    )


def _code_size(shapes: Any) -> int:
    return shapes["code_steps"].shape[0] if "code_steps" in shapes else shapes["code"].shape[1]


def _code_bytes(shapes: Any) -> int:
    if "code_steps" in shapes:
        count, length = len(shapes["code_length"]), shapes["code_length"].dtype.itemsize
        return -(-shapes["code_streams"].nbytes // max(1, count)) + length
    code = shapes["code"]
    step = shapes["code_step"].dtype.itemsize if "code_step" in shapes else 0
    return code.shape[1] * code.dtype.itemsize + step
