"""Residuals of encoded shapes, fitted to their meshes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
import trimesh
from torch import Tensor

from ..codec.rate_distortion import RateSamples
from ..codec.residual import TRUNCATION
from ..core.arrays import Array
from ..core.field import SDF
from ..core.frame import UNIT_RADIUS, Frame
from ..space.shape import Shape
from .rate_search import SAMPLES, Target, search_residual
from .surface_judge import SurfaceJudge

CORNERS = 3000
"""Points drawn in the cube to cover what the samples, rotated, leave out of it."""


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


def refine_to_mesh(shape: Shape, sampled: SampledMesh, target: Target, seed: int = 0) -> Shape:
    """Add to a shape the residual that a target asks for.

    Args:
        shape: the code and its frame; an earlier correction is dropped.
        sampled: the mesh.
        target: how close the shape must come, or how many bytes code and residual may take.
        seed: of the samples added.

    Returns:
        The shape, with a residual unless the code alone reaches the target, and the F-score reached in its metadata.
    """
    prior = shape.decoded()
    points, distances = _in_frame(sampled, shape.frame, np.random.default_rng(seed))
    samples = RateSamples(points, distances, _decode(prior, points, shape.code))
    truth = trimesh.Trimesh(shape.frame.to_unit(sampled.mesh.vertices), sampled.mesh.faces, process=False)

    def evaluate(points: Tensor) -> Tensor:
        return prior(points.to(shape.code))

    judge = SurfaceJudge(evaluate, truth, seed, unit=sampled.frame.scale / shape.frame.scale)
    found = search_residual(samples, judge, target, len(shape.code) + 4)
    reached = {"f_score": found.f_score, "tolerance": target.distance}
    return replace(shape, correction=found.residual, metadata={**shape.metadata, **reached})


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
