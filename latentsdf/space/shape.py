"""A shape of a latent space: a code, its decoder and its frame, together a signed distance function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import trimesh
from torch import Tensor

from ..codec.adjustment import LARGEST_LEVEL, Adjustment
from ..codec.residual import Residual
from ..core.field import SDF
from ..core.frame import Frame
from ..core.framed_field import FramedField
from ..core.names import class_of
from ..decoder.base import Conditioned, Decoder
from ..mesh.isosurface import extract_framed_mesh
from ..mesh.record import RESOLUTION
from ..mesh.search_record import SearchRecord, search_record
from ..mesh.small_pieces import without_small_pieces
from ..solver.correction import Correction
from .morph_field import MorphField
from .stored_mesh import StoredMesh


@dataclass(frozen=True, eq=False)
class Shape:
    """A code with its decoder and frame: a signed distance function in the units of the source mesh.

    Attributes:
        name: in the space; the part before the first `/` is the class.
        code: (D,).
        frame: source units <-> unit frame.
        decoder: from codes to fields.
        metadata: of the source (audit, file, fit); plain JSON values.
        correction: of the decoded field, unit frame: a `Residual` that encoding found within some bytes,
            an `Adjustment` (another level, pieces cut out), a `Correction` of a refinement to a scan, or a `StoredMesh`
            or `MorphField` in place of that field; None without one.
        record: search record (704,) of the mesh or the reconstruction (`mesh.search_record`); None where it was not
            made.
    """

    name: str
    code: Tensor
    frame: Frame
    decoder: Decoder
    metadata: Mapping[str, Any] = field(default_factory=dict)
    correction: Correction | Residual | StoredMesh | MorphField | Adjustment | None = None
    record: SearchRecord | None = None

    @property
    def class_name(self) -> str:
        """First folder of the name, "" where it lies in none."""
        return class_of(self.name)

    @property
    def mode(self) -> str:
        """How the shape is stored: `code`, or its code with a `correction`, a `residual` or a `mesh`; or a `morph`.

        A code with an `Adjustment` counts as a code.
        """
        if self.correction is None or isinstance(self.correction, Adjustment):
            return "code"
        if isinstance(self.correction, MorphField):
            return "morph"
        if isinstance(self.correction, StoredMesh):
            return "mesh"
        return "residual" if isinstance(self.correction, Residual) else "correction"

    @property
    def level(self) -> float:
        """The level of the decoded field that its surface is at, unit frame; 0 unless an `Adjustment` says other."""
        return self.correction.level if isinstance(self.correction, Adjustment) else 0.0

    @property
    def least_piece(self) -> float:
        """Share of the area below which `mesh` leaves a connected piece out; 0 unless an `Adjustment` says other."""
        return self.correction.least_piece if isinstance(self.correction, Adjustment) else 0.0

    @property
    def by_code(self) -> bool:
        """Whether the code and the level say all of the shape: no correction beside them, and no boxes."""
        return self.correction is None or (isinstance(self.correction, Adjustment) and self.correction.smooth)

    @property
    def sdf(self) -> SDF:
        """The field in the unit frame, the correction included."""
        return self.decoded() if self.correction is None else self.correction.on(self.decoded())

    @property
    def smooth_sdf(self) -> SDF:
        """A C1 form of `sdf` with second derivatives, for `Jet` and terms of second order (`Conditioned.smoothed`).

        Raises:
            ValueError: the decoder has activations without second derivatives, or the correction has none (a
                `Residual`, an `Adjustment` with boxes, a `StoredMesh` or a `MorphField`).
        """
        if self.correction is not None and not self.correction.smooth:
            raise ValueError(f"the {self.mode} of {self.name!r} has no second derivatives; use without_correction()")
        smooth = self.decoded().smoothed()
        return smooth if self.correction is None else self.correction.on(smooth)

    def decoded(self, branch: str | None = None) -> Conditioned:
        """The field of the code alone, without the correction, in the unit frame.

        Args:
            branch: of the decoder; None is its last.

        Raises:
            ValueError: the decoder has no such branch.
        """
        return self.decoder.condition(self.code, branch)

    def without_correction(self) -> Shape:
        """The same shape without its correction."""
        return replace(self, correction=None)

    def at_level(self, level: float) -> Shape:
        """The shape of the code alone, its surface at another level of the decoded field.

        Args:
            level: unit frame; clipped to what is stored, 0 to .0156.
        """
        level = min(max(level, 0.0), LARGEST_LEVEL)
        return replace(self, correction=Adjustment.of(level) if level > 0 else None)

    def truncated(self, size: int) -> Shape:
        """The same shape by a prefix of its code: the numbers after the first `size` become zero.

        The correction is dropped, since it belongs to the whole code. The fidelity of a prefix depends on training:
        `TrainConfig.nested` holds the lengths of the nested (prefix) codes that are trained.

        Args:
            size: of the prefix, from 1 to D.

        Raises:
            ValueError: size is out of range.
        """
        if not 1 <= size <= len(self.code):
            raise ValueError(f"a code of {len(self.code)} numbers has no prefix of {size}; give 1 to {len(self.code)}")
        code = self.code.clone()
        code[size:] = 0.0
        return replace(self, code=code, correction=None, record=None)

    def searched_by(self) -> SearchRecord:
        """The search record (704,): `record`, or where there is none that of the decoded surface.

        Raises:
            ValueError: there is none, and the field has no surface.
        """
        return self.record if self.record is not None else search_record(self.mesh(RESOLUTION))

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) in source units, of points (N, 3) in source units."""
        return FramedField(self.sdf, self.frame, self.code.dtype)(points)

    def mesh(self, resolution: int = 256, branch: str | None = None) -> trimesh.Trimesh:
        """The surface as a triangle mesh in source units; watertight unless the shape is stored as a mesh that is not.

        It is extracted from the field; of a shape that is stored as a mesh it is that one, whatever the resolution.

        Args:
            resolution: lattice cells per axis; larger is finer, and slower about quadratically.
            branch: of the decoder, without the correction; None is its last, with the correction.

        Raises:
            ValueError: the field has no surface, or the decoder has no such branch.
        """
        if branch is None and isinstance(self.correction, StoredMesh):
            stored = self.correction.mesh
            return trimesh.Trimesh(self.frame.to_source(stored.vertices), stored.faces, process=False)
        sdf = self.sdf if branch is None else self.decoded(branch)
        mesh = extract_framed_mesh(FramedField(sdf, self.frame, self.code.dtype), resolution, like=self.code)
        return without_small_pieces(mesh, self.least_piece) if branch is None else mesh
