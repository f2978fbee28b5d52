"""Figures of each shape of a space file by h5py alone: what it takes, and what was measured when it was stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.hdf5 import one_line, open_checked
from .file_info import FORMAT, MESH, RESIDUAL, VERSION
from .text_columns import read_texts

WHOLE = 128
"""Numbers of a search record that describe the whole shape, `mesh.record.RECORD_BYTES`, whose import is slow."""


class StoredFigures(NamedTuple):
    """What a space file holds of one shape.

    Attributes:
        name: of the shape.
        mode: `code`, or with a `residual`, `mesh` or `correction`.
        code_bytes: of its code as stored.
        correction_bytes: of its residual, mesh or correction.
        metadata: of its source: audit, fit; plain JSON values.
    """

    name: str
    mode: str
    code_bytes: int
    correction_bytes: int
    metadata: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        """Bytes of code and correction."""
        return self.code_bytes + self.correction_bytes

    @property
    def f_score(self) -> float | None:
        """F-score that it was stored with, at `metadata["tolerance"]`; None where none was asked for."""
        return self.metadata.get("f_score")


class StoredShapes(NamedTuple):
    """All shapes of a file.

    Attributes:
        rows: one a shape.
        records: (S, 128) search records, zeros where a shape has none; None where no shape has one.
    """

    rows: tuple[StoredFigures, ...]
    records: NDArray[np.int8] | None

    def nearest(self, row: int) -> tuple[int, float] | None:
        """The other shape whose record is most like that of a shape, and its distance; None where there is none.

        The distance is the chord sqrt(2 - 2 cos) of unit records, 0 to 2, as `mesh.record.record_distances` has it.
        """
        if self.records is None or not self.records[row].any():
            return None
        records = self.records.astype(np.float32)
        lengths = np.linalg.norm(records, axis=1)
        cosines = records @ records[row] / (np.maximum(lengths, 1e-12) * lengths[row])
        cosines[row] = -np.inf
        cosines[lengths == 0] = -np.inf
        best = int(cosines.argmax())
        if not np.isfinite(cosines[best]):
            return None
        return best, float(np.sqrt(max(0.0, 2 - 2 * cosines[best])))


def stored_shapes(path: str | Path) -> StoredShapes:
    """Read the figures of all shapes; weights are not read.

    Raises:
        FileNotFoundError, ValueError: as `space_info`.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            shapes = file["shapes"]
            names, texts = read_texts(shapes, "name"), read_texts(shapes, "info")
            packed = shapes["correction"][:] if "correction" in shapes else [b""] * len(names)
            if "code_length" in shapes:
                codes = shapes["code_length"][:].astype(int) + shapes["code_length"].dtype.itemsize
            else:
                each = shapes["code"].shape[1] * shapes["code"].dtype.itemsize
                codes = np.full(len(names), each + (shapes["code_step"].dtype.itemsize if "code_step" in shapes else 0))
            rows = tuple(
                StoredFigures(name, _mode(item), int(code), len(item), json.loads(text))
                for name, text, item, code in zip(names, texts, packed, codes.tolist(), strict=True)
            )
            records = shapes["record"][:, :WHOLE] if "record" in shapes else None
            return StoredShapes(rows, records)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error


def stored_names(path: str | Path) -> list[str]:
    """Names of the shapes, and nothing else of the file.

    Raises:
        FileNotFoundError, ValueError: as `space_info`.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        return read_texts(file["shapes"], "name")


def _mode(packed: Any) -> str:
    if not len(packed):
        return "code"
    return {RESIDUAL: "residual", MESH: "mesh"}.get(int(packed[0]), "correction")
