"""Builders of vessel families, upright along z; their parameters and ranges stand in `families`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Array
from ..core.field import SDF
from .combine import difference, offset, translate, union
from .solids import cylinder, frustum, revolved, tube
from .unit_sphere import circle, corners, fit_to_sphere


def bottle(*, body_radius: float, body_height: float, shoulder: float, neck_radius: float, neck_height: float) -> SDF:
    """A closed bottle: a straight body, a curved shoulder, a narrow neck and a wider cap."""
    edge = 0.03
    bend = np.linspace(0, 1, 13)[1:]
    ease = (1 + np.cos(math.pi * bend)) / 2
    waist, cap = body_height + shoulder, body_height + shoulder + neck_height
    profile = [(0, edge), (body_radius - edge, edge), (body_radius - edge, body_height)]
    profile += list(
        zip(neck_radius + (body_radius - neck_radius) * ease - edge, body_height + shoulder * bend, strict=True)
    )
    profile += [(neck_radius - edge, cap), (0, cap)]
    top = translate(cylinder(neck_radius + 0.05, 0.11), (0, 0, cap + 0.06))
    return fit_to_sphere(
        union(offset(revolved(profile), edge), top),
        circle(body_radius, 0),
        circle(body_radius, waist),
        circle(neck_radius + 0.05, cap + 0.17),
    )


def mug(
    *,
    radius: float,
    height: float,
    taper: float,
    wall: float,
    handle_reach: float,
    handle_height: float,
    handle_radius: float,
) -> SDF:
    """An open cup that narrows or widens downward, with a loop handle on the +x side."""
    foot, half = radius * taper, height / 2
    cup = frustum(foot, radius, half)
    floor = 1.3 * wall
    inner_foot = foot - wall + (radius - foot) * floor / height
    cavity = translate(frustum(inner_foot, radius - wall, (height - floor) / 2), (0, 0, floor / 2))
    above = translate(cylinder(radius - wall, wall), (0, 0, half + 0.9 * wall))
    turn = np.linspace(-math.pi / 2, math.pi / 2, 17)
    across, up = np.abs(np.cos(turn)) ** 0.8, handle_height * half * np.sin(turn)
    side = (foot + radius) / 2 + (radius - foot) * up / height - wall / 2
    path = np.stack([side + (handle_reach + wall / 2) * across, np.zeros(17), up], -1)
    handle = tube(path, handle_radius)
    reach, wide = float(path[:, 0].max()) + handle_radius, handle_height * half + handle_radius
    return fit_to_sphere(
        difference(union(cup, handle), cavity, above),
        circle(foot, -half),
        circle(radius, half),
        corners((0, -handle_radius, -wide), (reach, handle_radius, wide)),
    )


def vase(*, foot: float, belly: float, belly_at: float, neck: float, lip: float, wall: float) -> SDF:
    """An open vessel with a smooth profile through foot, belly, neck and lip, two units high."""
    heights = np.array([0, 2 * belly_at, 1.65, 2.0])
    z = np.linspace(0, 2, 25)
    outer = _smooth(heights, np.array([foot, belly, neck, lip]), z)
    inner_z = z[z > 1.5 * wall][::-1]
    inner = np.interp(inner_z, z, outer) - wall
    profile = [(0.0, 0.0), *zip(outer, z, strict=True), *zip(inner, inner_z, strict=True), (0.0, inner_z[-1])]
    widest = float(outer.max())
    at = float(z[outer.argmax()])
    return fit_to_sphere(revolved(profile), circle(widest, at), *(circle(r, h) for r, h in zip(outer, z, strict=True)))


def _smooth(knots: NDArray[Any], values: NDArray[Any], at: NDArray[Any]) -> Array:
    """Monotone cubic Hermite interpolation (harmonic-mean slopes), which keeps local extrema at the knots."""
    rise = np.diff(values) / np.diff(knots)
    slopes = np.concatenate([rise[:1], np.zeros(len(values) - 2), rise[-1:]])
    for index in range(1, len(values) - 1):
        before, after = rise[index - 1], rise[index]
        if before * after > 0:
            slopes[index] = 2 * before * after / (before + after)
    cell = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    step = np.diff(knots)[cell]
    t = (at - knots[cell]) / step
    return (
        (1 + 2 * t) * (1 - t) ** 2 * values[cell]
        + t * (1 - t) ** 2 * step * slopes[cell]
        + t * t * (3 - 2 * t) * values[cell + 1]
        + t * t * (t - 1) * step * slopes[cell + 1]
    )
