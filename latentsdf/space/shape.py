"""A shape of a latent space: one code, the decoder that reads it, and the frame that it lives in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import trimesh
from torch import Tensor

from ..core.field import SDF
from ..core.frame import Frame
from ..core.framed_field import FramedField
from ..core.shape_names import class_of
from ..decoder.base import Conditioned, Decoder
from ..mesh.isosurface import extract_framed_mesh
from ..solver.correction import Corrected, Correction


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
    metadata: Mapping[str, Any] = field(default_factory=dict)
    correction: Correction | None = None

    @property
    def class_name(self) -> str:
        """The class: the first folder of the name, or an empty string."""
        return class_of(self.name)

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

    def truncated(self, size: int) -> Shape:
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
        return FramedField(self.sdf, self.frame, self.code.dtype)(points)

    def mesh(self, resolution: int = 256, branch: str | None = None) -> trimesh.Trimesh:
        """The surface as a watertight triangle mesh in source units.

        Args:
            resolution: lattice cells per axis; larger is finer, and slower about quadratically.
            branch: which field of the decoder, without the correction; None is the one that users get, with it.

        Raises:
            ValueError: the field has no surface.
        """
        sdf = self.sdf if branch is None else self.decoded(branch)
        return extract_framed_mesh(FramedField(sdf, self.frame, self.code.dtype), resolution, like=self.code)
