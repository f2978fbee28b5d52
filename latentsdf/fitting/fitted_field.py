"""Result of a fit: the field of a scan, in the scan's own units, and facts of the fit."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import trimesh
from torch import Tensor

from ..core.field import SDF
from ..core.frame import Frame
from ..core.framed_field import FramedField
from ..core.optimize import Stop
from ..mesh.isosurface import extract_framed_mesh

MINIMUM_POINTS = 32
"""Distinct points that a fit needs: two neighbourhoods of the 16 points from which a solve estimates a normal."""


class FitMethod(enum.Enum):
    """Method of a fit; the value is its name in reports."""

    SOLVE = "solve"
    DESCENT = "descent"


@dataclass(frozen=True, eq=False)
class Fitted:
    """A scan explained by a field of its own: an SDF in the scan's own units.

    Attributes:
        sdf: the field in the unit frame.
        frame: the scan's units <-> unit frame.
        stop: why the fit ended.
        trace: rows of progress, seconds, loss and weighted terms by name; about 200, none of a solve.
        steps: of the descent, or iterations of conjugate gradients.
        seconds: wall time, preparation included.
        preset: the name of the objective; "" for terms of one's own.
        network: the kind of network; `splines` for a solve.
        notes: changes to the scan and properties of the field, one line each.
        method: a linear solve or a descent.
    """

    sdf: SDF
    frame: Frame
    stop: Stop
    trace: tuple[dict[str, float], ...]
    steps: int
    seconds: float
    preset: str
    network: str
    notes: tuple[str, ...]
    method: FitMethod

    def __call__(self, points: Tensor) -> Tensor:
        """Signed distances (N,) in the scan's units, of points (N, 3) in the scan's units."""
        return FramedField(self.sdf, self.frame)(points)

    def mesh(self, resolution: int = 256) -> trimesh.Trimesh:
        """Zero level set as a watertight triangle mesh in the scan's units.

        Args:
            resolution: lattice cells per axis; larger is finer, and slower about quadratically.

        Raises:
            ValueError: the field has no surface.
        """
        return extract_framed_mesh(FramedField(self.sdf, self.frame), resolution)
