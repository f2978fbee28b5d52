"""Codes of a space file: float32, 8 bits a number, or streams of a `CodeFormat`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..codec.row_streams import ColumnModel
from .byte_column import ByteColumn, Piece
from .code_format import CodeFormat
from .quantize import Rows, code_unit, quantize_codes, restore_codes

CodePrecision = Literal["float32", "int8"] | CodeFormat
"""How codes are stored; the docstring of `store.save` says what each takes."""
_DECODED_AT_ONCE = 1 << 16


@dataclass(frozen=True, eq=False)
class CodeForm:
    """How the codes of a file are stored.

    Attributes:
        size: D.
        unit: (D,) of codes in 8 bits; None where they are stored otherwise.
        streams: format of codes that are streams; None where they are stored otherwise.
    """

    size: int
    unit: Tensor | None = None
    streams: CodeFormat | None = None

    @staticmethod
    def of(precision: CodePrecision, codes: Tensor) -> CodeForm:
        """The form of a precision that suits codes (S, D)."""
        size = codes.shape[1]
        if isinstance(precision, CodeFormat):
            return CodeForm(size, streams=precision)
        return CodeForm(size, code_unit(codes).cpu() if precision == "int8" else None)

    @staticmethod
    def of_stored(arrays: Mapping[str, NDArray[Any]]) -> CodeForm:
        """The form that the shared arrays of a file say, (D,) each, or its codes (S, D)."""
        if "code_steps" in arrays:
            pairs = zip(arrays["code_deviation"], arrays["code_limit"], strict=True)
            models = tuple(ColumnModel(int(deviation), int(limit)) for deviation, limit in pairs)
            steps = torch.from_numpy(np.array(arrays["code_steps"]))
            return CodeForm(len(steps), streams=CodeFormat(steps, models))
        if "code_unit" in arrays:
            unit = torch.from_numpy(np.array(arrays["code_unit"]))
            return CodeForm(len(unit), unit)
        return CodeForm(arrays["code"].shape[1])

    def stored(self) -> dict[str, NDArray[Any]]:
        """The arrays (D,) of a file that all its codes share."""
        if self.streams is not None:
            models = self.streams.models
            return {
                "code_steps": self.streams.steps.numpy(),
                "code_deviation": np.array([model.eighths for model in models], dtype=np.uint8),
                "code_limit": np.array([model.limit for model in models], dtype=np.uint16),
            }
        return {} if self.unit is None else {"code_unit": self.unit.numpy()}


@dataclass(frozen=True, eq=False)
class CodeColumn:
    """Codes of S rows.

    Attributes:
        form: how they are stored.
        values: (S, D) float32 or int8; None where they are streams.
        steps: (S,) of codes in 8 bits.
        streams: of each row.
    """

    form: CodeForm
    values: NDArray[Any] | None = None
    steps: NDArray[np.float32] | None = None
    streams: ByteColumn | None = None

    @staticmethod
    def of(codes: Tensor, form: CodeForm) -> CodeColumn:
        """The column of codes (S, D)."""
        codes = codes.detach().float().cpu()
        if form.streams is not None:
            parts = codes.split(_DECODED_AT_ONCE)
            return CodeColumn(form, streams=ByteColumn.of(item for part in parts for item in form.streams.pack(part)))
        if form.unit is None:
            return CodeColumn(form, codes.numpy())
        quantized = quantize_codes(codes, form.unit)
        return CodeColumn(form, quantized.values.numpy(), quantized.steps.numpy())

    @staticmethod
    def joined(columns: Sequence[CodeColumn], pieces: Sequence[Piece], form: CodeForm) -> CodeColumn:
        """Rows of several columns of one form as one."""
        if form.streams is not None:
            streams = [column.streams for column in columns if column.streams is not None]
            return CodeColumn(form, streams=ByteColumn.joined(streams, pieces))
        if not pieces:
            return CodeColumn.of(torch.zeros(0, form.size), form)
        values = [column.values for column in columns if column.values is not None]
        joined = CodeColumn(form, np.concatenate([values[number][rows] for number, rows in pieces]))
        if form.unit is None:
            return joined
        steps = [column.steps for column in columns if column.steps is not None]
        return replace(joined, steps=np.concatenate([steps[number][rows] for number, rows in pieces]))

    @staticmethod
    def of_stored(arrays: Mapping[str, NDArray[Any]], form: CodeForm) -> CodeColumn:
        """The column of the arrays (S, ...) of a file."""
        if form.streams is not None:
            streams = ByteColumn.of_lengths(arrays["code_streams"], arrays["code_length"])
            return CodeColumn(form, streams=streams)
        return CodeColumn(form, arrays["code"], None if form.unit is None else arrays["code_step"])

    def stored(self) -> dict[str, NDArray[Any]]:
        """The arrays (S, ...) of a file."""
        if self.streams is not None:
            return {"code_streams": self.streams.data, "code_length": self.streams.lengths.astype(np.uint16)}
        assert self.values is not None
        return {"code": self.values} if self.steps is None else {"code": self.values, "code_step": self.steps}

    def __len__(self) -> int:
        return len(self.streams) if self.streams is not None else len(self.values) if self.values is not None else 0

    def codes(self, rows: slice = slice(None)) -> Tensor:
        """Codes (K, D) float32 of a run of rows, not shared with the column.

        Raises:
            ValueError: a stream is damaged.
        """
        first, last, _ = rows.indices(len(self))
        out = torch.empty(last - first, self.form.size)
        for start in range(first, last, _DECODED_AT_ONCE):
            part = slice(start, min(last, start + _DECODED_AT_ONCE))
            out[start - first : part.stop - first] = self._decoded(part)
        return out

    def _decoded(self, rows: slice) -> Tensor:
        if self.streams is not None:
            assert self.form.streams is not None
            return self.form.streams.unpack(self.streams.items(rows))
        assert self.values is not None
        values = torch.from_numpy(np.array(self.values[rows]))
        if self.form.unit is None:
            return values
        assert self.steps is not None
        return restore_codes(Rows(values, torch.from_numpy(np.array(self.steps[rows]))), self.form.unit)
