"""Figures of each shape of a space file by h5py alone: what it takes, and what was measured when it was stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..core.hdf5 import one_line, open_checked
from .file_info import ADJUSTMENT, FORMAT, MESH, RESIDUAL, SEGMENTS, VERSION
from .stored_rows import StoredRows, correction_rows, texts_of
from .text_columns import read_texts


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


def nearest_record(records: NDArray[np.int8], row: int) -> tuple[int, float] | None:
    """The other shape whose record is most like that of a shape, and its distance; None where there is none.

    Args:
        records: (S, 128) of the whole shapes, zeros where a shape has none.
        row: of the shape.

    Returns:
        Its row, and the chord sqrt(2 - 2 cos) of unit records, 0 to 2, as `mesh.record.record_distances` has it.
    """
    if not records[row].any():
        return None
    numbers = records.astype(np.float32)
    lengths = np.linalg.norm(numbers, axis=1)
    cosines = numbers @ numbers[row] / (np.maximum(lengths, 1e-12) * lengths[row])
    cosines[row] = -np.inf
    cosines[lengths == 0] = -np.inf
    best = int(cosines.argmax())
    if not np.isfinite(cosines[best]):
        return None
    return best, float(np.sqrt(max(0.0, 2 - 2 * cosines[best])))


def stored_figures(path: str | Path) -> tuple[StoredFigures, ...]:
    """Read the figures of all shapes; weights are not read.

    Raises:
        FileNotFoundError, ValueError: as `space_info`.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            if int(file.attrs["version"]) < SEGMENTS:
                return tuple(_earlier(file["shapes"]))
            rows = StoredRows.of_file(file, VERSION)
            parts = [(range(rows.count), rows.base), *((part.rows.tolist(), part.arrays) for part in rows.added)]
            found: dict[int, StoredFigures] = {}
            for places, arrays in parts:
                found |= dict(zip(places, _of_columns(arrays, len(places)), strict=True))
            return tuple(found[row] for row in range(len(rows)))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
            raise ValueError(f"{path} is a damaged latentsdf space: {one_line(error)}") from error


def _of_columns(arrays: Mapping[str, NDArray[Any]], count: int) -> Iterator[StoredFigures]:
    """Figures of the columns of a file of version 7."""
    if "code_length" in arrays:
        codes = arrays["code_length"].astype(int) + arrays["code_length"].dtype.itemsize
    else:
        codes = np.full(count, _code_bytes(arrays))
    modes, sizes = ["code"] * count, [0] * count
    if "correction" in arrays:
        lengths = arrays["correction_length"].astype(np.int64)
        kinds = arrays["correction"][np.cumsum(lengths) - lengths]
        for row, length, kind in zip(correction_rows(arrays).tolist(), lengths.tolist(), kinds.tolist(), strict=True):
            modes[row], sizes[row] = _mode(kind), length
    texts = texts_of(arrays, "name", count), texts_of(arrays, "info", count)
    for name, text, mode, code, size in zip(*texts, modes, codes.tolist(), sizes, strict=True):
        yield StoredFigures(name, mode, int(code), size, json.loads(text))


def _earlier(shapes: Any) -> Iterator[StoredFigures]:
    """Figures of the shapes of a file of an earlier version."""
    names, texts = read_texts(shapes, "name"), read_texts(shapes, "info")
    packed = shapes["correction"][:] if "correction" in shapes else [b""] * len(names)
    if "code_length" in shapes:
        codes = shapes["code_length"][:].astype(int) + shapes["code_length"].dtype.itemsize
    else:
        codes = np.full(len(names), _code_bytes(shapes))
    for name, text, item, code in zip(names, texts, packed, codes.tolist(), strict=True):
        yield StoredFigures(name, _mode(int(item[0])) if len(item) else "code", int(code), len(item), json.loads(text))


def _code_bytes(columns: Any) -> int:
    """Bytes of a code that is no stream."""
    each = columns["code"].shape[1] * columns["code"].dtype.itemsize
    return each + (columns["code_step"].dtype.itemsize if "code_step" in columns else 0)


def stored_names(path: str | Path) -> list[str]:
    """Names of the shapes, and nothing else of the file.

    Raises:
        FileNotFoundError, ValueError: as `space_info`.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        if int(file.attrs["version"]) < SEGMENTS:
            return read_texts(file["shapes"], "name")
        return StoredRows.of_file(file, VERSION).names()


def _mode(kind: int) -> str:
    """How a shape is stored whose correction begins with a byte."""
    return {RESIDUAL: "residual", MESH: "mesh", ADJUSTMENT: "code"}.get(kind, "correction")
