"""Write sheets and shells 0.5 to 3 % of their size thick: plates, folded profiles, boxes, shelves, hulls, leaves, ...

    python datasets/sheets.py OUT_DIR [--count 800] [--seed 0] [--kinds plate hull ...]

The size is the diameter of the unit frame, so a thickness lies between 0.01 and 0.06 there. A sheet is a grid of points
moved to both sides along the normals and stitched along its border; boxes and shelves are boolean differences and
unions of exact solids. No marching, so no thickness is lost. All stand along an axis, y up, turned by quarter turns
about it. A shape depends on kind, seed and index alone.

Needs: `pip install manifold3d`. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import trimesh
from booleans import first_closed, manifold, meshed, solid, united
from common import write_kinds
from draw import Draw, Table, Vector, at
from grid_meshes import resampled, sheet
from poses import turned_upright, unit_placement
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

THINNEST, THICKEST = 0.005, 0.03
"""Limits of the thickness, as a share of the diameter of the unit frame."""
PLATE: Table = {
    "long": (0.4, 1.0),
    "wide": (0.12, 1.0),
    "power": (2.0, 12.0),
    "bend": (0.0, 1.6),
    "across": (-0.6, 0.6),
    "twist": (-1.2, 1.2),
    "dent": (-0.2, 0.2),
    "form": ("flat", "bent", "bent", "twisted", "saddle", "dented"),
}
FOLDED: Table = {
    "profile": ("L", "U", "Z", "hat", "C", "V", "spiral", "any"),
    "long": (0.3, 2.5),
    "corner": (0.0, 0.35),
    "taper": (0.5, 1.0),
    "curve": (0.0, 1.5),
    "curved": 0.3,
}
CORRUGATED: Table = {
    "wave": ("sine", "trapezoid", "zigzag", "square"),
    "periods": (3, 11),
    "depth": (0.02, 0.16),
    "long": (0.4, 1.4),
    "arch": (0.0, 2.5),
    "arched": 0.4,
    "fan": (0.3, 1.0),
}
BOX: Table = {
    "wide": (0.3, 1.0),
    "deep": (0.3, 1.0),
    "tall": (0.06, 1.0),
    "corner": (0.0, 0.5),
    "flare": (0.85, 1.4),
    "sides": ("box", "box", "round", "six"),
    "inside": ("none", "none", "walls", "grid"),
    "flap": 0.2,
    "cut": 0.25,
}
SHELF: Table = {
    "wide": (0.3, 1.2),
    "deep": (0.12, 0.5),
    "tall": (0.3, 1.4),
    "levels": (1, 5),
    "walls": (0, 3),
    "back": 0.4,
    "style": ("case", "case", "stairs", "pigeon", "table", "cross"),
}
HULL: Table = {
    "wide": (0.12, 0.8),
    "deep": (0.06, 0.7),
    "power": (1.2, 4.0),
    "bow": (0.5, 2.5),
    "stern": (0.15, 1.0),
    "sheer": (0.0, 0.35),
    "rake": (0.0, 0.4),
    "seats": (0, 3),
}
BOWL: Table = {
    "tall": (0.05, 1.3),
    "power": (1.2, 6.0),
    "foot": (0.1, 0.8),
    "lobes": (3, 12),
    "ripple": (0.0, 0.15),
    "wavy": 0.5,
    "deep": (0.5, 1.0),
    "lip": (-0.2, 0.3),
    "dome": 0.2,
}
ARMCHAIR: Table = {
    "wide": (0.3, 0.6),
    "seat": (0.35, 0.7),
    "back": (0.3, 1.0),
    "lean": (0.1, 0.9),
    "curl": (0.0, 1.3),
    "roll": (-0.4, 0.6),
    "base": ("none", "sled", "legs", "panels"),
    "tall": (0.2, 0.5),
    "power": (2.0, 8.0),
}
CANOPY: Table = {
    "ribs": (5, 12),
    "round": (0.2, 1.5),
    "cone": (-0.3, 1.0),
    "deep": (0.6, 1.0),
    "sag": (0.0, 0.18),
    "scallop": (0.0, 0.15),
    "pole": 0.6,
    "hook": 0.5,
    "up": 0.15,
}
LEAF: Table = {
    "count": (1, 5),
    "wide": (0.1, 0.5),
    "widest": (0.25, 0.75),
    "fold": (-0.2, 1.0),
    "droop": (-1.2, 1.2),
    "twist": (-0.6, 0.6),
    "wave": (0.0, 0.05),
    "waves": (2, 8),
    "lobes": (0.0, 0.3),
}


@dataclass
class Surface:
    """Middle surface of a sheet: a grid (U, V, 3), z up; its columns may close, its first row may be one point."""

    points: Vector
    around: bool = False
    pole: bool = False


def arc_profile(corners: Vector, radius: float, steps: int = 5) -> Vector:
    """A polyline (K, 2) with its corners replaced by quadratic arcs that begin at most `radius` from them."""
    points = [corners[0]]
    for before, here, after in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        reach = min(radius, 0.45 * np.linalg.norm(here - before), 0.45 * np.linalg.norm(after - here))
        if reach < 1e-3:
            points.append(here)
            continue
        first = here + reach * (before - here) / np.linalg.norm(before - here)
        last = here + reach * (after - here) / np.linalg.norm(after - here)
        for t in np.linspace(0, 1, steps):
            points.append((1 - t) ** 2 * first + 2 * t * (1 - t) * here + t**2 * last)
    return np.array([*points, corners[-1]])


def drawn_out(profile: Vector, long: float, rows: int, step: float) -> Vector:
    """A profile (K, 2) in (x, z) extruded along y, as a grid."""
    fine = resampled(np.concatenate([profile, 0 * profile[:, :1]], 1), step)[:, :2]
    y = np.linspace(-long / 2, long / 2, rows)
    return np.stack(
        [
            np.broadcast_to(fine[:, 0], (rows, len(fine))),
            np.repeat(y[:, None], len(fine), 1),
            np.broadcast_to(fine[:, 1], (rows, len(fine))),
        ],
        -1,
    )


def bent(points: Vector, angle: float) -> Vector:
    """Points bent about an axis along y, so that their length along x covers an angle."""
    if abs(angle) < 0.05:
        return points
    long = np.ptp(points[..., 0])
    radius, middle = long / angle, points[..., 0].mean()
    turn = (points[..., 0] - middle) / radius
    out = radius - points[..., 2]
    return np.stack([out * np.sin(turn), points[..., 1], radius - out * np.cos(turn)], -1)


def plate(u: Draw) -> list[Surface]:
    """A plate from elliptic to rectangular: flat, bent, twisted, saddle shaped or dented."""
    k = u.sample(PLATE)
    t = np.linspace(-1, 1, u.whole(24, 46))
    a, b = np.meshgrid(t, t, indexing="ij")
    # a square onto a superellipse
    size = np.maximum(np.abs(a), np.abs(b)) / np.maximum(
        (np.abs(a) ** k.power + np.abs(b) ** k.power) ** (1 / k.power), 1e-9
    )
    x, y = a * size * k.long, b * size * k.wide
    z = 0 * x
    if k.form == "saddle":
        z = k.across * x**2 / k.long - u(-0.6, 0.6) * y**2 / k.wide
    elif k.form == "dented":
        z = k.dent * np.exp(-((a - u(-0.5, 0.5)) ** 2 + (b - u(-0.5, 0.5)) ** 2) / u(0.05, 0.5))
        z += k.dent * u(-0.5, 0.5) * np.sin(u(2, 6) * a + u(0, 6)) * np.sin(u(2, 6) * b + u(0, 6))
    points = np.stack([x, y, z], -1)
    if k.form == "bent":
        points = bent(points, k.bend * u(0.5, 3.2))
    elif k.form == "twisted":
        turn = k.twist * x / k.long
        points = np.stack([x, y * np.cos(turn), y * np.sin(turn)], -1)
    tilt = Rotation.from_euler("yx", [90 * u.whole(0, 1), 90 * u.whole(0, 1)], degrees=True)
    return [Surface(points @ tilt.as_matrix().T)]


def folded(u: Draw) -> list[Surface]:
    """A sheet folded along parallel lines to a profile: L, U, Z, hat, C, V, a spiral, or any angles."""
    k = u.sample(FOLDED)
    a, b, c = u(0.2, 1.0), u(0.2, 1.0), u(0.1, 0.6)
    if k.profile == "spiral":
        turn = np.linspace(0, 2 * np.pi * u(1.2, 2.6), 70)
        size = 0.25 + u(0.08, 0.16) * turn
        profile = np.stack([size * np.cos(turn), size * np.sin(turn)], 1)
    elif k.profile == "any":
        heading = np.cumsum([u(-1.6, 1.6) for _ in range(u.whole(2, 5))])
        steps = np.stack([np.cos(heading), np.sin(heading)], 1) * u(0.3, 0.6)
        profile = np.concatenate([[[0, 0]], np.cumsum(steps, 0)])
    else:
        corners = {
            "L": [(0, a), (0, 0), (b, 0)],
            "U": [(-u(0, 0.2), a), (0, 0), (b, 0), (b + u(0, 0.2), a * u(0.4, 1))],
            "Z": [(-a, c), (0, c), (u(-0.1, 0.3), -c), (b, -c)],
            "hat": [(-b, 0), (-c, 0), (-c * u(0.6, 1), a), (c * u(0.6, 1), a), (c, 0), (b + c, 0)],
            "C": [(b, 0.25 * a), (b, 0), (0, 0), (0, a), (b, a), (b, 0.75 * a)],
            "V": [(-b, a), (0, 0), (b, a)],
        }[k.profile]
        profile = np.array(corners, dtype=np.float64)
    if k.profile != "spiral":
        profile = arc_profile(profile, k.corner)
    length = np.linalg.norm(np.diff(profile, axis=0), axis=1).sum()
    points = drawn_out(profile, k.long, 25, length / 40)
    if k.curved:
        points = bent(points[..., [1, 0, 2]], k.curve)[..., [1, 0, 2]]
    share = (points[..., 1:2] - points[..., 1].min()) / np.ptp(points[..., 1])
    points[..., [0, 2]] *= 1 + (k.taper - 1) * share
    if u.often(0.5):
        points = points[..., [0, 2, 1]]
    return [Surface(points)]


def corrugated(u: Draw) -> list[Surface]:
    """A wavy sheet, flat or arched, its waves parallel or spread like a fan."""
    k = u.sample(CORRUGATED)
    if k.wave == "sine":
        x = np.linspace(0, 1, 14 * k.periods)
        profile = np.stack([x, k.depth / 2 * np.sin(2 * np.pi * k.periods * x)], 1)
    else:
        run, low = {"trapezoid": (0.25, -1), "zigzag": (0.499, -1), "square": (0.05, -1)}[k.wave]
        shares, levels = np.array([0, 0.5 - run, 0.5, 1.0 - run]), np.array([1, 1, low, low])
        x = (np.arange(k.periods)[:, None] + shares).ravel() / k.periods
        profile = np.stack([x, np.tile(levels, k.periods) * k.depth / 2], 1)
        profile = profile[np.concatenate([[True], np.diff(profile[:, 0]) > 0.003])]
    points = drawn_out(profile, k.long, 17 if k.wave == "sine" else 25, 1 / (7 * k.periods))
    if k.arched:
        points = bent(points, k.arch) if u.often(0.5) else bent(points[..., [1, 0, 2]], k.arch)[..., [1, 0, 2]]
    share = (points[..., 1] - points[..., 1].min()) / np.ptp(points[..., 1])
    points[..., 0] = (points[..., 0] - points[..., 0].mean()) * (1 + (k.fan - 1) * share)
    return [Surface(points if u.often(0.6) else points[..., [0, 2, 1]])]


def bowl(u: Draw) -> list[Surface]:
    """Bowls, dishes, domes: a rounded profile about the vertical, its outline round, oval or lobed."""
    k = u.sample(BOWL)
    columns = u.whole(36, 72)
    share, angle = np.linspace(0, 1, u.whole(20, 36)), 2 * np.pi * np.arange(columns) / columns
    foot = k.foot * 0.6
    out = np.where(share < 0.35, foot * share / 0.35, 0.0)
    wall = ((share - 0.35) / 0.65).clip(0, 1)
    turn = wall * np.pi / 2
    out = np.where(share < 0.35, out, foot + (1 - foot) * np.sin(turn) ** (2 / k.power))
    height = k.tall * (1 - np.cos(turn) ** (2 / k.power)) if u.often(0.6) else k.tall * wall ** u(0.6, 2.5)
    out = out + k.lip * (wall.clip(0.7, 1) - 0.7) * (k.lip > 0 or k.tall > 0.5)
    lobe = 1 + (k.ripple * np.cos(k.lobes * angle)[None] * wall[:, None] ** 1.5 if k.wavy else 0 * angle[None])
    points = np.stack(
        [
            out[:, None] * np.cos(angle) * lobe,
            k.deep * out[:, None] * np.sin(angle) * lobe,
            height[:, None] * (0 * angle + 1),
        ],
        -1,
    )
    points = _evenly(points)
    return [Surface(points * at(1, 1, -1 if k.dome else 1), True, True)]


def _evenly(points: Vector) -> Vector:
    """Rows of a grid (U, V, 3) redistributed to equal mean distances."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1))])
    keep = np.concatenate([[True], np.diff(length) > 1e-9])
    return PchipInterpolator(length[keep], points[keep])(np.linspace(0, length[-1], len(points)))


def hull(u: Draw) -> list[Surface]:
    """A boat's hull, open above, with a bow, a stern from sharp to blunt, and seats across."""
    k = u.sample(HULL)
    angle = 2 * np.pi * np.arange(80) / 80
    x, y = np.cos(angle), np.sin(angle)
    # the outline of the deck: the bow at +x narrows with a power, the stern with another
    full = np.where(x > 0, (1 - np.abs(x) ** (1 + k.bow)).clip(0), (1 - np.abs(x) ** (2 / k.stern)).clip(0))
    outline = np.stack([x, np.sign(y) * k.wide * np.maximum(full, 0.0) ** np.where(x > 0, 0.8, 0.6)], 1)
    share = np.linspace(0, 1, 30)
    out = np.sin(share * np.pi / 2) ** (2 / k.power)
    height = -k.deep * np.cos(share * np.pi / 2) ** (2 / k.power)
    points = np.stack(
        [out[:, None] * outline[:, 0], out[:, None] * outline[:, 1], np.repeat(height[:, None], len(angle), 1)], -1
    )
    points[..., 0] += k.rake * (points[..., 2] + k.deep) * np.sign(points[..., 0]) * np.abs(points[..., 0])
    points[..., 2] += k.sheer * points[..., 0] ** 2 * share[:, None] ** 2
    surfaces = [Surface(_evenly(points), True, True)]
    for number in range(k.seats):
        place = -0.5 + number * 0.9 / max(1, k.seats - 1) if k.seats > 1 else 0.0
        half = k.wide * np.interp(place, [-1, 0, 1], [0.5 * k.stern, 1, 0.0]) * 0.9
        grid = np.meshgrid(np.linspace(place - 0.08, place + 0.08, 5), np.linspace(-half, half, 9), indexing="ij")
        surfaces.append(Surface(np.stack([*grid, 0 * grid[0] - 0.25 * k.deep], -1)))
    return surfaces


def armchair(u: Draw) -> list[Surface]:
    """A seat and back of one shell, its sides curled up to arms, on nothing, runners, legs of strip or panels."""
    k = u.sample(ARMCHAIR)
    path = np.array(
        [
            (-0.08, -k.roll * 0.15),
            (0, 0),
            (k.seat, u(-0.12, 0.0)),
            (k.seat + k.back * np.sin(k.lean), k.back * np.cos(k.lean)),
        ]
    )
    path = arc_profile(path, u(0.15, 0.5), 9)
    path = resampled(np.concatenate([path, 0 * path[:, :1]], 1), 0.04)[:, :2]
    v = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    v /= v[-1]
    s = np.linspace(-1, 1, 33)
    outline = (1 - np.abs(2 * v - 1) ** k.power * u(0.1, 0.6)) * k.wide
    angle = k.curl * np.sin(np.pi * (v * u(0.7, 1.0) + u(0.0, 0.3)).clip(0, 1)) ** u(0.5, 2.0)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    bend = np.maximum(angle, 0.02)[:, None] * s
    across = outline[:, None] * np.sin(bend) / np.maximum(angle, 0.02)[:, None]
    up = outline[:, None] * (1 - np.cos(bend)) / np.maximum(angle, 0.02)[:, None]
    y = path[:, :1] + up * normal[:, :1]
    z = path[:, 1:] + up * normal[:, 1:]
    surfaces = [Surface(np.stack([across, y, z], -1))]
    if k.base == "none":
        return surfaces
    half, low, high = k.wide * 0.3, -k.tall, 0.01 + 0.03 * k.wide * k.curl
    strip = u(0.03, 0.08)
    for side in (-1, 1):
        x = side * half
        if k.base == "panels":
            corners = [(x, 0.05, low), (x, k.seat * 0.95, low), (x, k.seat * 0.9, high - 0.05), (x, 0.05, high)]
            surfaces.append(Surface(_quad(*(at(*c) for c in corners))))
            continue
        runs = [(0.1, k.seat * 0.9)] if k.base == "sled" else [(0.02, 0.02), (k.seat * 0.95, k.seat * 0.95)]
        for first, last in runs:
            ends = (
                [(first, high), (first, low), (last, low), (last, high - 0.05)]
                if first != last
                else [(k.seat / 2 + 0.8 * (first - k.seat / 2), high - 0.05 * (first > 0.1)), (first, low)]
            )
            line = arc_profile(np.array(ends), 0.06)
            flat = np.stack(
                [np.stack([0 * line[:, 0] + x + w, line[:, 0], line[:, 1]], 1) for w in (-strip / 2, strip / 2)]
            )
            surfaces.append(Surface(flat))
    return surfaces


def _quad(a: Vector, b: Vector, c: Vector, d: Vector, count: int = 9) -> Vector:
    """A grid between four corners."""
    s, t = np.meshgrid(*[np.linspace(0, 1, count)] * 2, indexing="ij")
    s, t = s[..., None], t[..., None]
    return (1 - s) * ((1 - t) * a + t * b) + s * ((1 - t) * d + t * c)


def canopy(u: Draw) -> list[Surface]:
    """An umbrella: a round height field that sags between its ribs, perhaps with a pole of crossed strips."""
    k = u.sample(CANOPY)
    share, angle = np.linspace(0, 1, u.whole(16, 25)), 2 * np.pi * np.arange(12 * k.ribs) / (12 * k.ribs)
    if len(angle) > 96:
        angle = 2 * np.pi * np.arange(8 * k.ribs) / (8 * k.ribs)
    between = np.abs(np.sin(k.ribs * angle / 2))
    out = share[:, None] * (1 - k.scallop * between * share[:, None] ** 2)
    height = ((1 - max(0.0, k.cone)) * np.cos(share * k.round) - k.cone * k.round * share)[
        :, None
    ] - k.sag * between * np.sin(np.pi * share[:, None] ** 1.5 * 0.8)
    points = np.stack([out * np.cos(angle), k.deep * out * np.sin(angle), height * (-1 if k.up else 1)], -1)
    surfaces = [Surface(points, True, True)]
    if k.pole:
        top, long, strip = points[0, 0, 2] + 0.01, u(0.6, 1.6), u(0.02, 0.05)
        for axis in (0, 1):
            side = np.eye(3)[axis] * strip
            line = [at(0, 0, top), at(0, 0, top - long)]
            if k.hook and axis == 0:
                turn = np.linspace(0, np.pi, 9)[1:]
                line += [at(0.0, 0.1 - 0.1 * np.cos(t), top - long - 0.1 * np.sin(t)) for t in turn]
            path = resampled(np.array(line), 0.08)
            surfaces.append(Surface(np.stack([path - side, path, path + side])))
    return surfaces


def leaf(u: Draw) -> list[Surface]:
    """One leaf or a tuft of leaves: folded along the midrib, drooping, twisted, with wavy or lobed edges."""
    k = u.sample(LEAF)
    surfaces = []
    t, s = np.linspace(0, 1, 48 if k.count < 3 else 26), np.linspace(-1, 1, 25 if k.count < 3 else 13)
    for number in range(k.count):
        peak = np.log(0.5) / np.log(k.widest * u(0.9, 1.1))
        half = k.wide * np.maximum(0.05, np.sin(np.pi * t**peak)) * (1 + k.lobes * np.cos(2 * np.pi * k.waves * t))
        turn = k.droop * t * u(0.7, 1.3)
        spine = np.cumsum(np.stack([np.cos(turn), 0 * t, -np.sin(turn)], 1), 0) / len(t)
        up = np.stack([np.sin(turn), 0 * t, np.cos(turn)], 1)
        fold = k.fold * np.sqrt(s**2 + 0.02)
        ripple = k.wave * np.sin(2 * np.pi * k.waves * t)[:, None] * s**2
        roll = k.twist * t[:, None]
        y, z = half[:, None] * s * np.cos(k.fold / 2), half[:, None] * fold + ripple
        y, z = y * np.cos(roll) - z * np.sin(roll), y * np.sin(roll) + z * np.cos(roll)
        points = spine[:, None] + y[..., None] * at(0, 1, 0) + z[..., None] * up[:, None] - at(0.03, 0, 0)
        if k.count > 1:
            lift = Rotation.from_euler("yz", [-u(0.0, 1.2), 2 * np.pi * number / k.count + u(-0.3, 0.3)])
            points = points @ lift.as_matrix().T
        surfaces.append(Surface(points))
    return surfaces


def box(u: Draw, thickness: float) -> list:
    """An open box or tray, square, round or six-sided, perhaps divided, notched or with a raised lid."""
    k = u.sample(BOX)
    shape, cut = manifold().CrossSection, manifold().Manifold
    if k.sides == "box":
        corner = k.corner * min(k.wide, k.deep) * 0.5
        half = at(k.wide - corner, k.deep - corner)
        outline = shape([half * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])])
        outline = outline.offset(corner, manifold().JoinType.Round, 2.0, 48) if corner > 0.01 else outline
    else:
        count = 56 if k.sides == "round" else u.whole(3, 8)
        turn = 2 * np.pi * np.arange(count) / count
        outline = shape([np.stack([k.wide * np.cos(turn), k.deep * np.sin(turn)], 1)])
    flare = k.flare if u.often(0.6) else 1.0
    outer = cut.extrude(outline, k.tall, 0, 0.0, (flare, flare))
    inset = outline.offset(-thickness, manifold().JoinType.Miter)
    inner = cut.extrude(inset, 1.02 * k.tall, 0, 0.0, (1 + (flare - 1) * 1.02,) * 2).translate((0, 0, thickness))
    body = outer - inner
    parts = [body]
    if k.inside != "none":
        for axis in range(1 if k.inside == "walls" else 2):
            for place in np.linspace(-1, 1, u.whole(3, 5))[1:-1]:
                size = (thickness, 4, k.tall * u(0.5, 0.9)) if axis == 0 else (4, thickness, k.tall * u(0.5, 0.9))
                middle = (place * k.wide, 0, size[2] / 2) if axis == 0 else (0, place * k.deep, size[2] / 2)
                parts.append(cut.cube(size, True).translate(middle) ^ outer)
    if k.flap and k.sides == "box":
        lid = cut.cube((2 * k.wide * flare * 0.95, thickness, 2 * k.deep * u(0.3, 1.0)), True)
        lid = lid.translate((0, 0, k.deep * 0.5)).rotate((-np.degrees(u(0.2, 1.3)), 0, 0))
        parts.append(lid.translate((0, k.deep * flare - thickness * 0.7, k.tall - thickness)))
    whole = united(parts)
    if k.cut:
        notch = cut.cube((k.wide * u(0.3, 1.2), 6, k.tall * u(0.3, 1.2)), True).translate((0, 0, k.tall))
        whole = whole - (notch if u.often(0.5) else notch.translate((0, 3, 0)))
    return [whole]


def shelf(u: Draw, thickness: float) -> list:
    """Boards and walls: a case, stairs, pigeon holes, a table or crossing boards."""
    k = u.sample(SHELF)
    cut, parts = manifold().Manifold, []

    def board(low: Vector, high: Vector) -> None:
        parts.append(cut.cube(tuple(np.maximum(high - low, thickness))).translate(tuple(low)))

    x, y, z = k.wide, k.deep, k.tall
    levels = np.linspace(0, z, k.levels + 1)
    if k.style in ("case", "pigeon"):
        columns = np.linspace(-x / 2, x / 2, (k.walls if k.style == "case" else k.walls + 2) + 2)
        ends = [columns[0], columns[-1]]
        for level in levels:
            board(at(-x / 2, 0, level), at(x / 2 + thickness, y, level))
        for place in columns if k.style == "pigeon" else ends:
            board(at(place, 0, 0), at(place, y, z))
        for place in columns[1:-1] if k.style == "case" else ():
            row = u.whole(0, k.levels - 1)
            board(at(place, 0, levels[row]), at(place, y, levels[row + 1]))
        if k.back:
            board(at(-x / 2, y - thickness, 0), at(x / 2, y, z))
    elif k.style == "stairs":
        steps = k.levels + 2
        for number in range(steps):
            low = at(x * number / steps - x / 2, 0, z * number / steps)
            board(low, low + at(x / steps + thickness, y, 0))
            riser = low + at(x / steps, 0, 0)
            foot = riser * at(1, 1, 0) if k.back else riser
            board(foot, riser + at(0, y, z / steps + thickness))
    elif k.style == "table":
        board(at(-x / 2, 0, z * 0.6), at(x / 2, y, z * 0.6))
        for place in (-x / 2 * u(0.6, 1.0), x / 2 * u(0.6, 1.0) - thickness):
            board(at(place, 0, 0), at(place, y, z * 0.6))
        if k.back:
            board(at(-x / 2, y / 2, z * 0.2), at(x / 2, y / 2, z * 0.6))
    else:
        for number in range(k.levels + 1):
            angle = 180 * number / (k.levels + 1) + 20
            parts.append(cut.cube((x, y, thickness), True).rotate((0, angle, 0)))
        if k.back:
            parts.append(cut.cube((x, thickness, x), True).translate((0, y / 2, 0)))
    return parts


SURFACES: dict[str, Callable[[Draw], list[Surface]]] = {
    kind.__name__: kind for kind in (plate, folded, corrugated, bowl, hull, armchair, canopy, leaf)
}
SOLIDS: dict[str, Callable[[Draw, float], list]] = {kind.__name__: kind for kind in (box, shelf)}
KINDS = {**SURFACES, **SOLIDS}


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one body, in the unit frame."""

    def build(u: Draw) -> trimesh.Trimesh:
        share, most = u.log(THINNEST, THICKEST), u.whole(4000, 11500)
        if kind in SOLIDS:
            # a box of about unit size: its own thickness is found from its size in a first pass
            state = u.rng.bit_generator.state
            rough = united(SOLIDS[kind](u, 0.02)).to_mesh().vert_properties[:, :3].astype(np.float64)
            size = unit_placement(rough)[1]
            u.rng.bit_generator.state = state
            whole = united(SOLIDS[kind](u, 2 * share / size))
        else:
            surfaces = SURFACES[kind](u)
            middle, size = unit_placement(np.concatenate([s.points.reshape(-1, 3) for s in surfaces]), share)
            sheets = [sheet((s.points - middle) * size, 2 * share, s.around, s.pole) for s in surfaces]
            if len(sheets) == 1 and 2000 <= len(sheets[0].faces) <= 12000:
                return turned_upright(sheets[0], u)
            whole = united([solid(part) for part in sheets])
        return turned_upright(meshed(whole, most=most), u)

    return first_closed(build, [seed, sorted(KINDS).index(kind), index])


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 800, make))
