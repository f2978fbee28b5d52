"""A decoder with the codes and frames of its shapes as a safetensors file, which other frameworks read.

The format (safetensors 0.3 and later): eight bytes with the length of a JSON header, the header, and the tensors one
after the other. Its metadata hold `format`, `version`, `library`, `decoder` (the config as JSON) and `names` (of the
shapes, JSON). The tensors are `decoder.*`, float32, `codes` (S, D), `levels` (S,), to be
subtracted from the decoded fields, `frames.rotation` (S, 3, 3), `frames.scale` (S,)
and `frames.center` (S, 3); a point x of a shape's source units is rotation (x - center) / scale in the unit frame.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.frame import Frame
from ..core.hdf5 import atomic_replace, library_version
from ..core.interrupt import delay_interrupt
from ..decoder.base import Decoder
from ..decoder.kinds import build_decoder, decoder_from_dict, decoder_to_dict
from .space import LatentSpace

FORMAT, VERSION = "latentsdf-decoder", "1"
_TYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "F16": np.dtype("<f2")}


class ExportedDecoder(NamedTuple):
    """Contents of an exported file.

    Attributes:
        decoder: at rest, on the CPU.
        names: of the shapes.
        codes: (S, D).
        frames: of the shapes.
        levels: (S,) of the decoded fields; zeros in files of earlier releases.
    """

    decoder: Decoder
    names: tuple[str, ...]
    codes: Tensor
    frames: tuple[Frame, ...]
    levels: Tensor


def save_safetensors(space: LatentSpace, path: str | Path) -> None:
    """Write the decoder, codes, levels and frames of a space to a safetensors file in one step, but no corrections.

    Raises:
        OSError: the disk refused; the file that was there is unchanged.
    """
    tensors = {f"decoder.{name}": tensor.float().cpu().numpy() for name, tensor in space.decoder.state_dict().items()}
    frames = [shape.frame for shape in space.values()]
    tensors["codes"] = space.codes().float().cpu().numpy()
    tensors["levels"] = np.array([shape.level for shape in space.values()], dtype=np.float32)
    tensors["frames.rotation"] = np.array([frame.rotation for frame in frames]).reshape(-1, 3, 3)
    tensors["frames.scale"] = np.array([frame.scale for frame in frames], dtype=np.float64)
    tensors["frames.center"] = np.array([frame.center for frame in frames]).reshape(-1, 3)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "library": library_version(),
        "decoder": json.dumps(decoder_to_dict(space.decoder.config)),
        "names": json.dumps(list(space)),
    }
    content = _packed(tensors, metadata)
    with delay_interrupt(), atomic_replace(path) as temporary:
        temporary.write_bytes(content)


def load_safetensors(path: str | Path) -> ExportedDecoder:
    """Read a file that `save_safetensors` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another file, or a damaged one.
    """
    content = Path(path).read_bytes()
    try:
        tensors, metadata = _unpacked(content)
        if metadata.get("format") != FORMAT:
            raise ValueError("its metadata name no latentsdf decoder")
        decoder = build_decoder(decoder_from_dict(json.loads(metadata["decoder"])))
        weights = {
            name.removeprefix("decoder."): torch.from_numpy(values.copy())
            for name, values in tensors.items()
            if name.startswith("decoder.")
        }
        decoder.load_state_dict(weights)
        parts = (tensors[f"frames.{name}"] for name in ("rotation", "scale", "center"))
        frames = tuple(Frame(rotation, float(scale), center) for rotation, scale, center in zip(*parts, strict=True))
        codes = torch.from_numpy(tensors["codes"].copy())
        names = tuple(json.loads(metadata["names"]))
        levels = torch.from_numpy(tensors["levels"].copy()) if "levels" in tensors else torch.zeros(len(names))
    except (KeyError, TypeError, ValueError, RuntimeError, struct.error) as error:
        raise ValueError(f"{path} is no exported decoder, or damaged: {error}") from error
    return ExportedDecoder(decoder.eval().requires_grad_(False), names, codes, frames, levels)


def _packed(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    body, kinds = bytearray(), {kind: name for name, kind in _TYPES.items()}
    for name, values in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):  # as aligned as they can be
        packed = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        place = [len(body), len(body) + packed.nbytes]
        header[name] = {"dtype": kinds[packed.dtype], "shape": list(packed.shape), "data_offsets": place}
        body += packed.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(body)


def _unpacked(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    metadata, body = header.pop("__metadata__", {}), memoryview(content)[8 + length :]
    tensors = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        tensors[name] = np.frombuffer(body[start:stop], _TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata
