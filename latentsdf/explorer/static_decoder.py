"""A volumes decoder and codes as the static page reads them: whole numbers and their steps, to be compressed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..decoder.base import Decoder
from ..decoder.volumes import Volumes, VolumesConfig
from ..space.code_format import CodeFormat
from ..space.quantize import quantize_rows
from ..space.weight_format import WeightFormat
from .packets import pack_packet

BYTE = 127
"""Largest magnitude that takes one byte; larger numbers are listed beside."""
CODE_LEVELS = 2047
"""Levels of a number of a code on either side of zero, where the space has no steps of its own."""
_WIDE = 1 << 17


def decodes_in_browser(decoder: Decoder) -> bool:
    """Whether the page can decode codes of this decoder; shapes of others are exported as meshes."""
    return isinstance(decoder, Volumes)


def decoder_packet(decoder: Decoder, weight_format: WeightFormat | None) -> bytes:
    """Pack the weights of a volumes decoder.

    A weight matrix (K, F) is integers times steps of its rows, and of its columns where the space stores such; those
    without steps are rounded to 8 bits. Matrices of numbers a code are transposed, so that their product with a code is
    a row of dot products.

    Args:
        decoder: a `Volumes`.
        weight_format: of the space.

    Raises:
        ValueError: another decoder.
    """
    config = decoder.config
    if not isinstance(decoder, Volumes) or not isinstance(config, VolumesConfig):
        raise ValueError(f"the static page decodes volumes, not {decoder.kind}")
    arrays: dict[str, NDArray[Any]] = {}
    for key, tensor in decoder.state_dict().items():
        name = key.removeprefix("field.")
        if tensor.ndim < 2 or tensor.numel() < 4096:
            _pack_plain(arrays, name, tensor)
            continue
        steps = None if weight_format is None else weight_format.get(key)
        if steps is not None:
            integers, rows = steps.integers(tensor).numpy(), steps.rows.numpy()
            columns = np.exp2(steps.columns.double().numpy() / 2).astype(np.float32)
        else:
            quantized = quantize_rows(tensor)
            integers, rows = quantized.values.flatten(1).long().numpy(), quantized.steps.numpy()
            columns = np.ones(integers.shape[1], dtype=np.float32)
        arrays[f"{name}.rows"], arrays[f"{name}.columns"] = rows.astype(np.float32), columns
        _pack_integers(arrays, name, integers.T)
    volumes = config.volumes
    header = {
        "code_size": config.code_size,
        "resolutions": list(volumes.resolutions),
        "channels": list(volumes.channels),
        "width": volumes.width,
        "depth": volumes.depth,
        "activation": volumes.activation,
        "warp": volumes.warp,
    }
    return pack_packet(header, arrays)


def code_arrays(codes: Tensor, code_format: CodeFormat | None) -> dict[str, NDArray[Any]]:
    """Codes (S, D) as integers and steps (D,): arrays for a packet."""
    codes = codes.detach().float().cpu()
    steps = codes.abs().amax(0).clamp_min(1e-12) / CODE_LEVELS if code_format is None else code_format.steps
    arrays: dict[str, NDArray[Any]] = {"code.steps": steps.numpy().astype(np.float32)}
    _pack_integers(arrays, "code", (codes / steps).round().long().numpy())
    return arrays


def _pack_plain(arrays: dict[str, NDArray[Any]], name: str, tensor: Tensor) -> None:
    """Small tensors as they are; long vectors in 16 bits."""
    values = tensor.detach().float().cpu().flatten()
    if len(values) < 4096:
        arrays[name] = values.numpy().astype(np.float32)
        return
    step = float(values.abs().max().clamp_min(torch.finfo(torch.float32).tiny)) / 32_767
    arrays[name] = (values / step).round().numpy().astype(np.int16)
    arrays[f"{name}.step"] = np.array([step], dtype=np.float32)


def _pack_integers(arrays: dict[str, NDArray[Any]], name: str, integers: NDArray[np.int64]) -> None:
    """Integers (K, F): bytes, places and values of those beyond one byte beside; 16 bits where they are few."""
    flat = np.ascontiguousarray(integers).ravel().clip(-32_767, 32_767)
    if len(flat) < _WIDE:
        arrays[name] = flat.astype(np.int16)
        return
    large = np.flatnonzero(np.abs(flat) > BYTE)
    arrays[name] = flat.clip(-BYTE, BYTE).astype(np.int8)
    arrays[f"{name}.places"], arrays[f"{name}.values"] = large.astype(np.uint32), flat[large].astype(np.int16)
