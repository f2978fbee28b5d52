"""Residuals of encoded shapes, fitted to their meshes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import trimesh
from torch import Tensor

from ..codec.rate_distortion import RateDescent, RateSamples
from ..codec.residual import TRUNCATION, Residual
from ..core.arrays import Array
from ..core.field import SDF
from ..core.frame import UNIT_RADIUS, Frame
from ..mesh.search_record import SearchRecord
from ..space.shape import Shape
from ..space.suited_level import with_level
from .code_rounding import CodeRounding
from .mesh_search import MeshSearch
from .rate_search import SAMPLES, Target, rate_point, search_residual
from .surface_judge import SurfaceJudge

CORNERS = 3000
"""Points drawn in the cube to cover what the samples, rotated, leave out of it."""

SHIFT_UNDER_MESH = 4
"""Rounding of a code whose shape is stored as a mesh, and which is only compared and mixed with others: 28 bytes keep
four fifths of the variance of codes of 256 numbers."""
SCORE_MARGINS = (0.001, 0.002, 0.004, 0.008)
"""What each further search for a mesh that the judge, too, finds close enough adds to what the last one lacked."""
TORN, WIDER = 0.92, 3.0
"""F-score of a code alone, at `WIDER` times the tolerance, below which no residual is tried where a mesh reaches the
tolerance: of 40 held-out shapes 16 are below, all of them stored as meshes, and the least with a residual has .947."""
CODE_WEIGHT = 1e-3
"""Lambda at which roundings of a code are compared, that of some 300 bytes a shape."""


class SampledMesh(NamedTuple):
    """A mesh and signed samples of it.

    Attributes:
        points: (N, 3) in the unit frame, in random order, those of the band behind the others.
        distances: (N,) signed.
        code_rows: (K,) rows of the samples that codes are fitted to, in random order.
        frame: mesh units <-> unit frame of the samples.
        mesh: repaired, in its own units.
        metadata: of the mesh.
        record: search record of the mesh; None where it was not made.
    """

    points: Tensor
    distances: Tensor
    code_rows: Tensor
    frame: Frame
    mesh: trimesh.Trimesh
    metadata: Mapping[str, Any]
    record: SearchRecord | None = None

    def at_level(self, shape: Shape) -> Shape:
        """A shape of the code alone at the level that suits the samples of codes; its frame may be another one."""
        points = shape.frame.to_unit(self.frame.to_source(self.points[self.code_rows].double().numpy()))
        distances = self.distances[self.code_rows] * (self.frame.scale / shape.frame.scale)
        return with_level(shape, torch.from_numpy(points), distances)


def refine_to_mesh(
    shape: Shape,
    sampled: SampledMesh,
    target: Target,
    rounding: CodeRounding,
    seed: int = 0,
) -> Shape:
    """Round the code of a shape, and add what a target asks for: nothing, a residual, or a mesh in its place.

    Whichever takes fewer bytes is stored, or comes closer where bytes are given. A mesh (`StoredMesh`) takes fewer for
    sheets, teeth and kinds that the space does not know.

    Args:
        shape: the code and its frame; an earlier correction is dropped.
        sampled: the mesh.
        target: how close the shape must come, or how many bytes code and residual may take.
        rounding: of its code; the one that takes the fewest bytes together with a residual is chosen.
        seed: of the samples added.

    Returns:
        The shape, with a residual or a mesh unless the code alone reaches the target; in its metadata the F-score
        reached, its distance, and the bytes of the code.
    """
    plain = replace(shape, code=rounding.at(0).code, correction=None)
    judge = _judge_of(plain, sampled, seed)
    enough = None if target.tolerance is None else target.score
    alone, wider = judge.f_scores(None, [target.distance, WIDER * target.distance], enough=enough)
    close = target.tolerance is not None and alone >= target.score
    levelled = None if close else _levelled(plain, sampled, judge, target, rounding.at(0).nbytes)
    if levelled is not None and _reaches(levelled, target):
        return _stated(levelled, shape, target)
    stored = None if close else _stored_mesh(shape, sampled, judge, target, rounding)
    close_mesh = stored is not None and _reaches(stored, target)
    if stored is not None and close_mesh:
        if wider < TORN:
            return _stated(stored, shape, target)
        # A residual that takes more bytes than the mesh is not wanted.
        target = replace(target, max_bytes=stored.nbytes - 1)
    scene = _in_frame(sampled, shape.frame, np.random.default_rng(seed))
    best = _best_code(shape, scene, target, rounding)
    if not torch.equal(best.shape.code, plain.code):
        judge = _judge_of(best.shape, sampled, seed)
    found = search_residual(best.samples, judge, target, best.nbytes, closest=not close_mesh)
    nbytes = best.nbytes + (0 if found.residual is None else found.residual.nbytes)
    chosen = _Stored(replace(best.shape, correction=found.residual), best.nbytes, nbytes, found.f_score)
    if stored is not None and not _reaches(chosen, target):
        chosen = max(chosen, stored, key=lambda item: item.f_score)
    return _stated(chosen, shape, target)


class _Stored(NamedTuple):
    shape: Shape
    code_bytes: int
    nbytes: int
    f_score: float


def _stated(chosen: _Stored, shape: Shape, target: Target) -> Shape:
    """The chosen form of a shape, with what it reaches in its metadata."""
    reached = {"f_score": chosen.f_score, "tolerance": target.distance, "code_bytes": chosen.code_bytes}
    return replace(chosen.shape, metadata={**shape.metadata, **reached})


def _reaches(stored: _Stored, target: Target) -> bool:
    """Whether a stored shape reaches the tolerance of a target; False where bytes alone are asked for."""
    if target.tolerance is None or stored.f_score < target.score:
        return False
    return target.max_bytes is None or stored.nbytes <= target.max_bytes


def _levelled(
    plain: Shape, sampled: SampledMesh, judge: SurfaceJudge, target: Target, code_bytes: int
) -> _Stored | None:
    """The code alone at the level that suits the samples; None at level 0, or without a tolerance."""
    if target.tolerance is None:
        return None
    found = sampled.at_level(plain)
    if found.correction is None:
        return None
    (score,) = judge.f_scores(None, [target.distance], found.level, target.score)
    return _Stored(found, code_bytes, code_bytes + found.correction.nbytes, score)


def _stored_mesh(
    shape: Shape, sampled: SampledMesh, judge: SurfaceJudge, target: Target, rounding: CodeRounding
) -> _Stored | None:
    """The shape with a coarse code and the mesh that a target asks for; None where no mesh is within the limit."""
    code, size = rounding.at(min(SHIFT_UNDER_MESH, rounding.shifts[-1]))
    limit = None if target.max_bytes is None else target.max_bytes - size
    if limit is not None and limit < 1:
        return None
    unit = sampled.frame.scale / shape.frame.scale
    there = replace(target, max_bytes=limit, tolerance=target.tolerance and target.tolerance * unit)
    search, best = MeshSearch(_unit_mesh(shape, sampled), there.distance), None
    for margin in (*SCORE_MARGINS, None):
        mesh = search.run(there).mesh
        if mesh is None:
            return best
        surface = trimesh.Trimesh(mesh.mesh.vertices, mesh.mesh.faces, process=False)
        score = judge.scores_of(surface, [target.distance])[0]
        if best is None or score > best.f_score:
            best = _Stored(replace(shape, code=code, correction=mesh), size, size + mesh.nbytes, score)
        if target.tolerance is None or score >= target.score or margin is None:
            return best
        wanted = there.score + target.score - score + margin
        if wanted >= 1:
            return best
        # The search takes F-scores from fewer samples than the judge.
        there = replace(there, score=wanted)
    return best


class _Coded(NamedTuple):
    shape: Shape
    nbytes: int
    samples: RateSamples


def _best_code(shape: Shape, scene: tuple[Array, Array], target: Target, rounding: CodeRounding) -> _Coded:
    """Rounded code of the least distortion + lambda * bits at one lambda, of those within the limit."""
    candidates = [rounding.at(shift) for shift in rounding.shifts]
    limit = target.max_bytes
    fitting = [item for item in candidates if limit is None or item.nbytes <= limit] or candidates[-1:]
    best, least = None, np.inf
    for code, nbytes in fitting:
        coded = replace(shape, code=code, correction=None)
        samples = _samples_on(coded, scene)
        descent = RateDescent(samples, 3)
        point, _ = rate_point(CODE_WEIGHT, len(samples.points))
        residual = Residual.of(descent.solve(point, sweeps=2))
        cost = descent.distortion + point.weight * 8 * (nbytes + residual.nbytes)
        if cost > least and best is not None:
            break
        best, least = _Coded(coded, nbytes, samples), cost
    assert best is not None
    return best


def _samples_on(shape: Shape, scene: tuple[Array, Array]) -> RateSamples:
    """Samples that residuals of a shape are fitted to, of points (N, 3) and distances (N,) in its frame."""
    points, distances = scene
    return RateSamples(points, distances, _decode(shape.decoded(), points, shape.code))


def _judge_of(shape: Shape, sampled: SampledMesh, seed: int = 0) -> SurfaceJudge:
    """Judge of the surfaces of residuals of a shape; arguments as `refine_to_mesh`."""
    truth = _unit_mesh(shape, sampled)
    return SurfaceJudge(shape.decoded(), truth, seed, sampled.frame.scale / shape.frame.scale, shape.code)


def _unit_mesh(shape: Shape, sampled: SampledMesh) -> trimesh.Trimesh:
    """The mesh in the unit frame of a shape."""
    return trimesh.Trimesh(shape.frame.to_unit(sampled.mesh.vertices), sampled.mesh.faces, process=False)


def prepare_residuals(shape: Shape, sampled: SampledMesh, seed: int = 0) -> tuple[RateSamples, SurfaceJudge]:
    """Samples that residuals of a shape are fitted to, and a judge of their surfaces; see `refine_to_mesh`."""
    scene = _in_frame(sampled, shape.frame, np.random.default_rng(seed))
    return _samples_on(shape, scene), _judge_of(shape, sampled, seed)


def _in_frame(sampled: SampledMesh, frame: Frame, generator: np.random.Generator) -> tuple[Array, Array]:
    """Samples in the cube of another frame: points (N, 3) and distances (N,)."""
    points = frame.to_unit(sampled.frame.to_source(sampled.points[:SAMPLES].double().numpy()))
    distances = sampled.distances[:SAMPLES].double().numpy() * (sampled.frame.scale / frame.scale)
    inside = (np.abs(points) <= 1.0).all(axis=1)
    corners = generator.uniform(-1.0, 1.0, (CORNERS, 3))
    before = sampled.frame.to_unit(frame.to_source(corners))
    beyond = np.linalg.norm(before, axis=1) - UNIT_RADIUS
    # The shape lies in a sphere of the frame of the samples, so points outside of both sphere and cube are outside it.
    empty = (np.abs(before) > 1.0).any(axis=1) & (beyond > TRUNCATION)
    return (
        np.concatenate([points[inside], corners[empty]]),
        np.concatenate([distances[inside], beyond[empty] * (sampled.frame.scale / frame.scale)]),
    )


def _decode(prior: SDF, points: Array, like: Tensor) -> Array:
    with torch.no_grad():
        parts = torch.from_numpy(points).to(like).split(1 << 15)
        return torch.cat([prior(part) for part in parts]).double().cpu().numpy()
