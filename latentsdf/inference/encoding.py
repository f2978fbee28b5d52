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
from .code_fitting import EncodeConfig, SignedSamples, infer_codes


def encode(
    space: LatentSpace,
    mesh: trimesh.Trimesh | str | Path,
    *,
    name: str | None = None,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
) -> Shape:
    """The code of an unseen mesh; the space's decoder does not change, and the shape is not added to it.

    Args:
        space: whose decoder reads the code.
        mesh: a mesh in its own units, or its file.
        name: of the shape; None takes the file's stem, or `shape`.
        config: how.
        on_step: called after every step of the fit.

    Returns:
        The shape, in the mesh's own units.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read or has no inside.
    """
    return encode_all(space, [(name or _stem(mesh), mesh)], config=config, on_step=on_step)[0]


def encode_all(
    space: LatentSpace,
    meshes: Sequence[tuple[str, trimesh.Trimesh | str | Path]],
    *,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
) -> list[Shape]:
    """Codes of several unseen meshes, fitted in one batch; see `encode`.

    Args:
        space: whose decoder reads the codes.
        meshes: (name, mesh or file) of each.
        config: how.
        on_step: called after every step of the fit.

    Raises:
        FileNotFoundError, ValueError: a mesh cannot be read or has no inside.
        KeyboardInterrupt: Ctrl-C; codes that are only half fitted are not returned.
    """
    config = _for_space(config, space)
    prepared = [_signed_samples(name, mesh, config) for name, mesh in meshes]
    targets = SignedSamples(torch.stack([item[0] for item in prepared]), torch.stack([item[1] for item in prepared]))
    found = infer_codes(space.decoder, targets, space.codes(), config, on_step)
    if found.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    shapes = []
    for row, ((name, _), (_, _, frame, info)) in enumerate(zip(meshes, prepared, strict=True)):
        frame = frame if found.poses is None else found.poses.frame(row, frame)
        shapes.append(
            Shape(name, found.codes[row], frame, space.decoder, {**info, "fit_error": float(found.errors[row])})
        )
    return shapes


def _for_space(config: EncodeConfig | None, space: LatentSpace) -> EncodeConfig:
    config = config or EncodeConfig()
    return config if config.nested else replace(config, nested=space.prefix_sizes)


def _signed_samples(
    name: str, mesh: trimesh.Trimesh | str | Path, config: EncodeConfig
) -> tuple[Tensor, Tensor, Frame, dict]:
    source = str(mesh) if isinstance(mesh, (str, Path)) else None
    loaded = load_mesh(mesh) if isinstance(mesh, (str, Path)) else mesh
    near = int(0.8 * config.samples)
    sampling = SamplingConfig(near=near, uniform=config.samples - near, band=0, lattice=0)
    audit, frame, groups, _ = sample_mesh(loaded, sampling, config.seed)
    points = np.concatenate([groups["near"].points, groups["uniform"].points])
    distances = np.concatenate([groups["near"].distances, groups["uniform"].distances])
    order = np.random.default_rng(config.seed).permutation(len(points))
    return (
        _tensor(points[order]),
        _tensor(distances[order]),
        frame,
        {"source": source, "audit": audit.to_dict()},
    )


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _stem(mesh: object) -> str:
    return Path(mesh).stem if isinstance(mesh, (str, Path)) else "shape"
