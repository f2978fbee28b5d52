"""Shapes of a space file: columns, of which a shape is made when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..core.hdf5 import one_line
from ..decoder.base import Decoder
from .code_columns import CodeForm
from .row_places import RowPlaces
from .shape import Shape
from .shape_columns import ShapeColumns, unpack_correction
from .stored_rows import AT_ONCE, StoredRows

_BLOCK = 256
"""Rows whose codes and records are decoded together."""
_KEPT = 64


class StoredShapes:
    """Shapes of a file; of a small one all are read and checked at once.

    Args:
        columns: of the parts of the file.
        places: of each row in them.
        decoder: of the space.
        source: name of the file in messages.
        rows: of a file whose names are looked up in it until all are asked for.

    Raises:
        ValueError: damaged.
    """

    def __init__(
        self,
        columns: Sequence[ShapeColumns],
        places: RowPlaces,
        decoder: Decoder,
        source: str,
        rows: StoredRows | None = None,
    ):
        self.columns, self.places, self.decoder, self.source = tuple(columns), places, decoder, source
        self._file = rows
        self._names: tuple[str, ...] | None = None
        self._block = lru_cache(_KEPT)(self._read_block)
        if len(self) <= AT_ONCE:
            self._check()

    @property
    def form(self) -> CodeForm:
        """How the codes are stored."""
        return self.columns[0].codes.form

    def __len__(self) -> int:
        return len(self.places)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all rows."""
        if self._names is None:
            parts = [list(columns.names) for columns in self.columns]
            self._names = tuple(name for part, rows in self.places.pieces() for name in parts[part][rows])
        return self._names

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    def row_of(self, name: str) -> int | None:
        """The row of a name; None where there is none."""
        if self._file is None or self._names is not None:
            return self._rows.get(name)
        return self._file.rows_of([name]).get(name)

    def codes(self) -> Tensor:
        """Codes of all rows, (S, D), on the decoder's device."""
        return self._codes.to(self._device, copy=True)

    @cached_property
    def _codes(self) -> Tensor:
        form = self.form
        joined = type(self.columns[0].codes).joined([part.codes for part in self.columns], self.places.pieces(), form)
        return self._checked(joined.codes)

    @property
    def _device(self) -> torch.device:
        return next(iter(self.decoder.state_dict().values())).device

    def whole_records(self) -> tuple[Any, Any]:
        """Which rows have a search record, (S,), and those of the whole shapes, (S, 128)."""
        kind = type(self.columns[0].records)
        joined = kind.joined([part.records for part in self.columns], self.places.pieces())
        return self._checked(lambda: joined.records(whole=True))

    def shape(self, row: int) -> Shape:
        """The shape of a row; ValueError where it is damaged."""
        return self._checked(lambda: self._made(row))

    def _made(self, row: int) -> Shape:
        part, at = self.places[row]
        columns = self.columns[part]
        codes, (recorded, records) = self._block(part, at // _BLOCK)
        inside = at % _BLOCK
        return Shape(
            columns.names[at],
            codes[inside].to(self._device, copy=True),
            columns.frames[at],
            self.decoder,
            json.loads(columns.infos[at]),
            unpack_correction(columns.corrections[at]),
            records[inside].copy() if recorded[inside] else None,
        )

    def _read_block(self, part: int, block: int) -> tuple[Tensor, tuple[Any, Any]]:
        """Codes and records of some rows of a part."""
        columns, rows = self.columns[part], slice(block * _BLOCK, (block + 1) * _BLOCK)
        codes = columns.codes.codes(rows)
        if not torch.isfinite(codes).all():
            row = rows.start + int((~torch.isfinite(codes)).any(1).int().argmax())
            raise ValueError(f"the code of {columns.names[row]!r} is not finite")
        return codes, columns.records.records(rows)

    def _check(self) -> None:
        if len(self._rows) != len(self):
            taken = next(name for row, name in enumerate(self.names) if self._rows[name] != row)
            raise ValueError(f"it holds two shapes named {taken!r}")
        for part, columns in enumerate(self.columns):
            for block in range(-(-len(columns) // _BLOCK)):
                self._block(part, block)
            for row, info in enumerate(columns.infos):
                json.loads(info)
                _ = columns.frames[row]

    def _checked(self, read: Any) -> Any:
        try:
            return read()
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{self.source} is a damaged latentsdf space: {one_line(error)}") from error


def stored_columns(rows: StoredRows, form: CodeForm) -> list[ShapeColumns]:
    """Columns of the rows that a file was written with and, where there are any, of those added since.

    Raises:
        KeyError, ValueError: damaged.
    """
    columns = [ShapeColumns.of_stored(rows.base, rows.count, form)]
    added = [ShapeColumns.of_stored(part.arrays, len(part.rows), form) for part in rows.added]
    if added:
        columns.append(ShapeColumns.joined(added, [(part, slice(None)) for part in range(len(added))], form))
    return columns
