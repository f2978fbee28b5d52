"""Warm start of a run from a trained space: its weights and the rotations that it suggests."""

from __future__ import annotations

from importlib.resources import as_file, files

import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations, nearest_rotation, rotate_lattice
from ..core.lattice import lattice_vertices
from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.kinds import decoder_to_dict
from ..decoder.linear import principal_components
from ..space.space import LatentSpace
from ..space.store import load
from .alignment import MARGIN, nearest_rotations
from .config import TrainConfig

BASES = {"volumes": "base_volumes.h5", "dual": "base_space.h5"}
"""Names of the packaged base spaces, by the kind of their decoders."""
COARSE = 12
"""Lattice vertices per axis at which fields are compared."""
CANDIDATES = 512
"""Most shapes of the space that are compared."""
COMPONENTS = 64
"""Principal components of the space's fields that rotations are compared in."""


def base_space(kind: str = "volumes") -> LatentSpace:
    """The space of a kind of decoder that comes with the library, a general warm start (`docs/base_space.md`).

    Raises:
        ValueError: none of that kind comes with it.
    """
    if kind not in BASES:
        raise ValueError(f"no base space of the {kind} decoder comes with the library; start from 'components'")
    with as_file(files("latentsdf.training") / BASES[kind]) as path:
        return load(path)


def start_space(config: TrainConfig) -> LatentSpace | None:
    """The trained space of a warm start; None for a fresh one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file holds no space, or no base space of the decoder comes with the library.
    """
    if not config.warm:
        return None
    return base_space(decoder_to_dict(config.decoder)["kind"]) if config.start == "base" else load(config.start)


def aligned_rotations(dataset: Dataset, config: TrainConfig, start: LatentSpace | None) -> Tensor | None:
    """Rotations of the cube group that align each shape with the shapes of a start space.

    A shape that the space holds by name gets the rotation that it has there, where that brings it as near to the stored
    one as any other rotation to any other shape.

    Args:
        dataset: the shapes.
        config: says whether shapes are aligned at all.
        start: `start_space(config)`.

    Returns:
        (S, 3, 3); None without a start space, or where shapes keep their axes.

    Raises:
        ValueError: the space holds no shapes, or a dataset without lattices.
    """
    if start is None or not config.align:
        return None
    tau, rotations = dataset.truncation, cube_rotations()
    fields = coarse_fields(start, candidate_codes(start), tau)
    mean, basis, _ = principal_components(fields.view(-1, *[COARSE] * 3), COMPONENTS)
    lattices = dataset.lattices(resolution=COARSE).clamp(-tau, tau)
    nearest = nearest_rotations(lattices, mean, basis)
    for row, name in enumerate(dataset.names):
        if name not in start:
            continue
        stored = start[name]
        relative = stored.frame.rotation @ dataset.frames[row].rotation.T
        (own,) = nearest_rotation(torch.from_numpy(relative)[None])
        by_field, by_name = (rotate_lattice(lattices[row], rotations[at]).flatten() for at in (nearest[row], own))
        distance = (coarse_fields(start, stored.code[None], tau) - by_name).abs().sum()
        if (1.0 - MARGIN) * distance <= (fields - by_field).abs().sum(1).min():
            nearest[row] = own
    return rotations[nearest]


def copy_weights(decoder: Decoder, trained: Decoder) -> None:
    """Copy a trained decoder's weights into one of the same form, whose code may be shorter or longer.

    A shorter code keeps the first numbers (which carry most where the space was trained nested); the numbers that a
    longer code has beyond the trained ones act as weakly as a tenth of their fresh weights.

    Raises:
        ValueError: the decoders differ in more than the code size.
    """
    weights, fresh = trained.state_dict(), decoder.state_dict()
    copied: dict[str, Tensor | None] = {"": None}
    if type(decoder) is type(trained) and set(weights) == set(fresh):
        sizes = trained.code_size, decoder.code_size
        copied = {name: _resize_weights(weights[name].to(own), own, *sizes) for name, own in fresh.items()}
    if any(tensor is None for tensor in copied.values()):
        raise ValueError(
            f"the space to start from has a {trained.kind} decoder of another form than the {decoder.kind} decoder to "
            f"be trained; leave its sizes as they are (only the code size may differ), or start from 'components'"
        )
    decoder.load_state_dict(copied)


def resize_codes(codes: Tensor, size: int) -> Tensor:
    """Codes (S, D) truncated, or padded with zeros, to `size` numbers."""
    out = codes.new_zeros(len(codes), size)
    out[:, : codes.shape[1]] = codes[:, :size]
    return out


def candidate_codes(space: LatentSpace) -> Tensor:
    """Codes (K, D) of no more than `CANDIDATES` of the space's shapes.

    Raises:
        ValueError: it holds none.
    """
    if len(space) == 0:
        raise ValueError(f"{space.source} holds no shapes to start from")
    order = torch.randperm(len(space), generator=torch.Generator().manual_seed(0))
    return space.codes()[order[:CANDIDATES]]


def coarse_fields(space: LatentSpace, codes: Tensor, tau: float) -> Tensor:
    """Fields of codes (K, D) on a coarse lattice of the unit frame, clipped to tau, (K, `COARSE`^3)."""
    points, branch = lattice_vertices(COARSE)[None], space.decoder.branches[0]
    with torch.no_grad():
        parts = [space.decoder(chunk, points.expand(len(chunk), -1, -1), branch) for chunk in codes.split(16)]
    return torch.cat(parts).cpu().clamp(-tau, tau)


def _resize_weights(other: Tensor, own: Tensor, trained: int, size: int) -> Tensor | None:
    """A trained tensor whose one axis of code numbers is truncated or padded; None where it differs otherwise."""
    if own.shape == other.shape:
        return other
    axes = [axis for axis, pair in enumerate(zip(own.shape, other.shape, strict=False)) if pair[0] != pair[1]]
    if own.ndim != other.ndim or len(axes) != 1 or (other.shape[axes[0]], own.shape[axes[0]]) != (trained, size):
        return None
    axis, common = axes[0], min(trained, size)
    out = 0.1 * own
    out.narrow(axis, 0, common).copy_(other.narrow(axis, 0, common))
    return out
