"""Columns of shapes as a space file holds them, of which any row is a `Shape` when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..codec.adjustment import KIND as ADJUSTMENT
from ..codec.adjustment import Adjustment
from ..codec.mesh_stream import KIND as MESH
from ..codec.residual import KIND, Residual
from ..solver.correction import Correction
from .byte_column import ByteColumn, Piece
from .code_columns import CodeColumn, CodeForm
from .frame_columns import FrameColumn
from .record_column import RecordColumn
from .shape import Shape
from .stored_mesh import StoredMesh
from .stored_rows import correction_rows, name_hashes, stored_texts, texts_of
from .text_blocks import TextBlocks

Field = Correction | Residual | StoredMesh | Adjustment


@dataclass(frozen=True, eq=False)
class ShapeColumns:
    """Columns of S shapes.

    Attributes:
        names: of the shapes.
        infos: their metadata, JSON objects.
        codes: as stored.
        frames: source units <-> unit frame.
        corrections: packed, empty where a shape has none.
        records: search records.

    Raises:
        ValueError: the columns are of different lengths.
    """

    names: TextBlocks
    infos: TextBlocks
    codes: CodeColumn
    frames: FrameColumn
    corrections: ByteColumn
    records: RecordColumn

    def __post_init__(self) -> None:
        lengths = [len(c) for c in (self.infos, self.codes, self.frames, self.corrections, self.records)]
        if any(length != len(self.names) for length in lengths):
            raise ValueError(f"{len(self.names)} shapes have columns of {', '.join(map(str, lengths))} rows")

    @staticmethod
    def of(shapes: Sequence[Shape], form: CodeForm) -> ShapeColumns:
        """The columns of shapes, their codes in a form.

        Raises:
            ValueError: a shape cannot be stored.
        """
        codes = torch.stack([shape.code.detach().float().cpu() for shape in shapes]) if shapes else None
        return ShapeColumns(
            TextBlocks.of([shape.name for shape in shapes]),
            TextBlocks.of([json.dumps(dict(shape.metadata)) for shape in shapes]),
            CodeColumn.of(torch.zeros(0, form.size) if codes is None else codes, form),
            FrameColumn.of([shape.frame for shape in shapes]),
            ByteColumn.of(b"" if shape.correction is None else shape.correction.packed for shape in shapes),
            RecordColumn.of(shape.record for shape in shapes),
        )

    @staticmethod
    def joined(columns: Sequence[ShapeColumns], pieces: Sequence[Piece], form: CodeForm) -> ShapeColumns:
        """Rows of several columns as one, with codes in a form."""
        codes = [part.codes if part.codes.form is form else CodeColumn.of(part.codes.codes(), form) for part in columns]
        return ShapeColumns(
            TextBlocks.joined([part.names for part in columns], pieces),
            TextBlocks.joined([part.infos for part in columns], pieces),
            CodeColumn.joined(codes, pieces, form),
            FrameColumn.joined([part.frames for part in columns], pieces),
            ByteColumn.joined([part.corrections for part in columns], pieces),
            RecordColumn.joined([part.records for part in columns], pieces),
        )

    @staticmethod
    def of_stored(arrays: Mapping[str, NDArray[Any]], count: int, form: CodeForm) -> ShapeColumns:
        """The columns of the arrays (S, ...) of a file with so many rows.

        Raises:
            KeyError, ValueError: damaged.
        """
        lengths = np.zeros(count, dtype=np.int64)
        if "correction" in arrays:
            lengths[correction_rows(arrays)] = arrays["correction_length"]
        return ShapeColumns(
            texts_of(arrays, "name", count),
            texts_of(arrays, "info", count),
            CodeColumn.of_stored(arrays, form),
            FrameColumn.of_stored(arrays),
            ByteColumn.of_lengths(arrays.get("correction", np.zeros(0, np.uint8)), lengths),
            RecordColumn.of_stored(arrays, count),
        )

    def stored(self, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
        """The arrays (S, ...) of a file; names are read from their column where they are not given."""
        hashes = name_hashes(list(self.names) if names is None else names)
        out = {**self.codes.stored(), **self.frames.stored(), "name_hash": hashes}
        out |= stored_texts(self.names, "name") | stored_texts(self.infos, "info") | self.records.stored()
        rows = np.flatnonzero(self.corrections.lengths)
        if len(rows):
            lengths = self.corrections.lengths[rows]
            out["correction"] = self.corrections.data
            out["correction_length"] = lengths.astype(np.min_scalar_type(int(lengths.max())))
            if len(rows) < len(self):
                out["correction_row"] = rows.astype(np.uint32)
        return out

    def __len__(self) -> int:
        return len(self.names)


def unpack_correction(packed: bytes) -> Field | None:
    """The correction, residual, mesh or adjustment of stored bytes; None of none."""
    if not packed:
        return None
    if packed[0] == MESH:
        return StoredMesh(packed)
    if packed[0] == ADJUSTMENT:
        return Adjustment(packed)
    return Residual(packed) if packed[0] == KIND else Correction(packed)
