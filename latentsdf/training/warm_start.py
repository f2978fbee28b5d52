"""What a training run starts from: a fresh network, or a space that was trained before."""

from __future__ import annotations

import math
from importlib.resources import as_file, files

import torch
from torch import Tensor, nn

from ..core.cube_rotations import cube_rotations, nearest_rotation, rotate_lattice
from ..core.lattice import lattice_vertices
from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.kinds import build_decoder
from ..decoder.linear import principal_components
from ..space.space import LatentSpace
from ..space.store import load
from .alignment import MARGIN, nearest_rotations
from .config import TrainConfig
from .pca import pca_codes, resampled
from .rehearsal import Rehearsal, fingerprint

BASE = "base_space.h5"
"""Name of the packaged base space."""
COARSE = 12
"""Lattice vertices per axis at which fields are compared to find a first code."""
CANDIDATES = 512
"""Most shapes of the space that are compared."""
ALIKE = 64
"""Principal components of the space's fields that attitudes are compared in."""


def base_space() -> LatentSpace:
    """The space that comes with the library: a general start for training, made by `benchmarks/make_base.py`."""
    with as_file(files("latentsdf.training") / BASE) as path:
        return load(path)


def start_space(config: TrainConfig) -> LatentSpace | None:
    """The trained space that a run starts from; None where it starts afresh.

    Raises:
        FileNotFoundError, ValueError: the file is not there or holds no space.
    """
    if config.start in ("components", "random"):
        return None
    return base_space() if config.start == "base" else load(config.start)


def initial_state(dataset: Dataset, config: TrainConfig, device: torch.device) -> tuple[Decoder, nn.Embedding]:
    """The decoder and the table of codes that a run begins with, as `TrainConfig.start` says.

    Raises:
        ValueError: the start's decoder is of another form than the config's, or the start is no known word or file.
    """
    decoder = _fresh(config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed + 1)
        codes = nn.Embedding(len(dataset), decoder.code_size, sparse=True)
        nn.init.normal_(codes.weight, 0.0, 1.0 / math.sqrt(decoder.code_size))
    if config.start == "components":
        if len(dataset) > 1:
            with torch.no_grad():
                codes.weight += pca_codes(dataset, decoder.code_size)
    elif (space := start_space(config)) is not None:
        copy_weights(decoder, space.decoder)
        with torch.no_grad():
            codes.weight.copy_(_of_size(nearest_codes(space, dataset), decoder.code_size))
    return decoder.to(device), codes.to(device)


def aligned_rotations(config: TrainConfig, dataset: Dataset) -> Tensor | None:
    """Rotations (S, 3, 3) that set each shape on the axes as the space that a run starts from knows such shapes.

    A shape that the space holds by name is set as it is there, if it looks like that one. None where a run starts from
    no space, or keeps its shapes as they are.

    Raises:
        FileNotFoundError, ValueError: as `start_space`; the space holds no shapes; a dataset without lattices.
    """
    space = start_space(config) if config.align else None
    if space is None:
        return None
    tau, axes = dataset.truncation, cube_rotations()
    fields = _fields(space, _some(space), tau)
    mean, basis, _ = principal_components(fields.view(-1, *[COARSE] * 3), ALIKE)
    lattices = resampled(dataset, COARSE).clamp(-tau, tau)
    found = nearest_rotations(lattices, mean, basis)
    for row, name in enumerate(dataset.names):
        if name not in space:
            continue
        stored = space[name]
        between = stored.frame.rotation @ dataset.frames[row].rotation.T
        (there,) = nearest_rotation(torch.from_numpy(between)[None])
        here, lying = (rotate_lattice(lattices[row], axes[at]).flatten() for at in (found[row], there))
        apart = (_fields(space, stored.code[None], tau) - lying).abs().sum()
        if (1.0 - MARGIN) * apart <= (fields - here).abs().sum(1).min():
            found[row] = there
    return axes[found]


def make_rehearsal(config: TrainConfig, device: torch.device) -> tuple[Rehearsal, str] | None:
    """Samples of the shapes that the run's start can decode already, and the start's fingerprint; None without them.

    Raises:
        FileNotFoundError, ValueError: as `start_space` and `take_over`.
    """
    space = start_space(config) if config.rehearsal else None
    if space is None or len(space) == 0:
        return None
    decoder = _fresh(config)
    copy_weights(decoder, space.decoder)
    codes = _of_size(space.codes(), decoder.code_size)
    return Rehearsal(decoder.to(device).eval().requires_grad_(False), codes.to(device), seed=config.seed), fingerprint(
        space
    )


def copy_weights(decoder: Decoder, trained: Decoder) -> None:
    """Copy a trained decoder's weights into one of the same form, whose code may be shorter or longer.

    A shorter code keeps the first numbers (which carry most where the space was trained nested); the numbers that a
    longer code has beyond the trained ones act as weakly as a tenth of their fresh weights.

    Raises:
        ValueError: the decoders differ in more than the code size.
    """
    weights, fresh = trained.state_dict(), decoder.state_dict()
    if type(decoder) is not type(trained) or set(weights) != set(fresh):
        raise ValueError(_unlike(decoder, trained))
    taken = {}
    for name, own in fresh.items():
        other = weights[name].to(own)
        if own.shape != other.shape:
            other = _resized(other, own, trained.code_size, decoder.code_size)
        if other is None:
            raise ValueError(_unlike(decoder, trained))
        taken[name] = other
    decoder.load_state_dict(taken)


def nearest_codes(space: LatentSpace, dataset: Dataset) -> Tensor:
    """For every shape of a dataset the code of the space whose field is nearest to its lattice (S, D).

    Fields are compared on a coarse lattice, truncated: those of some of the space's shapes, and that of its shape of
    the same name where it has one.

    Raises:
        ValueError: the space holds no shapes, or the dataset was prepared without lattices.
    """
    codes, some = space.codes(), _some(space)
    row_of = {name: row for row, name in enumerate(space.names)}
    own = [row_of.get(name, -1) for name in dataset.names]
    tau, lattices = dataset.truncation, resampled(dataset, COARSE).flatten(1)
    lattices = lattices.clamp(-tau, tau)
    apart = torch.cdist(lattices, _fields(space, some, tau), p=1)
    error, best = apart.min(1)
    found = some[best]
    known = [row for row, at in enumerate(own) if at >= 0]
    if known:
        mine = codes[[own[row] for row in known]]
        nearer = (_fields(space, mine, tau) - lattices[known]).abs().sum(1) <= error[known]
        found[torch.tensor(known)[nearer]] = mine[nearer]
    return found


def _some(space: LatentSpace) -> Tensor:
    """Codes of no more than `CANDIDATES` of the space's shapes."""
    if len(space) == 0:
        raise ValueError(f"{space.source} holds no shapes to start from")
    order = torch.randperm(len(space), generator=torch.Generator().manual_seed(0))
    return space.codes()[order[:CANDIDATES]]


def _fields(space: LatentSpace, codes: Tensor, tau: float) -> Tensor:
    """Fields of codes on the coarse lattice, truncated, (K, COARSE^3)."""
    points = lattice_vertices(COARSE)[None]
    with torch.no_grad():
        parts = [
            space.decoder(chunk, points.expand(len(chunk), -1, -1), space.decoder.branches[0])
            for chunk in codes.split(16)
        ]
    return torch.cat(parts).cpu().clamp(-tau, tau)


def _fresh(config: TrainConfig) -> Decoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_decoder(config.decoder)


def _of_size(codes: Tensor, size: int) -> Tensor:
    """Codes cut, or lengthened by zeros, to `size` numbers."""
    out = codes.new_zeros(len(codes), size)
    out[:, : codes.shape[1]] = codes[:, :size]
    return out


def _resized(other: Tensor, own: Tensor, trained: int, wanted: int) -> Tensor | None:
    """A trained tensor whose one axis of code numbers is cut or lengthened; None where it is another difference."""
    if other.ndim != own.ndim:
        return None
    axes = [axis for axis in range(own.ndim) if own.shape[axis] != other.shape[axis]]
    if len(axes) != 1 or (other.shape[axes[0]], own.shape[axes[0]]) != (trained, wanted):
        return None
    axis, kept = axes[0], min(trained, wanted)
    out = 0.1 * own
    out.narrow(axis, 0, kept).copy_(other.narrow(axis, 0, kept))
    return out


def _unlike(decoder: Decoder, trained: Decoder) -> str:
    return (
        f"the space to start from has a {trained.kind} decoder of another form than the {decoder.kind} decoder to be "
        f"trained; leave its sizes as they are (only the code size may differ), or start from 'components'"
    )
