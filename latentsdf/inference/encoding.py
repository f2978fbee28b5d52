"""Codes of unseen meshes, with the decoder frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import trimesh
from torch import Tensor

from ..core.frame import Frame
from ..core.optimize import OnStep, Stop
from ..dataset.mesh_samples import sample_mesh
from ..dataset.sampling import SamplingConfig
from ..mesh.load import load_mesh
from ..space.shape import Shape
from ..space.space import LatentSpace
from .code_fitting import EncodeConfig, infer_codes
from .residuals import SignedSamples


def encode(
    space: LatentSpace,
    mesh: trimesh.Trimesh | str | Path,
    *,
    name: str | None = None,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
) -> Shape:
    """Fit the code of an unseen mesh; the decoder stays as it is, and the shape is not added to the space.

    Args:
        space: whose decoder reads the code.
        mesh: a mesh in its own units, or its file.
        name: of the shape; None takes the file's stem, or `shape`.
        config: `EncodeConfig()` if None.
        on_step: called after every iteration of the fit.

    Returns:
        The shape, in the mesh's own units.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
        KeyboardInterrupt: Ctrl-C before the fit ended.
    """
    stem = Path(mesh).stem if isinstance(mesh, (str, Path)) else "shape"
    return encode_all(space, [(name or stem, mesh)], config=config, on_step=on_step)[0]


def encode_all(
    space: LatentSpace,
    meshes: Sequence[tuple[str, trimesh.Trimesh | str | Path]],
    *,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
) -> list[Shape]:
    """Fit the codes of several unseen meshes in one batch; see `encode`.

    Args:
        space: whose decoder reads the codes.
        meshes: (name, mesh or file) of each.
        config: `EncodeConfig()` if None.
        on_step: called after every iteration of the fit.

    Returns:
        One shape per mesh, in the mesh's own units.

    Raises:
        FileNotFoundError, ValueError: a mesh cannot be read or has no inside.
        KeyboardInterrupt: Ctrl-C before the fit ended.
    """
    config = config or EncodeConfig()
    config = config if config.nested else replace(config, nested=space.prefix_sizes)
    points, distances, frames, metadata = zip(*(_signed_samples(mesh, config) for _, mesh in meshes), strict=True)
    samples = SignedSamples(torch.stack(points), torch.stack(distances))
    result = infer_codes(space.decoder, samples, space.codes(), config, on_step)
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    codes, poses = result.guess.codes, result.guess.pose
    shapes = []
    for row, ((name, _), frame, known) in enumerate(zip(meshes, frames, metadata, strict=True)):
        frame = frame if poses is None else poses.frame(row, frame)
        fitted = {**known, "fit_error": float(result.losses[row])}
        shapes.append(Shape(name, codes[row], frame, space.decoder, fitted))
    return shapes


def _signed_samples(
    mesh: trimesh.Trimesh | str | Path, config: EncodeConfig
) -> tuple[Tensor, Tensor, Frame, dict[str, object]]:
    """Points (N, 3) and signed distances (N,) of a mesh in its unit frame, the frame, and metadata."""
    source = str(mesh) if isinstance(mesh, (str, Path)) else None
    loaded = load_mesh(mesh) if isinstance(mesh, (str, Path)) else mesh
    near = int(0.8 * config.samples)
    sampling = SamplingConfig(near=near, uniform=config.samples - near, band=0, lattice=0)
    audit, frame, groups, _ = sample_mesh(loaded, sampling, config.seed)
    points, distances = (
        np.concatenate([getattr(groups[name], field) for name in ("near", "uniform")])
        for field in ("points", "distances")
    )
    order = np.random.default_rng(config.seed).permutation(len(points))
    return (
        torch.from_numpy(points[order].astype(np.float32)),
        torch.from_numpy(distances[order].astype(np.float32)),
        frame,
        {"source": source, "audit": audit.to_dict()},
    )
