"""Weights in a space file: float32, float16, 8 bits a number, or streams of a `WeightFormat`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .quantize import Rows, quantize_rows, restore_rows
from .weight_format import WeightFormat, WeightSteps, is_large

Precision = Literal["float32", "float16", "int8"] | WeightFormat
"""How weights are stored; the docstring of `store.save` says what each takes."""
_ONE_CHUNK = 1 << 24


def write_weights(group: Any, name: str, tensor: Tensor, precision: Precision) -> None:
    """Write a tensor (...) of the decoder."""
    tensor = tensor.detach().float().cpu()
    if isinstance(precision, Mapping) and name in precision:
        steps = precision[name]
        item = group.create_dataset(name, data=np.frombuffer(steps.pack(tensor), np.uint8))
        item.attrs["shape"] = np.array(tensor.shape, dtype=np.int64)
        group.create_dataset(f"{name}.rows", data=steps.rows.numpy())
        group.create_dataset(f"{name}.columns", data=steps.columns.numpy(), compression="gzip", compression_opts=9)
    elif precision == "int8" and is_large(tensor):
        quantized = quantize_rows(tensor)
        values = quantized.values.numpy()
        chunks = values.shape if values.size <= _ONE_CHUNK else True
        item = group.create_dataset(name, data=values, chunks=chunks, compression="gzip", compression_opts=9)
        item.attrs["steps"] = quantized.steps.numpy()
    else:
        kind = precision if precision in ("float32", "float16") else "float16"
        packing = {"compression": "gzip", "shuffle": True} if kind == "float16" and tensor.ndim else {}
        group.create_dataset(name, data=tensor.numpy().astype(np.dtype(kind)), **packing)


def read_weights(group: Any, name: str, shape: torch.Size) -> Tensor:
    """Read a tensor (...) of the decoder, float32; ValueError where its stream is damaged or of another shape."""
    item = group[name]
    if "shape" in item.attrs:
        stored, wide = torch.Size(item.attrs["shape"].tolist()), (shape[0], shape[1:].numel())
        beside = (len(group[f"{name}.rows"]), len(group[f"{name}.columns"]))
        if (stored, beside) != (shape, wide):
            raise ValueError(f"{name} is of shape {tuple(stored)}, this decoder needs {tuple(shape)}")
        return _steps(group, name).unpack(item[:].tobytes(), shape)
    if "steps" in item.attrs:
        return restore_rows(Rows(torch.from_numpy(item[()]), torch.from_numpy(item.attrs["steps"])))
    return torch.from_numpy(np.asarray(item[()], dtype=np.float32))


def read_weight_format(group: Any) -> WeightFormat | None:
    """Steps of the tensors that a file holds as streams; None where it holds none."""
    return {name: _steps(group, name) for name, item in group.items() if "shape" in item.attrs} or None


def _steps(group: Any, name: str) -> WeightSteps:
    return WeightSteps(torch.from_numpy(group[f"{name}.rows"][:]), torch.from_numpy(group[f"{name}.columns"][:]))
