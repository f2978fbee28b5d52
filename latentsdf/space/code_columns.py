"""Codes in a space file: float32, 8 bits a number, or streams of a `CodeFormat`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ..codec.row_streams import ColumnModel
from .code_format import CodeFormat
from .quantize import Rows, code_unit, quantize_codes, restore_codes

CodePrecision = Literal["float32", "int8"] | CodeFormat
"""How codes are stored; the docstring of `store.save` says what each takes."""
_RESIZED = ("code", "code_step")


def create_codes(group: Any, codes: Tensor, precision: CodePrecision) -> None:
    """Create the datasets of codes, empty, in the form that suits codes (S, D)."""
    size = codes.shape[1]
    if isinstance(precision, CodeFormat):
        models = precision.models
        group.create_dataset("code_steps", data=precision.steps.numpy())
        group.create_dataset("code_deviation", data=np.array([model.eighths for model in models], dtype=np.uint8))
        group.create_dataset("code_limit", data=np.array([model.limit for model in models], dtype=np.uint16))
        _write_streams(group, [])
        return
    kind = "i1" if precision == "int8" else "f4"
    group.create_dataset("code", (0, size), kind, maxshape=(None, size), chunks=(64, size))
    if precision == "int8":
        group.create_dataset("code_unit", data=code_unit(codes).cpu().numpy())
        group.create_dataset("code_step", (0,), "f4", maxshape=(None,), chunks=(64,))


def write_codes(group: Any, rows: slice, codes: Tensor) -> None:
    """Write codes (K, D) to rows of the file; the rows may begin at its end."""
    codes = codes.detach().float().cpu()
    code_format = read_code_format(group)
    if code_format is not None:
        streams = _read_streams(group)
        streams[rows] = code_format.pack(codes)
        _write_streams(group, streams)
        return
    for key in _RESIZED:
        if key in group and (rows.stop is None or rows.stop > len(group[key])):
            group[key].resize((rows.start or 0) + len(codes), axis=0)
    if "code_unit" in group:
        quantized = quantize_codes(codes, torch.from_numpy(group["code_unit"][:]))
        group["code"][rows], group["code_step"][rows] = quantized.values.numpy(), quantized.steps.numpy()
    else:
        group["code"][rows] = codes.numpy()


def read_codes(group: Any) -> Tensor:
    """All codes of a file, (S, D) float32; ValueError where a stream is damaged."""
    code_format = read_code_format(group)
    if code_format is not None:
        return code_format.unpack(_read_streams(group))
    codes = torch.from_numpy(group["code"][:])
    if "code_unit" in group:
        quantized = Rows(codes, torch.from_numpy(group["code_step"][:]))
        codes = restore_codes(quantized, torch.from_numpy(group["code_unit"][:]))
    return codes


def read_code_format(group: Any) -> CodeFormat | None:
    """The format of a file's code streams; None where codes are stored otherwise."""
    if "code_steps" not in group:
        return None
    pairs = zip(group["code_deviation"][:], group["code_limit"][:], strict=True)
    models = tuple(ColumnModel(int(deviation), int(limit)) for deviation, limit in pairs)
    return CodeFormat(torch.from_numpy(group["code_steps"][:]), models)


def _read_streams(group: Any) -> list[bytes]:
    data, ends = group["code_streams"][:].tobytes(), np.cumsum(group["code_length"][:], dtype=np.int64)
    if len(ends) and ends[-1] != len(data):
        raise ValueError(f"the streams of codes take {len(data)} bytes, their lengths say {ends[-1]}")
    return [data[end - length : end] for end, length in zip(ends, group["code_length"][:], strict=True)]


def _write_streams(group: Any, streams: Sequence[bytes]) -> None:
    lengths = np.array([len(stream) for stream in streams], dtype=np.uint16)
    for key, data in (("code_streams", np.frombuffer(b"".join(streams), np.uint8)), ("code_length", lengths)):
        if key in group:
            del group[key]
        group.create_dataset(key, data=data)
