"""Residuals of encoded shapes, fitted to their meshes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import trimesh
from torch import Tensor

from ..codec.code_coding import pack_code, round_code
from ..codec.rate_distortion import RateDescent, RateSamples
from ..codec.residual import TRUNCATION, Residual
from ..core.arrays import Array
from ..core.field import SDF
from ..core.frame import UNIT_RADIUS, Frame
from ..space.shape import Shape
from .rate_search import SAMPLES, Target, rate_point, search_residual
from .surface_judge import SurfaceJudge

CORNERS = 3000
"""Points drawn in the cube to cover what the samples, rotated, leave out of it."""

PREFIX_WEIGHT = 1e-3
"""Lambda at which prefixes are compared, that of some 300 bytes a shape."""


class SampledMesh(NamedTuple):
    """A mesh and signed samples of it.

    Attributes:
        points: (N, 3) in the unit frame, in random order.
        distances: (N,) signed.
        frame: mesh units <-> unit frame of the samples.
        mesh: repaired, in its own units.
        metadata: of the mesh.
    """

    points: Tensor
    distances: Tensor
    frame: Frame
    mesh: trimesh.Trimesh
    metadata: Mapping[str, Any]


def refine_to_mesh(
    shape: Shape,
    sampled: SampledMesh,
    target: Target,
    unit: Tensor,
    prefixes: Sequence[int] = (),
    seed: int = 0,
) -> Shape:
    """Round the code of a shape, and add the residual that a target asks for.

    Args:
        shape: the code and its frame; an earlier correction is dropped.
        sampled: the mesh.
        target: how close the shape must come, or how many bytes code and residual may take.
        unit: (D,) of the dimensions of the code, see `space.quantize.code_unit`.
        prefixes: lengths of prefixes of the code that may take its place where code and residual are smaller together.
        seed: of the samples added.

    Returns:
        The shape, with a residual unless the code alone reaches the target; in its metadata the F-score reached, its
        distance, and the bytes of the code.
    """
    scene = _in_frame(sampled, shape.frame, np.random.default_rng(seed))
    best = _best_prefix(shape, scene, [*prefixes, len(shape.code)], target, unit)
    found = search_residual(best.samples, _judge_of(best.shape, sampled, seed), target, best.nbytes)
    reached = {"f_score": found.f_score, "tolerance": target.distance, "code_bytes": best.nbytes}
    return replace(best.shape, correction=found.residual, metadata={**shape.metadata, **reached})


class _Prefix(NamedTuple):
    shape: Shape
    nbytes: int
    samples: RateSamples


def _best_prefix(
    shape: Shape, scene: tuple[Array, Array], sizes: Sequence[int], target: Target, unit: Tensor
) -> _Prefix:
    """Rounded prefix of the least distortion + lambda * bits at one lambda, of those within the limit."""
    candidates = []
    for size in sizes:
        cut = shape.truncated(size)
        code, numbers = round_code(cut.code, unit)
        candidates.append((replace(cut, code=code), len(pack_code(numbers))))
    limit = target.max_bytes
    fitting = [item for item in candidates if limit is None or item[1] <= limit] or candidates[:1]
    best, least = None, np.inf
    for cut, nbytes in fitting:
        samples = _samples_on(cut, scene)
        descent = RateDescent(samples, 3)
        point, _ = rate_point(PREFIX_WEIGHT, len(samples.points))
        residual = Residual.of(descent.solve(point, sweeps=2))
        cost = descent.distortion + point.weight * 8 * (nbytes + residual.nbytes)
        if best is None or cost < least:
            best, least = _Prefix(cut, nbytes, samples), cost
    assert best is not None
    return best


def _samples_on(shape: Shape, scene: tuple[Array, Array]) -> RateSamples:
    """Samples that residuals of a shape are fitted to, of points (N, 3) and distances (N,) in its frame."""
    points, distances = scene
    return RateSamples(points, distances, _decode(shape.decoded(), points, shape.code))


def _judge_of(shape: Shape, sampled: SampledMesh, seed: int = 0) -> SurfaceJudge:
    """Judge of the surfaces of residuals of a shape; arguments as `refine_to_mesh`."""
    truth = trimesh.Trimesh(shape.frame.to_unit(sampled.mesh.vertices), sampled.mesh.faces, process=False)
    return SurfaceJudge(shape.decoded(), truth, seed, sampled.frame.scale / shape.frame.scale, shape.code)


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
