"""A latent space: one decoder and its named shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ..core.frame import Frame
from ..core.names import UnknownShape
from ..decoder.base import Decoder
from .code_format import CodeFormat
from .morph import Morph
from .shape import Shape
from .weight_format import WeightFormat


class LatentSpace(Mapping[str, Shape]):
    """Shapes by name over one decoder.

    Args:
        decoder: the shared decoder.
        shapes: with unique names and codes of the decoder's size.
        history: log of training, plain JSON values.

    Attributes:
        source: the space's name in messages: its file, where it was loaded from one.
        code_format: of the streams in which its codes are stored; None where they are stored otherwise.
        weight_format: of the streams in which its decoder is stored, likewise.

    Raises:
        ValueError: as `add`.

    Example:
        >>> chair = space["windsor"]
        >>> between = space.interpolate("windsor", "stool", t=0.5)
    """

    def __init__(self, decoder: Decoder, shapes: Iterable[Shape] = (), history: Mapping[str, Any] | None = None):
        self.decoder = decoder
        self.history = dict(history or {})
        self.source = "this space"
        self.code_format: CodeFormat | None = None
        self.weight_format: WeightFormat | None = None
        self._shapes: dict[str, Shape] = {}
        self._morph: Morph | None = None
        for shape in shapes:
            self.add(shape)

    def __getitem__(self, name: str) -> Shape:
        try:
            return self._shapes[name]
        except KeyError:
            raise UnknownShape(name, self._shapes, self.source) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the shapes, in the order of `codes`."""
        return tuple(self._shapes)

    @property
    def code_size(self) -> int:
        """Numbers of a code, D."""
        return self.decoder.code_size

    @property
    def prefix_sizes(self) -> tuple[int, ...]:
        """Shorter code lengths that the space was trained for: nested (prefix) codes, read by their first numbers."""
        return tuple(self.history.get("config", {}).get("nested", ()))

    def codes(self) -> Tensor:
        """Codes of all shapes, (S, D)."""
        if not self._shapes:
            return torch.zeros(0, self.code_size)
        return torch.stack([shape.code for shape in self._shapes.values()])

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
        if shape.name in self._shapes and not replace:
            raise ValueError(
                f"{self.source} already holds a shape named {shape.name!r}; choose another name or replace it"
            )
        if shape.code.shape != (self.code_size,):
            raise ValueError(
                f"the code of {shape.name!r} has shape {tuple(shape.code.shape)}, this space takes ({self.code_size},)"
            )
        if not torch.isfinite(shape.code).all():
            raise ValueError(f"the code of {shape.name!r} is not finite")
        self._shapes[shape.name] = shape

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
