"""Codes of unseen meshes, with the decoder frozen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import trimesh

from ..core.optimize import OnStep, Stop
from ..dataset.mesh_samples import sample_mesh
from ..dataset.sampling import SamplingConfig
from ..mesh.load import load_mesh
from ..space.shape import Shape
from ..space.space import LatentSpace
from .code_fitting import EncodeConfig, infer_codes
from .code_rounding import code_roundings
from .residual_fitting import SampledMesh, Target, refine_to_mesh
from .residuals import SignedSamples


def encode(
    space: LatentSpace,
    mesh: trimesh.Trimesh | str | Path,
    *,
    name: str | None = None,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
    target: Target | None = None,
) -> Shape:
    """Fit the code of an unseen mesh; the decoder stays as it is, and the shape is not added to the space.

    Args:
        space: whose decoder reads the code.
        mesh: a mesh in its own units, or its file.
        name: of the shape; None takes the file's stem, or `shape`.
        config: `EncodeConfig()` if None.
        on_step: called after every iteration of the fit.
        target: how close the shape must come, or how many bytes it may take: code and residual. None takes the code
            alone.

    Returns:
        The shape, in the mesh's own units, its code as a file of the space holds it. With a target its code may be
        rounded more coarsely, where code and residual take fewer bytes together; its metadata then hold `f_score` and
        `tolerance`, the F-score reached and its distance in the unit frame, and `code_bytes`, the size of the code.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
        KeyboardInterrupt: Ctrl-C before the fit ended.
    """
    stem = Path(mesh).stem if isinstance(mesh, (str, Path)) else "shape"
    return encode_all(space, [(name or stem, mesh)], config=config, on_step=on_step, target=target)[0]


def encode_all(
    space: LatentSpace,
    meshes: Sequence[tuple[str, trimesh.Trimesh | str | Path]],
    *,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
    target: Target | None = None,
) -> list[Shape]:
    """Fit the codes of several unseen meshes in one batch; see `encode`.

    Args:
        space: whose decoder reads the codes.
        meshes: (name, mesh or file) of each.
        config: `EncodeConfig()` if None.
        on_step: called after every iteration of the fit.
        target: as `encode`, of each shape.

    Returns:
        One shape per mesh, in the mesh's own units.

    Raises:
        FileNotFoundError, ValueError: a mesh cannot be read or has no inside.
        KeyboardInterrupt: Ctrl-C before the fit ended.
    """
    config = config or EncodeConfig()
    sampled = [(name, sample_for_codes(mesh, config)) for name, mesh in meshes]
    return list(encode_sampled(space, sampled, config, on_step=on_step, target=target))


def encode_sampled(
    space: LatentSpace,
    sampled: Sequence[tuple[str, SampledMesh]],
    config: EncodeConfig,
    *,
    on_step: OnStep | None = None,
    target: Target | None = None,
) -> Iterator[Shape]:
    """Fit the codes of several meshes in one batch, then bring one after the other to a target; see `encode_all`.

    Args:
        space: whose decoder reads the codes.
        sampled: (name, samples) of each mesh, by `sample_for_codes` with the same config.
        config: of the fit.
        on_step: called after every iteration of the fit.
        target: as `encode`, of each shape.

    Yields:
        The shapes, in the order of the meshes.

    Raises:
        KeyboardInterrupt: Ctrl-C before the fit ended.
    """
    samples = SignedSamples(
        torch.stack([item.points for _, item in sampled]), torch.stack([item.distances for _, item in sampled])
    )
    result = infer_codes(space.decoder, samples, space.codes(), config, on_step)
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    poses, roundings = result.guess.pose, code_roundings(space, result.guess, samples, config.seed)
    for row, (name, item) in enumerate(sampled):
        frame = item.frame if poses is None else poses.frame(row, item.frame)
        fitted = {**item.metadata, "fit_error": float(result.losses[row])}
        code = result.guess.codes[row] if space.code_format is None else roundings[row].at(0).code
        shape = Shape(name, code, frame, space.decoder, fitted, record=item.record)
        yield shape if target is None else refine_to_mesh(shape, item, target, roundings[row], config.seed)


def sample_for_codes(mesh: trimesh.Trimesh | str | Path, config: EncodeConfig) -> SampledMesh:
    """Signed samples of a mesh (in its own units, or its file), as `encode` fits a code to.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
    """
    source = str(mesh) if isinstance(mesh, (str, Path)) else None
    loaded = load_mesh(mesh) if isinstance(mesh, (str, Path)) else mesh
    near = int(0.8 * config.samples)
    sampling = SamplingConfig(near=near, uniform=config.samples - near, band=0, lattice=0)
    sampled = sample_mesh(loaded, sampling, config.seed)
    points, distances = (
        np.concatenate([getattr(sampled.groups[name], field) for name in ("near", "uniform")])
        for field in ("points", "distances")
    )
    order = np.random.default_rng(config.seed).permutation(len(points))
    return SampledMesh(
        torch.from_numpy(points[order].astype(np.float32)),
        torch.from_numpy(distances[order].astype(np.float32)),
        sampled.frame,
        sampled.mesh,
        {"source": source, "audit": sampled.audit.to_dict()},
        sampled.record,
    )
