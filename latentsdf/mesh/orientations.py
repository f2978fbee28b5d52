"""Orientations in which one surface may lie on another, from the principal axes of both."""

from __future__ import annotations

import itertools

import numpy as np

from ..core.arrays import Array
from ..core.cube_rotations import cube_rotations
from ..core.pose import spread_rotations
from .surface import Surface

CLOSE = 0.1
"""Relative gap of two moments below which their axes are uncertain."""
CLOSE_IN_PART = 0.3
"""The same where a part of a surface may be missing."""
STEPS = 24
"""Rotations about an axis whose two other moments are about equal."""
GRID = 300
"""Rotations where all three are; none is farther than about 30 degrees from one of them."""


def orientations(a: Surface, b: Surface, partial: bool = False) -> Array:
    """Rotations and reflections (C, 3, 3) that may map a on b in their normalised frames; the first is the identity.

    Principal axes are mapped on principal axes with all signs, half of them reflections. Where two moments are about
    equal, steps about the third axis are added, where all three are a grid of rotations, and where parts may differ
    all permutations of the axes; each with its mirror image.

    Args:
        a, b: the surfaces.
        partial: whether a part of one may be missing.
    """
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=3)))
    found = [np.eye(3)[None], np.einsum("ij,sj,kj->sik", b.axes, signs, a.axes)]
    moments = (a.moments + b.moments) / 2
    gaps = np.diff(moments) / np.maximum(moments[1:], 1e-12)
    close = gaps < (CLOSE_IN_PART if partial else CLOSE)
    mirrors = np.array([np.eye(3), np.diag([-1.0, 1.0, 1.0])])
    turns: list[Array] = []
    if close.all():
        turns += [spread_rotations(GRID).double().numpy()]
    elif close.any():
        turns += [_about_axis(0 if close[1] else 2)]
    if partial or close.all():
        turns += [cube_rotations().double().numpy()]
    for turn in turns:
        found.append(np.einsum("ij,mjk,tkl,nl->mtin", b.axes, mirrors, turn, a.axes).reshape(-1, 3, 3))
    return np.concatenate(found)


def _about_axis(axis: int) -> Array:
    """Rotations (2 STEPS, 3, 3) in steps about an axis, without and with a half turn about another one."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    angles = np.arange(STEPS) * (2 * np.pi / STEPS)
    turns = np.zeros((STEPS, 3, 3))
    turns[:, axis, axis] = 1.0
    turns[:, first, first] = turns[:, second, second] = np.cos(angles)
    turns[:, second, first], turns[:, first, second] = np.sin(angles), -np.sin(angles)
    half = np.eye(3)
    half[axis, axis] = half[first, first] = -1.0
    return np.concatenate([turns, turns @ half])
