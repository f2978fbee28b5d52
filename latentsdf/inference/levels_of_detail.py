"""Levels of detail of a mesh: fewer faces, with the distance to the mesh measured both ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from ..core.arrays import Array, Indices
from ..core.frame import Frame
from ..mesh.distance import MeshSDF
from ..mesh.surface_sampling import surface_samples
from .mesh_simplification import decimate

SAMPLES = 20_000
"""Points drawn on each surface, beside its vertices, at which the other one's distance is measured."""
_LEAST_FACES = 4
_SHRINK, _FINEST_STEP = 0.5, 1.1
"""Share of the faces kept from one decimation to the next, and the ratio of face counts that ends the search."""


@dataclass(frozen=True, eq=False)
class DetailLevel:
    """A mesh and how far it is from the one that it stands for.

    Attributes:
        mesh: in the units of that one.
        tolerance: asked for, unit frame.
        distance: largest one measured, from the vertices and samples of either surface to the other, unit frame.
    """

    mesh: trimesh.Trimesh
    tolerance: float
    distance: float


def detail_levels(mesh: trimesh.Trimesh, frame: Frame, tolerances: list[float], seed: int = 0) -> list[DetailLevel]:
    """Simplify a mesh to each of several tolerances, with about the fewest faces that keep to it.

    Edges are collapsed by quadric errors (`decimate`), to half of the faces again and again until the measured distance
    exceeds the tolerance, and then to numbers between the last two. Coarser levels begin from finer ones.

    Args:
        mesh: the surface, source units.
        frame: its source units <-> unit frame.
        tolerances: in the unit frame, ascending; 0 keeps the mesh.
        seed: of the samples.

    Returns:
        A level for each tolerance, its distance at most that; the mesh itself where nothing simpler is near enough.
    """
    judge = _Judge(frame.to_unit(mesh.vertices), np.asarray(mesh.faces, dtype=np.int64), seed)
    levels, found = [], _Candidate(judge.vertices, judge.faces, 0.0)
    for tolerance in tolerances:
        found = _simplest(judge, found, tolerance) if tolerance > 0 else found
        simplified = mesh
        if len(found.faces) < len(mesh.faces):
            simplified = trimesh.Trimesh(frame.to_source(found.vertices), found.faces, process=False)
        levels.append(DetailLevel(simplified, tolerance, found.distance))
    return levels


@dataclass(frozen=True, eq=False)
class _Candidate:
    vertices: Array
    faces: Indices
    distance: float


class _Judge:
    """The surface that simplified ones stand for."""

    def __init__(self, vertices: Array, faces: Indices, seed: int):
        self.vertices, self.faces, self.seed = vertices, faces, seed
        self._surface = MeshSDF(vertices, faces)
        self._points = self._drawn(vertices, faces)

    def measured(self, vertices: Array, faces: Indices) -> _Candidate:
        """A simplified surface with its distance, infinite where nothing is left of it."""
        try:
            back = self._surface.distance(self._drawn(vertices, faces)).max()
            there = MeshSDF(vertices, faces).distance(self._points).max()
        except ValueError:
            return _Candidate(vertices, faces, np.inf)
        return _Candidate(vertices, faces, float(max(back, there)))

    def _drawn(self, vertices: Array, faces: Indices) -> Array:
        drawn = surface_samples(trimesh.Trimesh(vertices, faces, process=False), SAMPLES, self.seed)[0]
        return np.concatenate([vertices, drawn])


def _simplest(judge: _Judge, start: _Candidate, tolerance: float) -> _Candidate:
    """The candidate of fewest faces found that keeps to a tolerance."""
    best, low = start, _LEAST_FACES
    while len(best.faces) > 2 * _LEAST_FACES:
        count = max(int(_SHRINK * len(best.faces)), _LEAST_FACES)
        tried = judge.measured(*decimate(best.vertices, best.faces, count))
        if tried.distance > tolerance or len(tried.faces) >= len(best.faces):
            low = count
            break
        best = tried
    high = best
    while len(high.faces) > _FINEST_STEP * low:
        count = round((low * len(high.faces)) ** 0.5)
        tried = judge.measured(*decimate(high.vertices, high.faces, count))
        if len(tried.faces) >= len(high.faces):
            break
        if tried.distance <= tolerance:
            high = tried
        else:
            low = count
    return high
