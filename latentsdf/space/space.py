"""A latent space: one decoder and the shapes that it knows, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from ..core.frame import Frame
from ..decoder.base import Decoder
from .shape import Shape


class UnknownShape(KeyError):
    """No shape of that name; the text suggests the nearest one."""

    def __str__(self) -> str:
        return str(self.args[0])


class LatentSpace(Mapping[str, Shape]):
    """Shapes by name over one decoder.

    Args:
        decoder: the shared decoder.
        shapes: the shapes; names must be unique and codes of the decoder's size.
        history: what training logged; plain JSON values.

    Example:
        >>> chair = space["windsor"]
        >>> between = space.interpolate("windsor", "stool", t=0.5)
    """

    def __init__(self, decoder: Decoder, shapes: Iterable[Shape] = (), history: Mapping[str, Any] | None = None):
        self.decoder = decoder
        self.history = dict(history or {})
        self.source = "this space"
        self._shapes: dict[str, Shape] = {}
        for shape in shapes:
            self.add(shape)

    def __getitem__(self, name: str) -> Shape:
        try:
            return self._shapes[name]
        except KeyError:
            near = difflib.get_close_matches(str(name), self._shapes, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownShape(f"no shape named {name!r} in {self.source}; {hint}({len(self)} shapes)") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def __contains__(self, name: object) -> bool:
        return name in self._shapes

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of `codes`."""
        return tuple(self._shapes)

    @property
    def code_size(self) -> int:
        """Numbers a shape."""
        return self.decoder.code_size

    @property
    def prefix_sizes(self) -> tuple[int, ...]:
        """Shorter code lengths that the space was trained to be read at."""
        return tuple(self.history.get("config", {}).get("nested", ()))

    def codes(self) -> Tensor:
        """All codes, (S, D)."""
        if not self._shapes:
            return torch.zeros(0, self.code_size)
        return torch.stack([shape.code for shape in self._shapes.values()])

    def add(self, shape: Shape, replace: bool = False) -> None:
        """Take a shape in; the decoder does not change.

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
        """The shape a fraction t of the way from a to b: codes linearly, frames by similarity, corrections left out.

        Args:
            a, b: names or shapes.
            t: 0 is a, 1 is b; values outside extrapolate.

        Raises:
            KeyError: unknown name.
        """
        first = self[a] if isinstance(a, str) else a
        second = self[b] if isinstance(b, str) else b
        code = first.code + t * (second.code - first.code)
        return Shape(f"{first.name}~{second.name}@{t:.2f}", code, between(first.frame, second.frame, t), self.decoder)


def between(a: Frame, b: Frame, t: float) -> Frame:
    """The frame a fraction t of the way from a to b: rotation by slerp, scale geometrically, center linearly."""
    if np.array_equal(a.rotation, b.rotation):
        rotation = a.rotation
    else:
        span = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([a.rotation, b.rotation])))
        rotation = span(min(1.0, max(0.0, t))).as_matrix()
    scale = float(np.exp(np.log(a.scale) + t * (np.log(b.scale) - np.log(a.scale))))
    return Frame(rotation, scale, a.center + t * (b.center - a.center))
