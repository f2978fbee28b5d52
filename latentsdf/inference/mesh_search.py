"""Compact meshes in the fewest bytes that reach a tolerance, or as close as a number of bytes allows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import trimesh

from ..codec.mesh_stream import LATTICES, LatticeMesh
from ..core.arrays import Array, Indices
from ..mesh.distance import MeshSDF
from ..mesh.metrics import f_score
from ..mesh.surface_sampling import surface_samples
from ..space.stored_mesh import StoredMesh
from .mesh_simplification import decimate, fit_vertices, simplify_to_lattice
from .rate_search import Target

SAMPLES = 5000
"""Samples of each surface that F-scores are taken from."""
FIT_SAMPLES = 3000
_FEWEST, _RATIO, _STEPS = 12, 1.15, 48
"""Numbers of faces that are tried: 12, 14, 16, ... 8,500."""
_FIRST, _STRIDE = 18, 6
_SURPLUS = 1.03
"""Estimated bytes of a mesh that may still take the fewest, over the least estimate; others are not packed."""
_SIMPLER = 1.6
"""Ratio of faces between two steps of simplification. Each step begins with quadrics of its own mesh, which keeps a
shape better than those added up since the first (memoryless simplification: Lindstrom and Turk 1998), in less time."""


class FittedMesh(NamedTuple):
    """Result of a search.

    Attributes:
        mesh: None where no mesh is within the limit.
        f_score: reached, at `Target.distance`.
    """

    mesh: StoredMesh | None
    f_score: float


@dataclass(frozen=True, eq=False)
class _Trial:
    """A mesh and its F-score; it is packed when its bytes are asked for."""

    lattice_mesh: LatticeMesh
    f_score: float

    @property
    def estimate(self) -> float:
        """Estimated bytes: a fit to 73 meshes of 24 shapes, of which the least estimate always had the fewest bytes."""
        mesh = self.lattice_mesh
        return 24 + (0.094 * mesh.lattice - 3.6) * len(mesh.vertices) + 1.8 * len(mesh.faces)

    @cached_property
    def mesh(self) -> StoredMesh:
        return StoredMesh.of(self.lattice_mesh)


def search_mesh(truth: trimesh.Trimesh, target: Target, seed: int = 0) -> FittedMesh:
    """Search over numbers of faces, and the steps of the lattice that suit them, for the mesh that a target asks for.

    Args:
        truth: mesh in the unit frame.
        target: what is wanted; `max_bytes` counts the bytes of the mesh alone, `levels` is ignored.
        seed: of the surface samples.

    Returns:
        The mesh of the fewest bytes found that reaches the tolerance within the limit; where none does, that of the
        highest F-score within the limit.
    """
    return MeshSearch(truth, target.distance, seed).run(target)


class MeshSearch:
    """Searches for meshes of one shape; what one target tried is not made again for the next.

    Args:
        truth: mesh in the unit frame.
        distance: at which F-scores are taken.
        seed: of the surface samples.
    """

    def __init__(self, truth: trimesh.Trimesh, distance: float, seed: int = 0):
        self.vertices, self.faces = np.asarray(truth.vertices, dtype=np.float64), np.asarray(truth.faces)
        self.distance, self.seed = distance, seed
        self.truth: MeshSDF = MeshSDF(self.vertices, self.faces)
        self.points, _ = surface_samples(truth, SAMPLES, np.random.default_rng(seed))
        self.fitted, _ = surface_samples(truth, FIT_SAMPLES, np.random.default_rng(seed + 1))
        self.trials: dict[tuple[int, int], _Trial | None] = {}
        self.levels: dict[int, tuple[Array, Indices]] = {0: (self.vertices, self.faces)}

    def run(self, target: Target) -> FittedMesh:
        """The mesh that a target asks for, as `search_mesh`."""
        step = self.bisect(target)
        for place, shift in ((step, -1), (step, 1), (step - 1, 1), (step + 1, -1)):
            if 0 <= place < _STEPS:
                self.trial(place, shift)
        limit = target.max_bytes
        fitting = [item for item in self.trials.values() if item and (limit is None or item.mesh.nbytes <= limit)]
        if not fitting:
            return FittedMesh(None, 0.0)
        good = [item for item in fitting if _reached(item, target)]
        if good:
            least = min(item.estimate for item in good)
            good = [item for item in good if item.estimate <= _SURPLUS * least]
        best = min(good, key=lambda item: item.mesh.nbytes) if good else max(fitting, key=lambda item: item.f_score)
        return FittedMesh(best.mesh, best.f_score)

    def bisect(self, target: Target) -> int:
        """The least step that is enough or too much, or that before it where bytes alone are asked for."""
        low, high, step = -1, _STEPS, _FIRST
        stride = _STRIDE
        while high - low > 1:
            if _enough(self.trial(step, 0), target):
                high = step
                step = max(step - stride, (low + step) // 2 if low >= 0 else 0)
            else:
                low = step
                step = min(step + stride, (high + step + 1) // 2 if high < _STEPS else _STEPS - 1)
            if low >= 0 and high < _STEPS:
                step = (low + high) // 2
            stride *= 2
        return min(high, _STEPS - 1) if target.tolerance is not None else max(low, 0)

    def trial(self, step: int, shift: int) -> _Trial | None:
        """A mesh of the faces of a step, on the lattice `shift` finer than what suits them; None without a surface."""
        if (step, shift) not in self.trials:
            self.trials[step, shift] = self.make(round(_FEWEST * _RATIO**step), shift)
        return self.trials[step, shift]

    def make(self, count: int, shift: int) -> _Trial | None:
        """A mesh of about `count` faces."""
        # Along the least bytes of the F-scores measured, the lattice grew by three octaves for four of faces.
        lattice = min(max(round(11.4 + 1.45 * np.log2(count / 16.0)) + shift, 0), LATTICES - 1)
        mesh = simplify_to_lattice(*self.simpler(count), count, lattice)
        if mesh is None:
            return None
        mesh = fit_vertices(mesh, self.truth, self.fitted, self.distance, self.seed)
        return _Trial(mesh, self.score(mesh))

    def simpler(self, count: int) -> tuple[Array, Indices]:
        """Vertices (V, 3) and faces (F, 3) of the true mesh, simplified step by step to no fewer than count faces."""
        total = len(self.faces)
        level = max(0, int(np.floor(np.log(total / count) / np.log(_SIMPLER))))
        for number in range(1, level + 1):
            if number not in self.levels:
                self.levels[number] = decimate(*self.levels[number - 1], round(total / _SIMPLER**number))
        return self.levels[level]

    def score(self, mesh: LatticeMesh) -> float:
        """F-score of a mesh."""
        made = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        samples, _ = surface_samples(made, SAMPLES, np.random.default_rng(self.seed + 2))
        backward = MeshSDF(mesh.vertices, mesh.faces).distance(self.points)
        return f_score(self.truth.distance(samples), backward, self.distance)


def _enough(trial: _Trial | None, target: Target) -> bool:
    if trial is None:
        return False
    return _reached(trial, target) or (target.max_bytes is not None and trial.mesh.nbytes > target.max_bytes)


def _reached(trial: _Trial, target: Target) -> bool:
    return target.tolerance is not None and trial.f_score >= target.score
