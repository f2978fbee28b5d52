"""Write limb trees: stars, many-legged bodies, posed bipeds and quadrupeds, branching plants and corals, curled hands.

    python datasets/trees.py OUT_DIR [--count 600] [--seed 0] [--kinds star hand ...]

Each is a body with chains of tapering limbs at random joint angles, united with a random blending radius. Two of three
are aligned with the axes by one of the 24 rotations of the cube, the others have random rotations. A shape depends on
kind, seed and index alone.

Needs: `pip install fast-simplification manifold3d`. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import trimesh
from booleans import first_closed
from common import write_kinds
from draw import Draw, Table, Vector, at
from limbs import Limb, blended_mesh, chain
from poses import turned_anyhow, unit_placement
from scipy.spatial.transform import Rotation
from simplification import simplified

COMMON: Table = {"blend": (0.005, 0.09), "faces": (2500, 11500), "thinnest": (0.012, 0.022)}
STAR: Table = {
    "arms": (3, 8),
    "layout": ("flat", "flat", "cone", "sphere"),
    "length": (0.5, 1.2),
    "uneven": (0.0, 0.5),
    "pieces": (2, 6),
    "thick": (0.03, 0.22),
    "taper": (0.2, 1.2),
    "curl": (0.0, 0.5),
    "wobble": (0.0, 0.35),
    "body": (0.0, 0.35),
}
MANYLEG: Table = {
    "style": ("ant", "spider", "octopus", "octopus"),
    "pairs": (2, 5),
    "thick": (0.018, 0.06),
    "reach": (0.35, 0.9),
    "rise": (-0.2, 1.1),
    "knee": (0.6, 1.9),
    "body": (0.08, 0.24),
    "long": (0.8, 2.2),
    "feelers": 0.5,
}
OCTOPUS: Table = {
    "legs": (4, 8),
    "pieces": (4, 8),
    "thick": (0.02, 0.11),
    "reach": (0.35, 0.9),
    "curl": (-0.9, 0.9),
    "twist": (0.0, 0.4),
    "head": (0.08, 0.36),
}
BIPED: Table = {
    "trunk": (0.35, 0.65),
    "thick": (0.07, 0.2),
    "limb": (0.03, 0.075),
    "leg": (0.3, 0.95),
    "arm": (0.3, 0.9),
    "head": (0.07, 0.18),
    "lean": (-0.9, 0.9),
    "wild": (0.3, 1.3),
    "tail": 0.25,
    "flat": (0.5, 1.0),
}
QUADRUPED: Table = {
    "attitude": ("lying", "rearing", "running", "standing"),
    "trunk": (0.4, 0.9),
    "thick": (0.08, 0.22),
    "leg": (0.2, 0.75),
    "limb": (0.022, 0.07),
    "neck": (0.1, 0.6),
    "neck_angle": (-0.4, 1.4),
    "skull": (0.05, 0.13),
    "muzzle": (0.05, 0.3),
    "tail": (0.1, 0.9),
    "ears": ("none", "short", "long", "horns"),
}
BRANCHING: Table = {
    "depth": (2, 4),
    "children": (2, 4),
    "layout": ("flat", "full", "full"),
    "spread": (0.25, 1.2),
    "ratio": (0.55, 0.95),
    "thick": (0.03, 0.11),
    "slim": (0.5, 0.9),
    "rise": (-0.25, 0.4),
    "uneven": (0.0, 0.4),
    "bend": (0.0, 0.3),
    "stems": (1, 3),
    "ends": ("plain", "plain", "knobs", "leaves"),
}
HAND: Table = {
    "fingers": (3, 5),
    "palm": (0.12, 0.3),
    "deep": (0.03, 0.07),
    "finger": (0.2, 0.6),
    "thick": (0.025, 0.06),
    "taper": (0.4, 1.0),
    "fist": (0.0, 1.1),
    "uneven": (0.0, 0.8),
    "spread": (0.0, 0.6),
    "thumb": 0.85,
    "forearm": (0.0, 0.6),
}
MOST_LIMBS = 130


def star(u: Draw) -> list[Limb]:
    """Arms from one point or ball, in a plane, on a cone or all around."""
    k = u.sample(STAR)
    tilt = 0.0 if k.layout == "flat" else u(-1.0, 1.0)
    body, limbs = k.body if u.often(0.7) else 0.0, []
    ball = max(body, k.thick * 0.8)
    limbs += [Limb(at(0, 0, 0), at(0, 0, 1e-3), ball, ball, u(0.35, 1.0), at(0, 0, 1))]
    for number in range(k.arms):
        angle = 2 * np.pi * number / k.arms + u(-1, 1) * k.uneven / 2
        out = at(np.cos(angle), np.sin(angle), tilt)
        if k.layout == "sphere":
            height = 1 - 2 * (number + 0.5) / k.arms
            angle = 2.4 * number
            out = at(*(np.sqrt(1 - height**2) * at(np.cos(angle), np.sin(angle))), height) + u.jitter(k.uneven / 2)
        length = k.length * (1 + k.uneven * u(-1, 1)) / k.pieces
        axis = np.cross(out, at(0, 0, 1)) if u.often(0.5) else at(0, 0, 1)
        bends = [axis * k.curl + u.jitter(k.wobble) for _ in range(k.pieces)]
        radii = list(k.thick * np.linspace(1, k.taper, k.pieces + 1))
        limbs += chain(out / np.linalg.norm(out) * ball * 0.5, out, [length] * k.pieces, radii, bends)
    return limbs


def manyleg(u: Draw) -> list[Limb]:
    """Ants with pairs of legs, spiders with radial legs, octopuses with curling arms; z is up."""
    k = u.sample(MANYLEG)
    if k.style == "octopus":
        return _octopus(u)
    limbs: list[Limb] = []
    count = u.whole(2, 3) if k.style == "ant" else u.whole(1, 2)
    place, radii = at(0, 0, 0), [k.body * u(0.5, 1.2) for _ in range(count)]
    centres = []
    for radius in radii:
        there = place + at(0, -radius * k.long, u(-0.3, 0.3) * radius)
        limbs.append(Limb(place, there, radius * u(0.5, 1.0), radius))
        centres.append((place + there) / 2)
        place = there + at(0, -radius * u(0.7, 1.1), 0)
    chest, long = centres[min(1, count - 1) if k.style == "ant" else 0], radii[0] * k.long
    for pair in range(k.pairs):
        share = pair / max(1, k.pairs - 1) - 0.5
        for side in (1.0, -1.0):
            out = at(side, 1.6 * share if k.style == "ant" else 2.6 * share, k.rise) + u.jitter(0.12)
            fold = np.cross(out, at(0, 0, 1))
            fold = -fold / np.linalg.norm(fold) * k.knee * u(0.7, 1.2)
            slim = k.thick * np.array([1.3, 1.0, 0.8, u(0.4, 0.8)])
            bends = [at(0, 0, 0), fold, -fold * u(-0.5, 0.7)]
            hip = chest + at(side * radii[0] * 0.4, long * share, 0)
            limbs += chain(hip, out, [k.reach * 0.35, k.reach * 0.5, k.reach * u(0.1, 0.5)], list(slim), bends)
    if k.feelers:
        for side in (1.0, -1.0):
            bends = [u.jitter(0.3), u.jitter(0.6)]
            limbs += chain(at(side * 0.03, 0, 0), at(side * u(0.2, 1), 1, u(-0.2, 1)), [0.15, 0.2], [0.02] * 3, bends)
    return limbs


def _octopus(u: Draw) -> list[Limb]:
    k = u.sample(OCTOPUS)
    head, pieces, thick = k.head, k.pieces, min(0.6 * k.head, k.thick)
    limbs = [Limb(at(0, 0, 0), at(u(-0.3, 0.3), u(-0.3, 0.3), u(0.3, 2.2)) * head, head * u(0.5, 1.0), head)]
    for number in range(k.legs):
        angle = 2 * np.pi * number / k.legs + u(-0.2, 0.2)
        out = at(np.cos(angle), np.sin(angle), u(-1.0, 0.2))
        side = np.cross(out, at(0, 0, 1))
        curl = k.curl * u(0.4, 1.2) * (u.sign() if u.often(0.3) else 1.0)
        bends = [side / np.linalg.norm(side) * curl * step / pieces + u.jitter(k.twist) for step in range(pieces)]
        radii = [thick * (1 - 0.8 * step / pieces) for step in range(pieces + 1)]
        limbs += chain(out * head * 0.4, out, [1.4 * k.reach / pieces] * pieces, radii, bends)
    return limbs


def biped(u: Draw) -> list[Limb]:
    """A trunk that bends, two arms, two legs and a head at widely random joint angles; z is up."""
    k = u.sample(BIPED)
    waist = [u.jitter(0.15), at(k.lean, u(-0.4, 0.4), 0), u.jitter(0.2)]
    trunk = chain(at(0, 0, 0), at(0, 0, 1), [k.trunk / 3] * 3, [k.thick * u(0.8, 1.2) for _ in range(4)], waist)
    across, limbs = at(0, 1, 0), [replace(part, flat=k.flat, across=at(0, 1, 0)) for part in trunk]
    shoulder, up = trunk[-1].end, trunk[-1].end - trunk[-1].start
    up = up / np.linalg.norm(up)
    neck = chain(shoulder, up, [k.head * u(0.6, 2.0), k.head * 0.7], [k.limb, k.limb, k.head], [u.jitter(0.2)] * 2)
    limbs += [*neck, Limb(neck[-1].end, neck[-1].end + up * k.head * u(0.1, 0.8), k.head, k.head * u(0.6, 1.1))]
    for side in (1.0, -1.0):
        out = at(side, 0, 0) * u(0.3, 1.2) - up * u(-0.9, 0.9) - across * u(-1, 1) * k.wild
        slim = list(k.limb * np.array([1.2, u(0.7, 1.1), u(0.5, 0.9), u(0.6, 1.2)]))
        bends = [at(0, 0, 0), u.jitter(k.wild * 0.8), u.jitter(0.3)]
        limbs += chain(
            shoulder + at(side * k.thick * 1.1, 0, 0), out, [k.arm * 0.45, k.arm * 0.42, k.arm * 0.13], slim, bends
        )
        down = at(side * u(0.0, 0.8), k.wild * u(-1.2, 1.2), -1)
        knee = at(u(0, 1.5) * k.wild, 0, u(-0.3, 0.3))
        slim = list(k.limb * np.array([u(1.2, 2.0), u(0.9, 1.4), u(0.6, 0.9), u(0.7, 1.1)]))
        limbs += chain(
            at(side * k.thick * 0.6, 0, 0),
            down,
            [k.leg * 0.46, k.leg * 0.44, k.leg * 0.16],
            slim,
            [at(0, 0, 0), knee, at(-u(0.8, 1.6), 0, 0)],
        )
    if k.tail:
        pieces = u.whole(3, 5)
        radii = list(k.limb * np.linspace(1.2, 0.4, pieces + 1))
        limbs += chain(
            at(0, 0, 0), at(0, 1, u(-1, 0.5)), [u(0.1, 0.2)] * pieces, radii, [u.jitter(0.4) for _ in range(pieces)]
        )
    return limbs


def quadruped(u: Draw) -> list[Limb]:
    """Four legs lying, rearing, running or standing; y is forward, z up."""
    k = u.sample(QUADRUPED)
    pitch = {"rearing": u(0.6, 1.4), "lying": u(-0.1, 0.1), "running": u(-0.25, 0.3), "standing": 0.0}[k.attitude]
    sag = at(u(-0.35, 0.35), 0, u(-0.4, 0.4) if k.attitude == "lying" else u(-0.15, 0.15))
    spine = chain(
        at(0, 0, 0),
        at(0, np.cos(pitch), np.sin(pitch)),
        [k.trunk / 3] * 3,
        [k.thick * u(0.75, 1.1) for _ in range(4)],
        [at(0, 0, 0), sag, sag],
    )
    front, ahead = spine[-1].end, spine[-1].end - spine[-1].start
    ahead /= np.linalg.norm(ahead)
    limbs, side_axis = list(spine), at(1, 0, 0)
    lift = Rotation.from_rotvec(side_axis * k.neck_angle).apply(ahead)
    skull = k.skull
    neck = chain(front, lift, [k.neck / 2] * 2, [k.thick * 0.7, skull * 1.1, skull * 0.9], [u.jitter(0.2)] * 2)
    head = chain(
        neck[-1].end, at(u(-0.4, 0.4), 1, u(-0.8, 0.3)), [k.muzzle], [skull, skull * u(0.4, 0.9)], [at(0, 0, 0)]
    )
    limbs += neck + head
    legs = {
        # hip swing and knee bend: front legs, back legs
        "standing": ((-0.3, 0.3, -0.2, 0.3), (-0.3, 0.3, -0.3, 0.2)),
        "running": ((-0.3, 1.3, -1.0, 0.0), (-1.3, 0.5, -0.6, 0.9)),
        "rearing": ((0.3, 1.4, -1.5, -0.3), (-0.7, 0.1, -0.3, 0.9)),
        "lying": ((0.9, 1.6, -0.4, 0.2), (1.0, 1.6, -0.3, 0.6)),
    }[k.attitude]
    for end, (low, high, fold, unfold), reach in ((front, legs[0], 1.0), (at(0, 0, 0), legs[1], u(0.8, 1.3))):
        for side in (1.0, -1.0):
            hip = end + at(side * k.thick * u(0.5, 0.8), 0, -k.thick * 0.2)
            splay = side * (u(0.0, 0.7) if k.attitude == "lying" else u(-0.05, 0.3))
            swing, knee = u(low, high), u(fold, unfold)
            tall = k.leg * reach
            bends = [at(swing, splay, 0), at(knee, 0, 0), at(u(0.6, 1.5), 0, 0)]
            slim = k.limb * np.array([u(1.2, 1.9), u(0.8, 1.2), u(0.6, 1.0), u(0.7, 1.2)])
            limbs += chain(hip, at(0, 0, -1), [tall * 0.5, tall * 0.5, tall * 0.13], list(slim), bends)
    if k.ears != "none":
        long = {"short": u(0.05, 0.1), "long": u(0.12, 0.3), "horns": u(0.12, 0.35)}[k.ears]
        curve = u(-0.5, 0.5) if k.ears == "horns" else 0.0
        for side in (1.0, -1.0):
            out, bends = at(side * u(0.2, 1.0), u(-0.8, 0.3), 1), [at(0, side * curve, curve)] * 3
            limbs += chain(
                head[0].start + at(side * skull * 0.5, 0, skull * 0.4),
                out,
                [long / 3] * 3,
                [0.03, 0.03, 0.022, 0.015],
                bends,
            )
    pieces = u.whole(2, 5)
    radii = list(k.limb * np.linspace(u(0.6, 1.2), u(0.3, 0.9), pieces + 1))
    limbs += chain(
        at(0, 0, 0), at(0, -1, u(-1, 1)), [k.tail / pieces] * pieces, radii, [u.jitter(0.35) for _ in range(pieces)]
    )
    return limbs


def branching(u: Draw) -> list[Limb]:
    """Plants, corals and antlers: every branch ends in several shorter and thinner ones; z is up."""
    k = u.sample(BRANCHING)
    while k.stems * k.children**k.depth > MOST_LIMBS / 2:
        k.depth, k.stems = (k.depth, k.stems - 1) if k.stems > 1 else (k.depth - 1, 1)
    limbs: list[Limb] = []

    def grow(start: Vector, heading: Vector, length: float, thick: float, depth: int) -> None:
        length *= 1 + k.uneven * u(-1, 1)
        bend = u.jitter(k.bend) * (at(0, 1, 0) if k.layout == "flat" else 1.0)
        branch = chain(start, heading, [length / 2] * 2, [thick, thick * k.slim**0.5, thick * k.slim], [bend * 0, bend])
        limbs.extend(branch)
        tip, along = branch[-1].end, branch[-1].end - branch[-1].start
        along /= np.linalg.norm(along)
        if depth == 0:
            if k.ends == "knobs":
                limbs.append(Limb(tip, tip + 0.01 * along, *[thick * u(1.2, 2.2)] * 2))
            elif k.ends == "leaves":
                across = np.cross(along, u.jitter(1.0))
                limbs.append(Limb(tip, tip + along * length * 0.6, thick * 2.5, thick * 1.2, 0.25, across))
            return
        first = u(0, 2 * np.pi)
        side = at(0, 1, 0) if k.layout == "flat" else np.cross(along, at(0.3, 0.5, 0.8))
        for number in range(k.children):
            if k.layout == "flat":
                turn = side * k.spread * np.interp(number, [0, k.children - 1], [-1, 1])
            else:
                about = Rotation.from_rotvec(along * (first + 2 * np.pi * number / k.children))
                turn = about.apply(side / np.linalg.norm(side)) * k.spread
            turn = turn * (1 + k.uneven * u(-1, 1))
            out = Rotation.from_rotvec(turn).apply(along) + at(0, 0, k.rise)
            grow(tip, out, length * k.ratio, thick * k.slim, depth - 1)

    for stem in range(k.stems):
        angle = 2 * np.pi * stem / k.stems
        lean = 0.0 if k.stems == 1 else u(0.4, 1.0)
        grow(
            at(0, 0, 0),
            at(lean * np.cos(angle), 0 if k.layout == "flat" else lean * np.sin(angle), 1),
            0.4,
            k.thick,
            k.depth,
        )
    return limbs


def hand(u: Draw) -> list[Limb]:
    """A palm, three to five fingers, each with its own curl; perhaps a thumb, a forearm; z is forward."""
    k = u.sample(HAND)
    tall, places = u(0.15, 0.4), np.linspace(-k.palm, k.palm, k.fingers)
    limbs = [Limb(at(x * 0.7, 0, -tall), at(x, 0, 0), k.deep * u(0.9, 1.3), k.deep) for x in places]
    for x in places:
        long = k.finger * (1.1 - 0.35 * abs(x / k.palm) + u(-0.1, 0.1))
        fold = max(-0.2, k.fist + k.uneven * u(-1, 1))
        bends = [at(fold * 0.9, k.spread * x / k.palm, 0), at(fold * 1.1, 0, 0), at(fold * 0.8, 0, 0)]
        radii = list(k.thick * np.linspace(1, k.taper, 4))
        limbs += chain(at(x, 0, 0), at(0, 0, 1), [long * 0.43, long * 0.32, long * 0.25], radii, bends)
    if k.thumb:
        bends = [at(u(-0.2, 0.9), u(-0.6, 0.4), 0), at(u(0, 0.9), u(-0.6, 0.2), 0), at(u(0, 0.7), 0, 0)]
        radii = list(k.thick * np.array([1.3, 1.1, 1.0, k.taper]))
        start = at(k.palm * 0.7, 0, -tall * u(0.5, 1.0))
        limbs += chain(start, at(1, 0, u(0.2, 1.2)), [k.finger * share for share in (0.35, 0.3, 0.22)], radii, bends)
    if k.forearm > 0.15:
        wrist = at(0, 0, -tall)
        limbs += chain(wrist, at(0, 0, -1), [k.forearm], [k.palm * u(0.35, 0.6), k.palm * u(0.3, 0.7)], [u.jitter(0.3)])
    return limbs


KINDS: dict[str, Callable[[Draw], list[Limb]]] = {
    kind.__name__: kind for kind in (star, manyleg, biped, quadruped, branching, hand)
}


def in_unit_frame(limbs: list[Limb], thinnest: float) -> list[Limb]:
    """Limbs scaled to the unit ball, none thinner than a radius."""
    ends = np.concatenate([[b.start, b.end] for b in limbs])
    middle, size = unit_placement(ends)
    return [
        replace(
            b,
            start=(b.start - middle) * size,
            end=(b.end - middle) * size,
            first=max(thinnest, b.first * size),
            last=max(thinnest, b.last * size),
            flat=b.flat if b.across is None else min(1.0, max(b.flat, thinnest / (size * max(b.first, b.last)))),
        )
        for b in limbs
    ]


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one body, in the unit frame."""

    def build(u: Draw) -> trimesh.Trimesh:
        k = u.sample(COMMON)
        limbs = in_unit_frame(KINDS[kind](u), k.thinnest)
        mesh = blended_mesh(limbs, k.blend, int(1.8 / k.thinnest))
        largest = (
            max(mesh.split(only_watertight=False), key=lambda part: len(part.faces)) if mesh.body_count > 1 else mesh
        )
        return turned_anyhow(simplified(largest, k.faces), u)

    return first_closed(build, [seed, sorted(KINDS).index(kind), index])


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 600, make))
