"""Facts of a space file by h5py alone: names and sizes are known without loading PyTorch."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.arrays import Indices
from ..core.hdf5 import one_line, open_checked
from .earlier_facts import earlier_corrections, earlier_sizes
from .stored_rows import SHARED, StoredRows, correction_rows
from .text_columns import read_texts

FORMAT = "latentsdf-space"
VERSION = 7
"""The version that is written, and the newest one read."""
SEGMENTS = 7
"""The version from which on rows are whole columns and segments added to them."""
LARGEST_HISTORY = 1 << 28
"""Bytes of a history, inflated, above which it counts as damaged."""
RESIDUAL = 1
"""First byte of a residual in the column of corrections, `codec.residual.KIND`, which PyTorch is loaded with."""
MESH = 2
"""First byte of a stored mesh there, `codec.mesh_stream.KIND`."""
ADJUSTMENT = 3
"""First byte of an adjustment there, `codec.adjustment.KIND`."""


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
        version: of the format.
        segments: writes that added rows since the file was written as a whole.
        residuals: bytes of each residual; shapes without one are left out.
        meshes: bytes of each stored mesh, likewise.
        adjustments: bytes of each adjustment, likewise; they belong to the codes, and are no corrections.
    """

    names: tuple[str, ...]
    decoder: str
    code_size: int
    parameters: int
    sizes: Sizes
    history: Mapping[str, Any]
    unfinished: bool
    version: int
    segments: int
    residuals: tuple[int, ...] = ()
    meshes: tuple[int, ...] = ()
    adjustments: tuple[int, ...] = ()

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
            version = int(file.attrs["version"])
            rows = StoredRows.of_file(file, VERSION) if version >= SEGMENTS else None
            lengths, kinds = _corrections(rows) if rows else earlier_corrections(file["shapes"])
            return SpaceInfo(
                names=tuple(rows.names() if rows else read_texts(file["shapes"], "name")),
                decoder=json.loads(file.attrs["decoder"])["kind"],
                code_size=_code_size(rows.base if rows else file["shapes"]),
                parameters=_parameters(file["decoder"]),
                sizes=Sizes(
                    decoder=_decoder_bytes(file),
                    corrections=int(lengths[kinds != ADJUSTMENT].sum()),
                    corrected=int((kinds != ADJUSTMENT).sum()),
                    **(_row_sizes(rows) if rows else earlier_sizes(file["shapes"])),
                ),
                history=read_history(file),
                unfinished="resume" in file,
                version=version,
                segments=len(rows.added) if rows else 0,
                residuals=tuple(lengths[kinds == RESIDUAL].tolist()),
                meshes=tuple(lengths[kinds == MESH].tolist()),
                adjustments=tuple(lengths[kinds == ADJUSTMENT].tolist()),
            )
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error


def write_history(file: Any, history: Mapping[str, Any]) -> None:
    """Write the log of training, compressed."""
    text = json.dumps(dict(history))
    file.create_dataset("history", data=np.frombuffer(zlib.compress(text.encode(), 9), np.uint8))


def read_history(file: Any) -> dict[str, Any]:
    """Read the log of training; ValueError where it is damaged."""
    if "history" not in file:
        return json.loads(file.attrs["history"])
    inflate = zlib.decompressobj()
    try:
        return json.loads(inflate.decompress(file["history"][:].tobytes(), LARGEST_HISTORY).decode())
    except zlib.error as error:
        raise ValueError(f"the history is damaged: {error}") from error


def check_finished(path: str | Path, unfinished: bool) -> None:
    """Refuse a space file that takes no shapes since its training is not at its end, with a ValueError."""
    if unfinished:
        text = "is an unfinished training run, and its decoder may still change under new codes"
        raise ValueError(f"{path} {text}; finish it with `latentsdf train ... --resume` first")


def _corrections(rows: StoredRows) -> tuple[Indices, Indices]:
    """Bytes of each correction (K,) of a file of version 7, and its first byte."""
    lengths, kinds = {}, {}
    parts = [(np.arange(rows.count), rows.base), *((part.rows, part.arrays) for part in rows.added)]
    for places, arrays in parts:
        if places is not parts[0][0]:
            for row in places.tolist():
                lengths.pop(row, None)
        if "correction" in arrays:
            long = arrays["correction_length"].astype(np.int64)
            at = places[correction_rows(arrays)].tolist()
            lengths |= dict(zip(at, long.tolist(), strict=True))
            kinds |= dict(zip(at, arrays["correction"][np.cumsum(long) - long].tolist(), strict=True))
    return np.array(list(lengths.values()), dtype=np.int64), np.array([kinds[row] for row in lengths], dtype=np.int64)


def _parameters(group: Any) -> int:
    """Numbers of the decoder; of a tensor stored as a stream its steps, which lie beside it, do not count."""
    streams = {name: item.attrs["shape"] for name, item in group.items() if "shape" in item.attrs}
    beside = {f"{name}.{part}" for name in streams for part in ("rows", "columns")}
    plain = sum(item.size for name, item in group.items() if name not in streams and name not in beside)
    return plain + sum(int(np.prod(shape)) for shape in streams.values())


def _decoder_bytes(file: Any) -> int:
    """Bytes of what all shapes share."""
    weights = sum(
        item.id.get_storage_size() + sum(value.nbytes for value in item.attrs.values())
        for item in file["decoder"].values()
    )
    return weights + sum(file["shapes"][key].nbytes for key in SHARED if key in file["shapes"])


def _row_sizes(rows: StoredRows) -> dict[str, int]:
    """Bytes of the columns of a file of version 7; those of replaced rows count, as long as the file holds them."""
    parts = [rows.base, *(part.arrays for part in rows.added)]

    def taken(*keys: str) -> int:
        return sum(part[key].nbytes for part in parts for key in keys if key in part)

    codes = taken("code", "code_step", "code_streams", "code_length")
    count = rows.count + sum(len(part.rows) for part in rows.added)
    for key in ("scale", "center", "info_blocks", "info_length", "name_hash"):
        _ = rows.base[key]
    return {
        "code": -(-codes // max(1, count)) if codes else rows.base["code"].shape[1] * rows.base["code"].itemsize,
        "records": taken("record_streams", "record_length"),
        "frames": taken("scale", "center", "frame", "frame_row", "rotation", "rotation_row"),
        "texts": taken("name_blocks", "name_length", "name_hash", "info_blocks", "info_length"),
    }


def _code_size(shapes: Any) -> int:
    return shapes["code_steps"].shape[0] if "code_steps" in shapes else shapes["code"].shape[1]
