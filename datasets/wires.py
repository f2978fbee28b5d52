"""Write wires and frames: space frames, racks, spectacles, springs, chains, baskets, hoops and wheels, stands.

    python datasets/wires.py OUT_DIR [--count 640] [--seed 0] [--kinds spring rack ...]

Each is a set of round rods along straight or curved paths, with radii of 0.006 to 0.03 in the unit frame, swept
exactly and united. All stand upright along an axis, y up, turned by quarter turns about it. A shape depends on kind,
seed and index alone.

Needs: `pip install manifold3d`. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import trimesh
from booleans import first_closed, meshed, solid, united
from common import write_kinds
from draw import Draw, Table, Vector, at
from grid_meshes import resampled, smooth_path, swept
from poses import turned_upright, unit_placement
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

ROUND = 32
"""Points of a superellipse."""
THINNEST, THICKEST = 0.006, 0.03
"""Limits of the radius of a rod, in the unit frame."""
FRAME: Table = {
    "style": ("grid", "truss", "dome", "hull", "tower"),
    "cells": (1, 3),
    "bays": (3, 8),
    "diagonals": ("none", "one", "both"),
    "wide": (0.3, 1.0),
    "deep": (0.2, 1.0),
    "taper": (0.2, 1.0),
    "knots": (8, 24),
}
RACK: Table = {
    "levels": (2, 6),
    "rods": (2, 9),
    "wide": (0.4, 1.2),
    "deep": (0.2, 0.6),
    "tall": (0.3, 1.6),
    "lean": (0.0, 0.35),
    "rim": 0.5,
    "cross": 0.4,
    "style": ("shelf", "ladder", "dishes", "bent"),
}
SPECTACLES: Table = {
    "wide": (0.2, 0.33),
    "tall": (0.12, 0.3),
    "power": (1.6, 5.0),
    "apart": (0.03, 0.12),
    "pointed": (-0.3, 0.4),
    "temple": (0.5, 1.1),
    "folded": 0.25,
    "bow": (0.0, 0.15),
    "pads": 0.5,
    "double": 0.3,
}
SPRING: Table = {
    "style": ("straight", "cone", "barrel", "bent", "double", "flat"),
    "turns": (3, 11),
    "wide": (0.15, 0.7),
    "tall": (0.3, 1.8),
    "top": (0.2, 1.0),
    "ends": ("plain", "hooks", "legs"),
}
CHAIN: Table = {
    "links": (3, 11),
    "layout": ("straight", "curve", "ring", "heap"),
    "long": (0.2, 0.9),
    "twisted": 0.3,
    "studs": 0.2,
}
BASKET: Table = {
    "rings": (3, 7),
    "ribs": (7, 16),
    "tall": (0.2, 1.1),
    "bottom": (0.4, 1.0),
    "belly": (-0.25, 0.35),
    "power": (2.0, 7.0),
    "deep": (0.5, 1.0),
    "handle": ("none", "one", "two"),
    "slant": (0.0, 0.5),
    "lid": 0.2,
}
HOOP: Table = {
    "style": ("wheel", "rings", "gimbal", "knot", "wreath", "dream"),
    "count": (2, 6),
    "spokes": (3, 14),
    "hub": (0.06, 0.4),
    "wide": (0.0, 0.5),
    "p": (2, 5),
    "q": (3, 7),
    "inner": (0.2, 0.45),
}
STAND: Table = {
    "legs": (3, 6),
    "out": (0.2, 0.8),
    "tall": (0.5, 1.6),
    "joint": (0.4, 1.0),
    "ring": 0.5,
    "top": ("ring", "arms", "tray", "cross", "hook"),
    "bend": (-0.2, 0.4),
    "arms": (2, 8),
    "feet": 0.3,
}


@dataclass
class Wires:
    """Rods of one body, z up.

    Attributes:
        u: its random numbers.
        paths: of the rods, each with a factor of the common radius and whether it is closed.
        room: largest radius, in own units, at which turns of one path and links of a chain stay apart.
    """

    u: Draw
    paths: list[tuple[Vector, float, bool]] = field(default_factory=list)
    room: float = np.inf

    def rod(self, *points: Vector, scale: float = 1.0) -> None:
        """Add a rod through points, its corners sharp."""
        self.paths.append((np.array(points, dtype=np.float64), scale, False))

    def curve(self, path: Vector, scale: float = 1.0, closed: bool = False) -> None:
        """Add a rod along a finely sampled path."""
        self.paths.append((np.asarray(path, dtype=np.float64), scale, closed))

    def ring(self, centre: Vector, wide: float, deep: float, power: float = 2.0, scale: float = 1.0) -> None:
        """Add a horizontal superellipse."""
        self.curve(centre + superellipse(wide, deep, power), scale, True)

    def turn(self, axis: str) -> None:
        """Rotate everything by a right angle about an axis."""
        rotation = Rotation.from_euler(axis, 90, degrees=True)
        self.paths = [(rotation.apply(path), scale, closed) for path, scale, closed in self.paths]

    def mesh(self, radius: float, most: int) -> trimesh.Trimesh:
        """The union of all rods in the unit frame, and balls where sharp rods end."""
        points = np.concatenate([path for path, _, _ in self.paths])
        middle, size = unit_placement(points, radius)
        radius = min(radius, self.room * size)
        if radius < THINNEST:
            raise ValueError("the turns of the path leave no room for a rod")
        long = sum(float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) for path, _, _ in self.paths) * size
        solids, nodes = [], {}
        pieces = sum(len(path) for path, _, _ in self.paths)
        budget = 0.45 * most
        sides = int(np.clip(budget / (3 * pieces), 5, 12))
        step = max(2.5 * radius, 2 * sides * long / max(budget - 2 * sides * pieces, 0.2 * budget))
        for path, scale, closed in self.paths:
            # rods that meet by design differ slightly, so that no two of their vertices fall together
            thick = float(np.clip(radius * scale * self.u(0.97, 1.03), THINNEST, THICKEST))
            placed = (path - middle) * size + self.u.jitter(0.01 * radius)
            solids.append(solid(swept(resampled(placed, step, closed), thick, sides, closed)))
            for end in () if closed else (placed[0], placed[-1]):
                key = tuple(np.round(end / radius))
                nodes[key] = max((thick, tuple(end)), nodes.get(key, (0.0, ())))
        for thick, end in nodes.values():
            ball = trimesh.creation.icosphere(1 if len(nodes) < 60 else 0, thick * self.u(1.02, 1.1))
            ball.apply_transform(trimesh.transformations.random_rotation_matrix(self.u.rng.random(3)))
            solids.append(solid(ball.apply_translation(end)))
        return meshed(united(solids), most=most)


def superellipse(wide: float, deep: float, power: float, count: int = ROUND) -> Vector:
    """Points (count, 3) of |x / wide|^p + |y / deep|^p = 1."""
    turn = 2 * np.pi * (np.arange(count) + 0.5) / count
    x, y = np.cos(turn), np.sin(turn)
    size = (np.abs(x) ** power + np.abs(y) ** power) ** (-1 / power)
    return np.stack([wide * size * x, deep * size * y, 0 * x], 1)


def helix(radii: Vector, turns: float, height: Vector, start: float = 0.0) -> Vector:
    """Points of a helix with a radius and a height at each."""
    angle = start + 2 * np.pi * turns * np.linspace(0, 1, len(radii))
    return np.stack([radii * np.cos(angle), radii * np.sin(angle), height], 1)


def frame(w: Wires) -> None:
    """A lattice of boxes, a truss beam, a dome, the edges of a polyhedron, or a tower."""
    k = w.u.sample(FRAME)
    if k.style == "grid":
        counts = [w.u.whole(1, k.cells) for _ in range(3)]
        sizes = at(k.wide, k.deep, w.u(0.2, 1.0)) / max(counts)
        nodes = list(itertools.product(*(range(n + 1) for n in counts)))
        for node in nodes:
            for axis in range(3):
                if node[axis] < counts[axis]:
                    there = np.array(node) + np.eye(3)[axis]
                    w.rod(node * sizes, there * sizes)
                    other = (axis + 1) % 3
                    if k.diagonals != "none" and node[other] < counts[other]:
                        w.rod(node * sizes, (there + np.eye(3)[other]) * sizes, scale=0.7)
    elif k.style in ("truss", "tower"):
        corners = w.u.whole(3, 4)
        shares = np.linspace(0, 1, k.bays + 1)
        narrow = k.taper if k.style == "tower" else 1.0
        turn = 2 * np.pi * np.arange(corners) / corners
        rings = [
            np.stack([0.35 * k.wide * np.cos(turn), 0.35 * k.deep * np.sin(turn), 0 * turn + 2 * s], 1)
            * [1 + (narrow - 1) * s, 1 + (narrow - 1) * s, 1]
            for s in shares
        ]
        for number, ring in enumerate(rings):
            for c in range(corners):
                w.rod(ring[c], ring[(c + 1) % corners], scale=0.7)
                if number < k.bays:
                    upper = rings[number + 1]
                    w.rod(ring[c], upper[c])
                    if k.diagonals != "none":
                        w.rod(ring[c], upper[(c + 1) % corners], scale=0.7)
                    if k.diagonals == "both":
                        w.rod(ring[(c + 1) % corners], upper[c], scale=0.7)
        if k.style == "truss" and w.u.often(0.7):
            w.turn("y")
    else:
        if k.style == "dome":
            ball = trimesh.creation.icosphere(1 if w.u.often(0.6) else 2)
            cut = w.u(-0.6, 0.3) if w.u.often(0.7) else -2.0
            ends, edges = ball.vertices * [k.wide, k.deep, w.u(0.4, 1.0)], ball.edges_unique
            edges = edges[(ball.vertices[edges][:, :, 2] > cut).all(1)]
        else:
            points = w.u.rng.normal(size=(k.knots, 3))
            ends = points / np.linalg.norm(points, axis=1, keepdims=True) * [k.wide, k.deep, w.u(0.4, 1.0)]
            faces = ConvexHull(ends).simplices
            edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])), axis=0)
        for a, b in edges:
            w.rod(ends[a], ends[b])


def rack(w: Wires) -> None:
    """Posts with shelves of rods, a ladder, a dish rack, or a rack of bent rods."""
    k = w.u.sample(RACK)
    x, y = k.wide / 2, k.deep / 2
    levels = np.linspace(w.u(0.05, 0.3) * k.tall, k.tall * w.u(0.85, 1.0), k.levels)
    lean = at(0, k.lean * k.tall, 0)
    if k.style in ("shelf", "ladder"):
        for side, end in itertools.product((-1, 1), (-1, 1) if k.style == "shelf" else (-1,)):
            foot = at(side * x, end * y, 0)
            w.rod(foot, foot + at(0, 0, k.tall) + lean * (end < 0), scale=1.3)
        for level in levels:
            shift = lean * level / k.tall
            corners = [at(sx * x, sy * y, level) + shift * (sy < 0) for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            if k.style == "ladder":
                w.rod(corners[0], corners[1])
                continue
            for a in range(4):
                w.rod(corners[a], corners[(a + 1) % 4])
                if k.rim:
                    up = at(0, 0, 0.08)
                    w.rod(corners[a] + up, corners[(a + 1) % 4] + up, scale=0.7)
            for share in np.linspace(0, 1, k.rods + 2)[1:-1]:
                a = corners[0] + share * (corners[1] - corners[0])
                w.rod(a, corners[3] + share * (corners[2] - corners[3]), scale=0.7)
        if k.cross and k.style == "shelf":
            w.rod(at(-x, y, levels[0]), at(x, y, levels[-1]), scale=0.8)
            w.rod(at(x, y, levels[0]), at(-x, y, levels[-1]), scale=0.8)
        return
    tall = 0.35 * k.tall
    w.ring(at(0, 0, 0), x, y, 6.0, scale=1.2)
    for place in np.linspace(-0.9 * x, 0.9 * x, 2 * k.rods + 1):
        turn = np.linspace(0, np.pi, 13)
        if k.style == "dishes":
            lean = at(w.u(0, 0.02), 0, 0) + at(k.lean * tall, 0, 0)
            w.rod(at(place, -y, 0), at(place, y, 0), scale=0.8)
            w.rod(
                at(place, -y * 0.5, 0),
                at(place, -y * 0.5, tall) + lean,
                at(place, y * 0.5, tall) + lean,
                at(place, y * 0.5, 0),
            )
        else:
            arc = np.stack([0 * turn + place, -y * np.cos(turn), tall * np.sin(turn)], 1)
            w.curve(arc + at(1, 0, 0) * (k.lean * np.sin(turn) * 0.3)[:, None])


def spectacles(w: Wires) -> None:
    """Two rims, a bridge and temples, open or folded."""
    k = w.u.sample(SPECTACLES)
    turn = 2 * np.pi * np.arange(40) / 40
    c, s = np.cos(turn), np.sin(turn)
    size = (np.abs(c) ** k.power + np.abs(s) ** k.power) ** (-1 / k.power)
    rim = np.stack([k.wide * size * c, 0 * c, k.tall * size * s * (1 + k.pointed * c)], 1)
    rim += at(k.apart + k.wide, 0, 0)
    rim[:, 1] = k.bow * (rim[:, 0] / (2 * k.wide)) ** 2
    hinge = rim[np.argmax(rim[:, 0] + rim[:, 2] * w.u(0, 0.8))]
    inner = rim[20]
    angle = w.u(1.2, 1.5) if k.folded else w.u(-0.1, 0.15)
    back = at(-np.sin(angle), np.cos(angle), 0)
    for side in (1.0, -1.0):
        flip = at(side, 1, 1)
        w.curve(rim * flip, closed=True)
        # folded temples lie behind each other
        start = hinge + at(0, 0.05 + 0.1 * (side < 0) if k.folded else 0.02, 0)
        tip = start + k.temple * back
        knots = np.array([hinge, start, start + 0.5 * k.temple * back, tip, tip + 0.12 * back + at(0, 0, -0.15)])
        w.curve((smooth_path(knots, 20) if k.folded else knots) * flip)
        if k.pads:
            w.rod(inner * flip, (inner + at(-0.01, 0.08, -0.04)) * flip, scale=0.7)
    low, high = inner, k.tall * w.u(0.0, 0.5)
    w.curve(smooth_path(np.array([low, at(0, low[1] * 0.8, high), low * at(-1, 1, 1)]), 12))
    if k.double:
        top = rim[np.argmax(rim[:, 2])]
        w.rod(top, top * at(-1, 1, 1))


def spring(w: Wires) -> None:
    """A helix: straight, conical, barrel shaped, along a bend, doubled, or a flat spiral."""
    k = w.u.sample(SPRING)
    count = 22 * k.turns
    share = np.linspace(0, 1, count)
    radii = k.wide * (1 + 0 * share)
    if k.style in ("cone", "flat"):
        radii = k.wide * (1 + (k.top - 1) * share) if k.style == "cone" else (0.15 + share) * 0.8
    if k.style == "barrel":
        radii = k.wide * (1 + w.u(-0.6, 0.9) * np.sin(np.pi * share))
    height = k.tall * share if k.style != "flat" else w.u(0.0, 0.6) * share
    path = helix(radii, k.turns, height)
    pitch = float(np.hypot(np.diff(radii), np.diff(height)).min() * (count - 1) / k.turns)
    w.room = pitch * (0.2 if k.style == "double" else 0.4)
    if k.style == "bent":
        angle = share * w.u(0.5, 2.5)
        round_ = max(k.tall / angle[-1], 1.6 * k.wide)
        w.room *= 1 - k.wide / round_
        out = round_ - path[:, 0]
        path = np.stack([out * np.cos(angle), path[:, 1], out * np.sin(angle)], 1)
    if k.style == "double":
        w.curve(helix(radii, k.turns, height, np.pi))
    if k.ends != "plain" and k.style != "bent":
        for end, sign in ((0, -1.0), (-1, 1.0)):
            tip = path[end]
            if k.ends == "legs":
                out = tip * at(1, 1, 0) / np.linalg.norm(tip[:2])
                along = np.cross(out, at(0, 0, 1)) * -sign
                w.rod(tip, tip + along * w.u(0.2, 0.8))
            else:
                turn = np.linspace(0, 1.5 * np.pi, 16)
                reach = 0.5 * np.linalg.norm(tip[:2])
                out = tip * at(1, 1, 0) / np.linalg.norm(tip[:2])
                hook = np.stack([np.cos(turn), np.sin(turn)], 1) * reach
                w.curve(out * hook[:, :1] + at(0, 0, 1) * sign * hook[:, 1:] + tip - out * reach)
    w.curve(path)


def chain(w: Wires) -> None:
    """Links that pass through each other without contact, along a line, a curve or a ring."""
    k = w.u.sample(CHAIN)
    w.room = 0.11
    links = max(6, k.links) if k.layout == "ring" else k.links
    wide, straight = 0.5, k.long
    turn = np.linspace(0, 2 * np.pi, 29)[:-1]
    oval = np.stack([wide * np.cos(turn) + straight * np.sign(np.cos(turn)), wide * np.sin(turn), 0 * turn], 1)
    pitch, along, heading, roll = 2 * (wide + straight) - 0.6 * wide, at(0, 0, 0), at(1, 0, 0), w.u(0, np.pi)
    curve = {"straight": 0.0, "curve": w.u(0.1, 0.5), "ring": 2 * np.pi / links, "heap": w.u(0.0, 0.3)}[k.layout]
    for _number in range(links):
        side = np.cross(at(0, 0, 1), heading)
        basis = np.stack([heading, side / np.linalg.norm(side), np.cross(heading, side / np.linalg.norm(side))])
        spin = Rotation.from_rotvec(heading * roll).as_matrix()
        link = oval.copy()
        if k.twisted:
            link[:, 2] = 0.12 * np.sin(2 * turn)
        w.curve(along + link @ basis @ spin.T, closed=True)
        if k.studs:
            w.rod(along + at(0, wide, 0) @ basis @ spin.T, along - at(0, wide, 0) @ basis @ spin.T)
        bend = at(0, 0, curve) + (w.u.jitter(0.15) if k.layout == "heap" else 0.0)
        after = Rotation.from_rotvec(bend).apply(heading)
        along, heading = along + pitch / 2 * (heading + after), after
        roll += (
            np.pi / 2 if k.layout == "ring" and links % 2 == 0 or k.layout != "ring" else np.pi / 2 + np.pi / links / 2
        )
    if w.u.often(0.5):
        w.turn("y")


def basket(w: Wires) -> None:
    """Rings and ribs of a basket or a cage, perhaps with handles."""
    k = w.u.sample(BASKET)
    heights = np.linspace(0, 1, k.rings)

    def outline(share: float) -> Vector:
        size = k.bottom + (1 - k.bottom) * share + k.belly * np.sin(np.pi * share)
        return superellipse(0.6 * size, 0.6 * size * k.deep, k.power) + at(0, 0, k.tall * share)

    for number, share in enumerate(heights):
        w.curve(outline(share), 1.4 if number == len(heights) - 1 else 0.9, True)
    levels = np.linspace(0, 1, 9)
    rows = np.stack([outline(share) for share in levels])
    ribs = k.ribs if k.slant <= 0.25 else k.ribs // 2 + 2
    for number in range(ribs):
        place = ROUND * number / ribs
        for slant in (k.slant, -k.slant) if k.slant > 0.25 else (0.0,):
            columns = place + slant * 8 * levels
            low = np.floor(columns).astype(int)
            part = (columns - low)[:, None]
            rib = rows[range(9), low % ROUND] * (1 - part) + rows[range(9), (low + 1) % ROUND] * part
            w.curve(rib, 0.8)
    for number in range(w.u.whole(2, 6)):
        turn = np.pi * number / 6 + 0.1
        edge = rows[0, int(ROUND * turn / (2 * np.pi))]
        w.rod(edge, edge * at(-1, -1, 1), scale=0.8)
    top = rows[-1]
    turn = np.linspace(0, np.pi, 17)
    high = k.tall * w.u(0.3, 0.8) + 0.15
    if k.handle == "one":
        ends = top[0] - top[ROUND // 2]
        w.curve(
            top[ROUND // 2] + ends * (0.5 - 0.5 * np.cos(turn))[:, None] + at(0, 0, 1) * (high * np.sin(turn))[:, None],
            1.3,
        )
    elif k.handle == "two":
        for a in (ROUND // 4, 3 * ROUND // 4):
            ends, out = top[a + 3] - top[a - 3], top[a] / np.linalg.norm(top[a] * at(1, 1, 0))
            arc = 0.12 * np.sin(turn)[:, None] * (at(0, 0, 1) + out * at(1, 1, 0))
            w.curve(top[a - 3] + ends * (0.5 - 0.5 * np.cos(turn))[:, None] + arc, 1.2)
    if k.lid:
        peak = at(0, 0, k.tall * w.u(1.1, 1.7))
        for number in range(8):
            w.rod(top[ROUND // 8 * number], peak)


def hoop(w: Wires) -> None:
    """A wheel with spokes, stacked or nested rings, a gimbal, a torus knot, a wreath, or a net in a ring."""
    _lying_hoop(w)
    if w.u.often(0.6):
        w.turn("x")


def _lying_hoop(w: Wires) -> None:
    k = w.u.sample(HOOP)
    if k.style == "wheel":
        w.ring(at(0, 0, 0), 1, 1, scale=1.5)
        half = 0.5 * k.wide * k.hub
        for level in (half, -half) if k.wide > 0.1 else (0.0,):
            w.ring(at(0, 0, level), k.hub, k.hub)
        sweep = w.u(-0.8, 0.8) if w.u.often(0.5) else 0.0
        for number in range(k.spokes):
            turn = 2 * np.pi * number / k.spokes
            level = (half if number % 2 else -half) if k.wide > 0.1 else 0.0
            hub = at(k.hub * np.cos(turn + sweep), k.hub * np.sin(turn + sweep), level)
            w.rod(hub, at(np.cos(turn), np.sin(turn), 0), scale=0.8)
    elif k.style == "rings":
        shift = at(w.u(-0.5, 0.5), 0, w.u(0.15, 0.6))
        for number in range(k.count):
            size = 1 - w.u(0, 0.9) * number / k.count
            w.ring(shift * number, size, size * w.u(0.6, 1.0), w.u(2, 5))
        for number in range(k.spokes):
            turn = 2 * np.pi * number / k.spokes
            points = [w.paths[row][0][int(ROUND * turn / (2 * np.pi))] for row in range(k.count)]
            w.rod(*points)
    elif k.style == "gimbal":
        size = 1.0
        for number in range(k.count):
            tilt = Rotation.from_rotvec(w.u.jitter(1.0)) if number else Rotation.identity()
            w.curve(tilt.apply(superellipse(size, size, 2.0)), closed=True)
            size *= w.u(0.75, 0.97)
    elif k.style in ("knot", "wreath"):
        p, q = k.p, k.q if np.gcd(k.p, k.q) == 1 else k.q + 1
        q = q if np.gcd(p, q) == 1 else p + 1
        p = 1 if k.style == "wreath" else p
        angle = 2 * np.pi * np.arange(320) / 320
        wave = (q * w.u.whole(1, 5) if k.style == "wreath" else q) * angle
        between = 2 * k.inner * np.sin(np.pi / p) if p > 1 else 2 * np.pi * (1 - k.inner) / (wave[1] / angle[1])
        w.room = 0.3 * between
        out = 1 + k.inner * np.cos(wave)
        w.curve(np.stack([out * np.cos(p * angle), out * np.sin(p * angle), k.inner * np.sin(wave)], 1), closed=True)
        if k.style == "wreath":
            w.ring(at(0, 0, 0), 1 + k.inner, 1 + k.inner)
    else:
        w.ring(at(0, 0, 0), 1, 1, scale=1.4)
        count = k.spokes + 2
        turn = 2 * np.pi * np.arange(count) / count
        step = w.u.whole(1, max(1, count // 2 - 1))
        rim = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
        for number in range(count):
            w.rod(rim[number], rim[(number + step + 1) % count], scale=0.8)


def stand(w: Wires) -> None:
    """Three to six legs from a hub or a post, braced by a ring, with a top of several kinds."""
    k = w.u.sample(STAND)
    hub = at(0, 0, k.tall * k.joint)
    for number in range(k.legs):
        turn = 2 * np.pi * number / k.legs
        out = at(np.cos(turn), np.sin(turn), 0)
        foot = out * k.out
        middle = (hub + foot) / 2 + out * k.bend * 0.4 + at(0, 0, k.bend * 0.3)
        w.curve(smooth_path(np.stack([hub, middle, foot]), 12))
        if k.feet:
            w.rod(foot, foot + out * 0.15)
        if k.ring:
            w.rod(at(0, 0, hub[2] * 0.4), smooth_path(np.stack([hub, middle, foot]), 12)[7], scale=0.7)
    top = at(0, 0, k.tall + 0.1)
    w.rod(at(0, 0, hub[2] * 0.4) if k.ring else hub, top, scale=1.2)
    size = w.u(0.1, 0.5)
    if k.top in ("ring", "tray"):
        w.ring(top, size, size, scale=1.0)
        for number in range(k.arms):
            turn = 2 * np.pi * number / k.arms
            w.rod(top, top + size * at(np.cos(turn), np.sin(turn), 0), scale=0.8)
        if k.top == "tray":
            w.ring(top + at(0, 0, 0.1), size, size)
    elif k.top == "arms":
        for number in range(k.arms):
            turn = 2 * np.pi * number / k.arms
            out, level = at(np.cos(turn), np.sin(turn), 0), top - at(0, 0, w.u(0, 0.5) * k.tall)
            knots = np.stack(
                [level, level + out * size * 0.6 + at(0, 0, w.u(-0.2, 0.1)), level + out * size + at(0, 0, 0.2)]
            )
            w.curve(smooth_path(knots, 12), 0.8)
    elif k.top == "cross":
        w.rod(top - at(size, 0, 0), top + at(size, 0, 0))
        if w.u.often(0.5):
            w.rod(top - at(0, size, 0), top + at(0, size, 0))
    else:
        turn = np.linspace(np.pi, -0.4 * np.pi, 16)
        w.curve(top + size * np.stack([1 + np.cos(turn), 0 * turn, np.sin(turn)], 1))


KINDS: dict[str, Callable[[Wires], None]] = {
    kind.__name__: kind for kind in (frame, rack, spectacles, spring, chain, basket, hoop, stand)
}


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one body, in the unit frame."""

    def build(u: Draw) -> trimesh.Trimesh:
        wires = Wires(u)
        KINDS[kind](wires)
        return turned_upright(wires.mesh(u.log(THINNEST, THICKEST), u.whole(5000, 11500)), u)

    return first_closed(build, [seed, sorted(KINDS).index(kind), index])


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 640, make))
