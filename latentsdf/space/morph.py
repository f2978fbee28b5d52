"""Morph between two shapes: their surfaces are moved onto each other by one warp, and blended at constant pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor
from torch.nn import functional

from ..core.field import SDF, evaluate
from ..core.frame import Frame
from ..core.lattice import lattice_vertices
from .morph_field import TRUNCATION, MorphField, blend
from .pieces import PieceRepair, count_pieces, repair_pieces
from .shape import Shape
from .velocity import exponential, read_lattice, register_fields, resample


@dataclass(frozen=True, kw_only=True)
class MorphConfig:
    """Parts of a morph, to be left out one by one."""

    warp: bool = True
    """Whether the ends are registered and moved onto each other; without it parts fade out and in where they are."""
    sharpness: float = 20.0
    """Of the blend of the moved ends: 0 mixes their fields; larger keeps thin parts of either end longer, and shows
    those of the other end earlier."""
    keep_volume: bool = True
    """Whether the level is shifted so that the volume goes geometrically from that of one end to that of the other."""
    join: bool = True
    """Whether pieces beyond those of the end that has fewer are joined by thin bars, and crumbs left out."""
    resolution: int = 97
    """Lattice vertices an axis on which volume and pieces are computed. Larger sees thinner parts and is slower."""

    def __post_init__(self) -> None:
        if self.sharpness < 0 or not np.isfinite(self.sharpness):
            raise ValueError(f"the sharpness of a morph must be 0 or positive, got {self.sharpness}")
        if self.resolution < 17 or self.resolution % 2 == 0:
            raise ValueError(f"the resolution of a morph must be odd and at least 17, got {self.resolution}")


class MorphStep(NamedTuple):
    """One step of a morph on its lattice.

    Attributes:
        warps: displacements (2, 3, R', R', R') of the two ends.
        level: of the blend.
        repair: of pieces, or None.
        values: samples (R, R, R) of the field.
    """

    warps: Tensor
    level: float
    repair: PieceRepair | None
    values: Tensor


class Morph:
    """Path of surfaces between two shapes, each moved along one stationary velocity field v.

    With exp(v) the warp that registers a to b (`velocity.register_fields`), the field at t is the blend of
    a(exp(-t v)(x)) and b(exp((1 - t) v)(x)) with weights 1 - t and t (`morph_field.blend`), minus the level at which it
    encloses the volume V_a^(1 - t) V_b^t. Pieces beyond those of the end that has fewer are joined, and crumbs
    left out (`pieces.repair_pieces`). The ends are the shapes themselves, corrections included.

    Args:
        a, b: shapes, each read in its own unit frame.
        config: parts to leave out.
    """

    def __init__(self, a: Shape, b: Shape, config: MorphConfig | None = None):
        self.a, self.b = a, b
        self.config: MorphConfig = config or MorphConfig()

    def at(self, t: float) -> Shape:
        """The shape at t: code and frame interpolated (`between`), and a `MorphField` as its correction.

        At t = 0 and t = 1 it is the end itself. Outside [0, 1], and where an end has no volume, codes are mixed alone.

        Args:
            t: 0 is a, 1 is b.
        """
        a, b = self.a, self.b
        code = a.code + t * (b.code - a.code)
        shape = Shape(f"{a.name}~{b.name}@{t:.2f}", code, between(a.frame, b.frame, t), a.decoder)
        if t in (0, 1):
            end = b if t else a
            return replace(shape, code=end.code, frame=end.frame, decoder=end.decoder, correction=end.correction)
        if not 0.0 < t < 1.0 or min(self.volumes) == 0:
            return shape.at_level(a.level + t * (b.level - a.level))
        return replace(shape, correction=self._field(float(t)))

    def with_config(self, config: MorphConfig) -> Morph:
        """A morph of the same ends with other parts; what is computed of the ends is shared."""
        other = Morph(self.a, self.b, config)
        if config.resolution == self.config.resolution:
            kept = ("ends", "volumes", "_pieces", "_velocity")
            other.__dict__.update({name: self.__dict__[name] for name in kept if name in self.__dict__})
        return other

    @cached_property
    def ends(self) -> Tensor:
        """Fields (2, R, R, R) of the ends."""
        return torch.stack([sample_field(end.sdf, self.config.resolution, end.code) for end in (self.a, self.b)])

    @cached_property
    def volumes(self) -> tuple[int, int]:
        """Lattice vertices inside each end."""
        a, b = (int((values < 0).sum()) for values in self.ends)
        return a, b

    @cached_property
    def _pieces(self) -> tuple[int, int]:
        a, b = (count_pieces(values) for values in self.ends)
        return a, b

    @cached_property
    def _velocity(self) -> Tensor:
        return register_fields(self.ends[0], self.ends[1])

    def step(self, t: float) -> MorphStep:
        """What a step takes from the lattice, and its samples there.

        Args:
            t: between 0 and 1, ends excluded; both ends must have a volume.
        """
        config, ends = self.config, self.ends
        velocity = self._velocity if config.warp else ends.new_zeros(3, 2, 2, 2)
        warps = torch.stack([exponential(velocity, -t), exponential(velocity, 1.0 - t)])
        grid = lattice_vertices(config.resolution, dtype=ends.dtype, device=ends.device)
        a, b = (
            read_lattice(values[None], grid + resample(warp, config.resolution).flatten(1).T)[0]
            for values, warp in zip(ends, warps, strict=True)
        )
        values, level, repair = blend(a, b, t, config.sharpness), 0.0, None
        if config.keep_volume:
            level = level_of_volume(values, self.volumes[0] ** (1.0 - t) * self.volumes[1] ** t)
        values = values - level
        if config.join:
            repair = repair_pieces(values.view_as(ends[0]), min(self._pieces))
            values = repair(values, grid)
        return MorphStep(warps, level, repair, values.view_as(ends[0]))

    def _field(self, t: float) -> MorphField:
        step = self.step(t)
        return MorphField((self.a.sdf, self.b.sdf), step.warps, t, self.config.sharpness, step.level, step.repair)


def sample_field(sdf: SDF, resolution: int, like: Tensor) -> Tensor:
    """Values (R, R, R) of a field on the lattice of the unit frame; far from the surface from every second vertex.

    Args:
        sdf: (N, 3) -> (N,).
        resolution: R, odd.
        like: a tensor whose device and dtype the values take.
    """
    coarse, size = (resolution + 1) // 2, (resolution,) * 3
    values = evaluate(sdf, lattice_vertices(coarse, dtype=like.dtype, device=like.device)).view(1, 1, *(coarse,) * 3)
    values = functional.interpolate(values, size=size, mode="trilinear", align_corners=True).flatten()
    near = values.abs() < 4.4 / (coarse - 1)
    points = lattice_vertices(resolution, dtype=like.dtype, device=like.device)[near]
    values[near] = evaluate(sdf, points)
    return values.view(size)


def between(a: Frame, b: Frame, t: float) -> Frame:
    """Interpolate two frames: rotation by slerp (t clamped to [0, 1]), scale geometrically, center linearly."""
    if np.array_equal(a.rotation, b.rotation):
        rotation = a.rotation
    else:
        span = Slerp([0.0, 1.0], Rotation.from_matrix(np.stack([a.rotation, b.rotation])))
        rotation = span(min(1.0, max(0.0, t))).as_matrix()
    scale = float(np.exp(np.log(a.scale) + t * (np.log(b.scale) - np.log(a.scale))))
    return Frame(rotation, scale, a.center + t * (b.center - a.center))


def level_of_volume(values: Tensor, volume: float) -> float:
    """The level below which so many of values (N,) lie, within half of `TRUNCATION` of zero."""
    rank = min(max(round(volume), 1), values.numel() - 1)
    low, high = (float(values.kthvalue(rank + step).values) for step in (0, 1))
    return min(max(0.5 * (low + high), -0.5 * TRUNCATION), 0.5 * TRUNCATION)
