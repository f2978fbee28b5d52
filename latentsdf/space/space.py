"""A latent space: one decoder and the shapes that it knows, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import trimesh
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from ..core.field import SDF
from ..core.frame import Frame
from ..decoder.base import Conditioned, Decoder
from ..mesh.isosurface import extract_mesh
from ..solver.correction import Corrected, Correction


class UnknownShape(KeyError):
    """No shape of that name; the text suggests the nearest one."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, eq=False)
class Shape:
    """A code, the decoder that reads it, and the frame it lives in: an SDF in the source mesh's own units.

    Attributes:
        name: its name in the space; the part before the first `/` is the class.
        code: (D,).
        frame: source units <-> unit frame.
        decoder: what turns the code into a field.
        info: what was recorded about the source (audit, file, fit); plain JSON values.
        correction: what tightening to data adds to the decoded field, unit frame; None where there is nothing.
    """

    name: str
    code: Tensor
    frame: Frame
    decoder: Decoder
    info: Mapping[str, Any] = field(default_factory=dict)
    correction: Correction | None = None

    @property
    def label(self) -> str:
        """The class: the first folder of the name, or an empty string."""
        return self.name.split("/", 1)[0] if "/" in self.name else ""

    @property
    def sdf(self) -> SDF:
        """The field in the unit frame, the correction included."""
        return self.decoded() if self.correction is None else Corrected(self.decoded(), self.correction)

    def decoded(self, branch: str | None = None) -> Conditioned:
        """What the code alone says: one branch of the decoder, in the unit frame; None is the one that users get."""
        return self.decoder.condition(self.code, branch)

    def without_correction(self) -> Shape:
        """The same shape by its code alone."""
        return replace(self, correction=None)

    def shortened(self, size: int) -> Shape:
        """The same shape by the first numbers of its code alone, the others being zero (nested codes).

        A correction belongs to the whole code and is dropped.

        How much of the shape is left depends on training: `TrainConfig.nested` names the lengths that it cares for.

        Args:
            size: how many numbers are kept, from 1 to D.

        Raises:
            ValueError: size is out of range.
        """
        if not 1 <= size <= len(self.code):
            raise ValueError(f"a code of {len(self.code)} numbers has no prefix of {size}; give 1 to {len(self.code)}")
        code = self.code.clone()
        code[size:] = 0.0
        return replace(self, code=code, correction=None)

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) in source units, of points (N, 3) in source units."""
        frame = self.frame
        rotation = torch.as_tensor(frame.rotation.copy(), device=points.device)
        center = torch.as_tensor(frame.center.copy(), device=points.device)
        unit = (points.double() - center) @ rotation.T / frame.scale
        return frame.distance_out(self.sdf(unit.to(self.code.dtype))).to(points.dtype)

    def mesh(self, resolution: int = 256, branch: str | None = None) -> trimesh.Trimesh:
        """The surface as a watertight triangle mesh in source units.

        Args:
            resolution: lattice cells per axis; larger is finer, and slower about quadratically.
            branch: which field of the decoder, without the correction; None is the one that users get, with it.

        Raises:
            ValueError: the field has no surface.
        """
        unit = extract_mesh(self.sdf if branch is None else self.decoded(branch), resolution, like=self.code)
        return trimesh.Trimesh(self.frame.invert(unit.vertices), unit.faces, process=False)


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
        self.title = "this space"
        self._shapes: dict[str, Shape] = {}
        for shape in shapes:
            self.add(shape)

    def __getitem__(self, name: str) -> Shape:
        try:
            return self._shapes[name]
        except KeyError:
            near = difflib.get_close_matches(str(name), self._shapes, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise UnknownShape(f"no shape named {name!r} in {self.title}; {hint}({len(self)} shapes)") from None

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
    def nested(self) -> tuple[int, ...]:
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
                f"{self.title} already holds a shape named {shape.name!r}; choose another name or replace it"
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
