"""Stored shapes brought to a tolerance or a number of bytes: codes rounded, residuals added."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import trimesh

from ..space.shape import Shape
from ..space.space import LatentSpace
from .code_fitting import EncodeConfig
from .code_rounding import code_roundings
from .encoding import sample_for_codes
from .objective import Guess
from .rate_search import Target
from .residual_fitting import refine_to_mesh
from .residuals import SignedSamples


def pack_shape(
    space: LatentSpace, shape: Shape, mesh: trimesh.Trimesh | str | Path, target: Target, seed: int = 0
) -> Shape:
    """Store a shape of a space in the bytes that a target asks for; its code is not fitted anew.

    Args:
        space: that holds the shape.
        shape: its earlier correction or residual is dropped.
        mesh: that it was made from, in its own units, or its file.
        target: how close the shape must come, or how many bytes it may take.
        seed: of the samples of the mesh.

    Returns:
        The shape, its code rounded and with a residual where the target asks for one; its metadata say the F-score
        reached (`f_score`, at `tolerance`) and the bytes of the code (`code_bytes`).

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
    """
    sampled = sample_for_codes(mesh, EncodeConfig(seed=seed))
    rows = sampled.code_rows
    points = shape.frame.to_unit(sampled.frame.to_source(sampled.points[rows].double().numpy())).clip(-1.0, 1.0)
    samples = SignedSamples(sampled.points.new_tensor(points)[None], sampled.distances[rows][None])
    (rounding,) = code_roundings(space, Guess(shape.code[None]), samples, seed)
    record = sampled.record if shape.record is None else shape.record
    plain = replace(shape.without_correction(), record=record)
    return refine_to_mesh(plain, sampled, target, rounding, seed)
