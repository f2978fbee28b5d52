"""A latent space: one decoder and its named shapes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.arrays import Mask
from ..core.frame import Frame
from ..core.names import UnknownShape
from ..decoder.base import Decoder
from ..mesh.record import RECORD_BYTES
from ..mesh.search_record import whole_part
from .code_format import CodeFormat
from .derived import DerivedValues
from .morph import Morph
from .shape import Shape
from .weight_format import WeightFormat

KEPT = 65_536
"""Shapes of a file that are kept once they were made, beside those that are in use."""


class ShapeSource(Protocol):
    """Shapes of a file, in rows."""

    def __len__(self) -> int: ...

    @property
    def names(self) -> Sequence[str]:
        """Names of all rows."""
        ...

    def row_of(self, name: str) -> int | None:
        """The row of a name; None where there is none."""
        ...

    def shape(self, row: int) -> Shape:
        """A new shape of a row."""
        ...

    def codes(self) -> Tensor:
        """Codes of all rows, (S, D), a new tensor."""
        ...

    def whole_records(self) -> tuple[Mask, NDArray[np.int8]]:
        """Which rows have a search record, (S,), and those of the whole shapes, (S, 128)."""
        ...


class LatentSpace(Mapping[str, Shape]):
    """Shapes by name over one decoder.

    Shapes of a file are made when they are asked for, and kept.

    Args:
        decoder: the shared decoder.
        shapes: with unique names and codes of the decoder's size.
        history: log of training, plain JSON values.
        stored: shapes of a file, which come first.

    Attributes:
        source: the space's name in messages: its file, where it was loaded from one.
        path: of the file that it was loaded from; None of a space that was not.
        stored: shapes of that file; None without one.
        changes: shapes that were added or replaced since, by their row.
        code_format: of the streams in which its codes are stored; None where they are stored otherwise.
        weight_format: of the streams in which its decoder is stored, likewise.
        derived: values made from its decoder and its codes, kept as long as these are the same.

    Raises:
        ValueError: as `add`.

    Example:
        >>> chair = space["windsor"]
        >>> between = space.interpolate("windsor", "stool", t=0.5)
    """

    def __init__(
        self,
        decoder: Decoder,
        shapes: Iterable[Shape] = (),
        history: Mapping[str, Any] | None = None,
        stored: ShapeSource | None = None,
    ):
        self.decoder = decoder
        self.history: dict[str, Any] = dict(history or {})
        self.source = "this space"
        self.path: Path | None = None
        self.stored = stored
        self.changes: dict[int, Shape] = {}
        self.code_format: CodeFormat | None = None
        self.weight_format: WeightFormat | None = None
        self._added: dict[str, int] = {}
        self._names: tuple[str, ...] | None = None
        self._made: WeakValueDictionary[int, Shape] = WeakValueDictionary()
        self._kept: deque[Shape] = deque(maxlen=KEPT)
        self._morph: Morph | None = None
        self.derived: DerivedValues = DerivedValues(decoder)
        for shape in shapes:
            self.add(shape)

    def __getitem__(self, name: str) -> Shape:
        row = self._row_of(name)
        if row is None:
            raise UnknownShape(name, self.names, self.source, known=self)
        shape = self.changes.get(row) or self._made.get(row)
        if shape is None:
            assert self.stored is not None
            shape = self._made[row] = self.stored.shape(row)
            self._kept.append(shape)
        return shape

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return (0 if self.stored is None else len(self.stored)) + len(self._added)

    def __contains__(self, name: object) -> bool:
        return self._row_of(name) is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the shapes, in the order of `codes`."""
        if self._names is None:
            self._names = (*(() if self.stored is None else self.stored.names), *self._added)
        return self._names

    @property
    def code_size(self) -> int:
        """Numbers of a code, D."""
        return self.decoder.code_size

    @property
    def prefix_sizes(self) -> tuple[int, ...]:
        """Shorter code lengths that the space was trained for: nested (prefix) codes, read by their first numbers."""
        return tuple(self.history.get("config", {}).get("nested", ()))

    def codes(self) -> Tensor:
        """Codes of all shapes, (S, D), a new tensor."""
        changed = [shape.code for shape in self.changes.values()]
        if self.stored is None:
            return torch.stack(changed) if changed else torch.zeros(0, self.code_size)
        codes = self.stored.codes()
        if changed:
            codes = torch.cat([codes, codes.new_empty(len(self._added), self.code_size)])
            codes[list(self.changes)] = torch.stack(changed).to(codes)
        return codes

    def whole_records(self) -> tuple[Mask, NDArray[np.int8]]:
        """Which shapes have a search record, (S,), and those of the whole shapes, (S, 128), zeros elsewhere."""
        known, records = np.zeros(len(self), dtype=bool), np.zeros((len(self), RECORD_BYTES), dtype=np.int8)
        if self.stored is not None:
            count = len(self.stored)
            known[:count], records[:count] = self.stored.whole_records()
        for row, shape in self.changes.items():
            known[row], records[row] = shape.record is not None, 0 if shape.record is None else whole_part(shape.record)
        return known, records

    def decode(self, code: Tensor, name: str = "code") -> Shape:
        """The shape of a code (D,), in the unit frame; it is not added to the space."""
        return Shape(name, code.detach(), Frame.identity(), self.decoder)

    def add(self, shape: Shape, replace: bool = False) -> None:
        """Add an encoded shape; the decoder does not change.

        Args:
            shape: with a code of this space's size.
            replace: overwrite a shape of the same name.

        Raises:
            ValueError: the name is taken and replace is False, or the code is not finite or not of this space's size.
        """
        row = self._row_of(shape.name)
        if row is not None and not replace:
            raise ValueError(
                f"{self.source} already holds a shape named {shape.name!r}; choose another name or replace it"
            )
        if shape.code.shape != (self.code_size,):
            raise ValueError(
                f"the code of {shape.name!r} has shape {tuple(shape.code.shape)}, this space takes ({self.code_size},)"
            )
        if not torch.isfinite(shape.code).all():
            raise ValueError(f"the code of {shape.name!r} is not finite")
        if row is None:
            row = self._added[shape.name] = len(self)
            self._names = None
        self.changes[row] = shape
        self.derived.codes_changed()

    def _row_of(self, name: Any) -> int | None:
        row = self._added.get(name)
        return self.stored.row_of(name) if row is None and self.stored is not None else row

    def interpolate(self, a: str | Shape, b: str | Shape, t: float) -> Shape:
        """Interpolate two shapes: the shape at t of the `Morph` between their surfaces.

        Its code is (1 - t) a + t b; its field is that of the morph, not that of this code. What does not depend on t is
        computed once as long as the same two shapes are asked for.

        Args:
            a, b: names or shapes, corrections included.
            t: 0 is a, 1 is b; values outside extrapolate the code alone.

        Raises:
            KeyError: unknown name.
        """
        first = self[a] if isinstance(a, str) else a
        second = self[b] if isinstance(b, str) else b
        if self._morph is None or self._morph.a is not first or self._morph.b is not second:
            self._morph = Morph(first, second)
        return self._morph.at(t)
