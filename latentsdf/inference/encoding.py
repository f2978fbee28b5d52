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
from .candidate_rotations import frame_rows
from .candidates import LatticeColumns
from .code_fitting import CodeFitter, EncodeConfig
from .code_rounding import code_roundings
from .ghost_cuts import without_ghosts
from .initial_guesses import RESOLUTION
from .residual_fitting import SampledMesh, Target, refine_to_mesh
from .residuals import SignedSamples

NEAR, BAND = 0.8, 0.35
"""Samples near the surface, and in the band around it, over those of a config; others are uniform in the cube."""
NEAR_FOR_CODES = 0.4
"""Those near the surface that codes are fitted to: with all of them, and none in the band, 21 % of the surface of
unseen shapes were fragments of others, instead of 15 %. Residuals are fitted to all near it, and none in the band."""


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
            alone, at the level that suits the mesh (`with_level`) and with pieces cut out that the mesh lacks
            (`without_ghosts`): an `Adjustment` of 4 to 40 bytes.

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
    return list(encode_sampled(space, sampled, code_fitter(space, config), on_step=on_step, target=target))


def code_fitter(space: LatentSpace, config: EncodeConfig) -> CodeFitter:
    """Fits of codes of a space, kept with what they decode as long as its decoder and its codes stay the same."""

    def make() -> CodeFitter:
        rows = frame_rows(space) if config.pose == "upright" and len(space) else None
        return CodeFitter(space.decoder, space.codes(), config, rows, LatticeColumns.of_space(space, RESOLUTION))

    return space.derived.get(f"code_fitter {config}", make, of_codes=True)


def encode_sampled(
    space: LatentSpace,
    sampled: Sequence[tuple[str, SampledMesh]],
    fitter: CodeFitter,
    *,
    on_step: OnStep | None = None,
    target: Target | None = None,
) -> Iterator[Shape]:
    """Fit the codes of several meshes in one batch, then bring one after the other to a target; see `encode_all`.

    Args:
        space: whose decoder reads the codes.
        sampled: (name, samples) of each mesh, by `sample_for_codes` with the config of the fitter.
        fitter: `code_fitter` of the space.
        on_step: called after every iteration of the fit.
        target: as `encode`, of each shape.

    Yields:
        The shapes, in the order of the meshes.

    Raises:
        KeyboardInterrupt: Ctrl-C before the fit ended.
    """
    samples = SignedSamples(
        torch.stack([item.points[item.code_rows] for _, item in sampled]),
        torch.stack([item.distances[item.code_rows] for _, item in sampled]),
    )
    result, config = fitter.fit(samples, on_step), fitter.config
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    poses, roundings = result.guess.pose, code_roundings(space, result.guess, samples, config.seed)
    for row, (name, item) in enumerate(sampled):
        frame = item.frame if poses is None else poses.frame(row, item.frame)
        fitted = {**item.metadata, "fit_error": float(result.losses[row])}
        code = result.guess.codes[row] if space.code_format is None else roundings[row].at(0).code
        shape = Shape(name, code, frame, space.decoder, fitted, record=item.record)
        if target is None:
            yield without_ghosts(item.at_level(shape), item.mesh)
        else:
            yield refine_to_mesh(shape, item, target, roundings[row], config.seed)


def sample_for_codes(mesh: trimesh.Trimesh | str | Path, config: EncodeConfig) -> SampledMesh:
    """Signed samples of a mesh (in its own units, or its file), as `encode` fits a code to.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
    """
    source = str(mesh) if isinstance(mesh, (str, Path)) else None
    loaded = load_mesh(mesh) if isinstance(mesh, (str, Path)) else mesh
    near = int(NEAR * config.samples)
    sampling = SamplingConfig(near=near, uniform=config.samples - near, band=int(BAND * config.samples), lattice=0)
    sampled = sample_mesh(loaded, sampling, config.seed)
    groups = [sampled.groups[name] for name in ("near", "uniform", "band")]
    random = np.random.default_rng(config.seed)
    plain = random.permutation(sum(len(group.points) for group in groups[:2]))
    band = len(plain) + random.permutation(len(groups[2].points))
    order = np.concatenate([plain, band])
    points, distances = (
        np.concatenate([getattr(group, field) for group in groups])[order].astype(np.float32)
        for field in ("points", "distances")
    )
    kept = int(NEAR_FOR_CODES * config.samples)
    fitted = np.flatnonzero((order < kept) | (order >= len(groups[0].points)))
    # The band of a small surface has fewer points than asked for; all shapes of a batch need the same number.
    fitted = np.resize(random.permutation(fitted), kept + sampling.uniform + sampling.band)
    return SampledMesh(
        torch.from_numpy(points),
        torch.from_numpy(distances),
        torch.from_numpy(fitted),
        sampled.frame,
        sampled.mesh,
        {"source": source, "audit": sampled.audit.to_dict()},
        sampled.record,
    )
