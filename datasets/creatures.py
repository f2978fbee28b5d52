"""Write smooth bodies made of limbs: animals, hands, people, aircraft, spectacles, in random poses and orientations.

    python datasets/creatures.py OUT_DIR [--count 600] [--seed 0] [--kinds quadruped hand ...]

Each is a skeleton of tapering limbs, some of them flattened (wings, fins, palms), blended where they meet. Two of three
are aligned with the axes by one of the 24 rotations of the cube; the others have random rotations, as meshes of many
sources do. A shape depends on kind, seed and index alone.

Needs nothing but latentsdf. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import trimesh
from common import write_kinds
from draw import Draw, at
from limbs import THINNEST, Limb, chain, field, mirrored
from scipy.spatial.transform import Rotation

from latentsdf.mesh.isosurface import extract_mesh


def quadruped(u: Draw) -> list[Limb]:
    """Four legs, a neck, a tail; z is forward, y up."""
    long, thick = u(0.35, 0.6), u(0.09, 0.2)
    front, back = at(0, 0, long / 2), at(0, u(-0.05, 0.05), -long / 2)
    limbs = [Limb(back, front, thick * u(0.8, 1.0), thick * u(0.85, 1.15))]
    up = u(0.1, 1.3)
    reach, slim = u(0.1, 0.4), thick * u(0.35, 0.7)
    neck = chain(front, at(0, np.sin(up), np.cos(up)), [reach], [slim * 1.4, slim], [u.jitter(0.1)])
    head = chain(
        neck[-1].end, at(u(-0.3, 0.3), u(-0.6, 0.1), 1), [u(0.1, 0.25)], [slim * u(1.0, 1.5), slim * 0.6], [at(0, 0, 0)]
    )
    limbs += neck + head
    if u(0, 1) < 0.6:
        ear = Limb(
            head[0].start + at(0.04, 0.04, 0), head[0].start + at(u(0.05, 0.12), u(0.08, 0.2), 0), 0.03, THINNEST
        )
        limbs += [ear, *mirrored([ear])]
    tall, leg = u(0.25, 0.55), max(THINNEST * 1.3, thick * u(0.2, 0.4))
    for end, lean in ((front, 0.3), (back, -0.3)):
        for side in (1.0, -1.0):
            hip = end + at(side * thick * 0.6, -thick * 0.3, 0)
            swing = at(u(-0.5, 0.5), 0, side * u(-0.05, 0.2))
            limbs += chain(
                hip,
                at(0, -1, 0),
                [tall / 2, tall / 2, tall * 0.15],
                [leg * 1.4, leg, leg * 0.8, leg * 0.9],
                [swing, at(u(-0.5, 0.5) + lean, 0, 0), at(-1.2, 0, 0)],
            )
    if u(0, 1) < 0.85:
        pieces = u.whole(2, 4)
        tail = max(THINNEST, thick * u(0.12, 0.3))
        limbs += chain(
            back,
            at(0, u(-1, 1), -1),
            [u(0.08, 0.2)] * pieces,
            [tail] * (pieces + 1),
            [u.jitter(0.3) for _ in range(pieces)],
        )
    return limbs


def person(u: Draw) -> list[Limb]:
    """Two arms, two legs; y is up."""
    thick, limb = u(0.07, 0.12), u(0.03, 0.05)
    limbs = [Limb(at(0, -0.05, 0), at(0, u(0.26, 0.34), 0), thick, thick * u(0.9, 1.2), u(0.6, 0.9), at(0, 0, 1))]
    shoulder = limbs[0].end
    limbs += [Limb(shoulder, shoulder + at(0, 0.12, 0.02), limb, limb)]
    skull = u(0.06, 0.09)
    limbs += [Limb(shoulder + at(0, 0.15, 0.02), shoulder + at(0, 0.2, 0.03), skull, skull * 0.9)]
    arm, leg = u(0.2, 0.27), u(0.24, 0.33)
    for side in (1.0, -1.0):
        raise_ = u(-0.1, 2.2)
        out = at(side * np.sin(raise_), -np.cos(raise_), u(-0.4, 0.6))
        fold = [at(0, 0, 0), at(-u(0, 1.6), side * u(-0.8, 0.8), 0), u.jitter(0.3)]
        limbs += chain(
            shoulder + at(side * thick * 1.3, -0.02, 0),
            out,
            [arm, arm * 0.9, 0.09],
            [limb * 1.1, limb * 0.8, limb * 0.6, limb * 0.7],
            fold,
        )
        knee = u(0, 1.4)
        bends = [at(-knee * u(0.3, 1.1), 0, side * u(-0.02, 0.4)), at(knee, 0, 0), at(-1.3, 0, 0)]
        limbs += chain(
            at(side * thick * 0.7, -0.06, 0),
            at(0, -1, 0),
            [leg, leg, 0.1],
            [limb * 1.7, limb * 1.2, limb * 0.8, limb * 0.8],
            bends,
        )
    return limbs


def bird(u: Draw) -> list[Limb]:
    """A trunk, a beak, wings folded or spread, a flat tail."""
    thick, long = u(0.1, 0.2), u(0.15, 0.4)
    tilt = u(0.0, 0.9)
    along = at(0, np.sin(tilt), np.cos(tilt))
    chest, rump = along * long / 2, -along * long / 2
    limbs = [Limb(rump, chest, thick * 0.6, thick)]
    neck = chain(
        chest,
        along + at(0, u(0, 1), 0),
        [u(0.05, 0.25)] * 2,
        [thick * 0.6, thick * 0.4, thick * u(0.35, 0.55)],
        [u.jitter(0.3), u.jitter(0.3)],
    )
    limbs += neck
    limbs += [Limb(neck[-1].end, neck[-1].end + at(0, u(-0.05, 0.05), u(0.08, 0.25)), thick * 0.3, THINNEST)]
    flat = u(0.15, 0.4)
    limbs += [
        Limb(
            rump,
            rump - along * u(0.15, 0.4) + at(0, u(-0.1, 0.1), 0),
            thick * 0.5,
            thick * u(0.3, 0.8),
            flat,
            np.cross(along, at(1, 0, 0)),
        )
    ]
    spread = u(0.2, 0.6) if u(0, 1) < 0.6 else 0.0
    chord = u(0.07, 0.14)
    if spread:
        lift = u(-0.3, 0.6)
        out = at(np.cos(lift), np.sin(lift), u(-0.4, 0.2))
        wing = chain(
            at(thick * 0.4, 0, 0.02),
            out,
            [spread * 0.5, spread * 0.5],
            [chord, chord, chord * u(0.3, 0.8)],
            [at(0, 0, 0), at(0, u(0, 0.7), u(-0.5, 0.3))],
        )
    else:
        wing = [
            Limb(at(thick * 0.8, thick * 0.2, 0) + chest * 0.3, at(thick * 0.6, 0, 0) + rump * 1.2, chord, chord * 0.4)
        ]
    thin = u(0.18, 0.35)
    up = at(0, 1, 0) if spread else at(1, 0, 0)
    wing = [Limb(b.start, b.end, b.first, b.last, thin, up) for b in wing]
    limbs += wing + mirrored(wing)
    if u(0, 1) < 0.5:
        leg = chain(
            at(thick * 0.4, -thick * 0.6, 0),
            at(0, -1, 0),
            [u(0.1, 0.3), 0.07],
            [0.025, 0.02, 0.02],
            [u.jitter(0.2), at(-1.4, 0, 0)],
        )
        limbs += leg + mirrored(leg)
    return limbs


def insect(u: Draw) -> list[Limb]:
    """Three body segments, six or eight thin legs, antennae."""
    a, b, c = u(0.06, 0.12), u(0.05, 0.1), u(0.09, 0.18)
    limbs = [Limb(at(0, 0, 0.2), at(0, 0, 0.2 + a), a, a * 0.8), Limb(at(0, 0, -0.05), at(0, 0, 0.1), b, b)]
    limbs += [Limb(at(0, u(0, 0.05), -0.18 - c), at(0, u(-0.05, 0.1), -0.25 - c * u(1, 2)), c, c * u(0.4, 0.9))]
    pairs, slim = u.whole(3, 4), u(THINNEST, 0.028)
    reach, rise = u(0.18, 0.35), u(0.2, 0.9)
    for number in range(pairs):
        fan = np.interp(number, [0, pairs - 1], [u(0.4, 0.9), -u(0.4, 1.0)])
        out = at(1, rise, fan)
        for side in (1.0, -1.0):
            leg = chain(
                at(0.03, 0, 0.1 - 0.07 * number),
                out + u.jitter(0.1),
                [reach * 0.5, reach, reach * 0.4],
                [slim * 1.2, slim, slim, slim],
                [at(0, 0, 0), at(0, 0, -u(1.0, 1.8)), at(0, 0, u(0, 0.8))],
            )
            limbs += leg if side > 0 else mirrored(leg)
    if u(0, 1) < 0.8:
        feeler = chain(
            at(0.04, 0.03, 0.2 + a),
            at(u(0.2, 0.9), u(0, 1), 1),
            [0.12, 0.15],
            [slim, slim, slim],
            [u.jitter(0.3), u.jitter(0.5)],
        )
        limbs += feeler + mirrored(feeler)
    return limbs


def octopus(u: Draw) -> list[Limb]:
    """A head, and arms around it that bend independently."""
    head, arms = u(0.12, 0.22), u.whole(6, 9)
    limbs = [Limb(at(0, 0.05, 0), at(u(-0.1, 0.1), u(0.15, 0.35), u(-0.1, 0.1)), head * 0.7, head)]
    thick, piece = u(0.03, 0.055), u(0.1, 0.17)
    droop, curl = u(-0.6, 0.3), u(0.1, 0.6)
    for number in range(arms):
        angle = 2 * np.pi * number / arms + u(-0.15, 0.15)
        out = at(np.cos(angle), droop, np.sin(angle))
        side = np.cross(at(0, 1, 0), out)
        bends = [side / np.linalg.norm(side) * curl * u(-1, 1) + u.jitter(0.25) for _ in range(5)]
        radii = [max(THINNEST, thick * (1 - 0.17 * step)) for step in range(6)]
        limbs += chain(out * head * 0.4, out, [piece] * 5, radii, bends)
    return limbs


def hand(u: Draw) -> list[Limb]:
    """A palm, four fingers and a thumb, each bent independently; the fingers point along y."""
    wide, thick = u(0.15, 0.2), u(0.035, 0.05)
    limbs = [
        Limb(at(x, -0.18, 0), at(x * 1.25, 0.1, 0), thick * 1.25, thick * 1.1)
        for x in np.linspace(-wide, wide, 4) * 0.8
    ]
    fist, spread = u(0.0, 1.0), u(0.0, 0.25)
    for number, x in enumerate(np.linspace(-wide, wide, 4)):
        size = (0.8, 1.0, 0.95, 0.75)[number] * u(0.9, 1.1)
        fold = max(0.0, fist + u(-0.4, 0.4)) if u(0, 1) < 0.7 else u(0, 1.2)
        bends = [at(fold * 0.9, 0, -spread * (number - 1.5) / 1.5), at(fold, 0, 0), at(fold * 0.7, 0, 0)]
        limbs += chain(
            at(x, 0.1, 0),
            at(0, 1, 0),
            [0.15 * size, 0.11 * size, 0.08 * size],
            [thick, thick * 0.9, thick * 0.8, thick * 0.7],
            bends,
        )
    bends = [at(u(0, 0.6), u(0, 1.0), u(-0.4, 0.3)), at(0, 0, u(-0.5, 0.1)), at(u(0, 0.6), 0, u(-0.5, 0.1))]
    limbs += chain(
        at(wide * 0.7, -0.15, 0),
        at(0.7, 0.7, 0.1),
        [0.12, 0.12, 0.09],
        [thick * 1.4, thick * 1.1, thick, thick * 0.8],
        bends,
    )
    if u(0, 1) < 0.6:
        limbs += chain(at(0, -0.2, 0), at(0, -1, 0), [u(0.1, 0.45)], [wide * 0.7, wide * u(0.6, 0.9)], [u.jitter(0.2)])
    return limbs


def fish(u: Draw) -> list[Limb]:
    """A trunk flat from side to side, a tail fin, fins above and at the sides; z is forward."""
    thick, long, flat = u(0.12, 0.3), u(0.25, 0.6), u(0.3, 0.9)
    side = at(1, 0, 0)
    nose, tail = at(0, 0, long / 2), at(0, u(-0.03, 0.03), -long / 2)
    limbs = [
        Limb(nose, at(0, 0, 0), thick * u(0.4, 0.9), thick, flat, side),
        Limb(at(0, 0, 0), tail, thick, thick * u(0.2, 0.4), flat, side),
    ]
    fin, thin = u(0.1, 0.3), u(0.12, 0.3)
    for lift in (1.0, -1.0):
        limbs += [Limb(tail, tail + at(0, lift * fin, -fin * u(0.4, 1.0)), 0.07, 0.05, thin, side)]
    if u(0, 1) < 0.85:
        limbs += [
            Limb(
                at(0, thick * 0.8, long * u(0, 0.2)),
                at(0, thick + fin * u(0.3, 0.9), -long * u(0.1, 0.35)),
                u(0.06, 0.12),
                0.05,
                thin,
                side,
            )
        ]
    if u(0, 1) < 0.5:
        limbs += [
            Limb(at(0, -thick * 0.8, -long * 0.1), at(0, -thick - fin * 0.5, -long * 0.3), 0.07, 0.05, thin, side)
        ]
    paddle = Limb(
        at(thick * flat * 0.8, -0.03, long * 0.15),
        at(thick * flat + fin * u(0.3, 1.0), u(-0.15, 0.05), long * u(-0.2, 0.1)),
        0.06,
        0.05,
        thin,
        at(0, 1, 0),
    )
    return [*limbs, paddle, *mirrored([paddle])]


def aircraft(u: Draw) -> list[Limb]:
    """A body, wings, a tail plane and a fin, engines; z is forward."""
    thick, long = u(0.05, 0.1), u(0.7, 1.2)
    nose, tail = at(0, 0, long / 2), at(0, u(0, 0.04), -long / 2)
    limbs = [Limb(at(0, 0, 0), nose, thick, thick * u(0.3, 0.9)), Limb(at(0, 0, 0), tail, thick, thick * u(0.3, 0.7))]
    up, half, sweep, chord = at(0, 1, 0), u(0.35, 0.6), u(-0.05, 0.45), u(0.07, 0.15)
    thin = u(0.12, 0.2)
    root = at(0, u(-0.5, 0.9) * thick, long * u(-0.1, 0.15))
    wing = [Limb(root, root + at(half, half * u(-0.05, 0.15), -half * sweep), chord, chord * u(0.3, 0.9), thin, up)]
    back = tail + at(0, u(0, 0.5) * thick, long * 0.05)
    plane = [
        Limb(back, back + at(half * u(0.3, 0.45), u(0, 0.03), -0.15 * sweep), chord * 0.6, chord * 0.4, thin * 1.5, up)
    ]
    limbs += wing + mirrored(wing) + plane + mirrored(plane)
    limbs += [
        Limb(back, back + at(0, u(0.12, 0.25), -u(0, 0.1)), chord * 0.7, chord * u(0.3, 0.5), thin * 1.5, at(1, 0, 0))
    ]
    for number in range(u.whole(0, 2)):
        place = root + (wing[0].end - root) * (0.3 + 0.25 * number) + at(0, -0.05, 0.05)
        pod = [Limb(place - at(0, 0, 0.05), place + at(0, 0, u(0.05, 0.1)), 0.03, 0.035)]
        limbs += pod + mirrored(pod)
    return limbs


def spectacles(u: Draw) -> list[Limb]:
    """Two rims, a bridge and temples; y is up, the temples go back along z."""
    wide, tall, bar = u(0.16, 0.22), u(0.1, 0.18), u(0.02, 0.035)
    power, apart = u(2.0, 4.0), u(0.03, 0.08)
    turn = np.linspace(0, 2 * np.pi, 15)
    x, y = np.cos(turn), np.sin(turn)
    rim = np.stack(
        [
            apart + wide + wide * np.sign(x) * np.abs(x) ** (2 / power),
            tall * np.sign(y) * np.abs(y) ** (2 / power),
            0 * x,
        ],
        1,
    )
    half = [Limb(a, b, bar, bar) for a, b in zip(rim[:-1], rim[1:], strict=True) if np.linalg.norm(b - a) > 1e-6]
    hinge = at(apart + 2 * wide, tall * u(0, 0.6), 0)
    folded = u(-0.1, 0.15) if u(0, 1) < 0.8 else u(1.2, 1.5)
    half += chain(
        hinge,
        at(-np.sin(folded), 0, -np.cos(folded)),
        [u(0.45, 0.65), 0.15],
        [bar, bar, bar],
        [at(0, 0, 0), at(-u(0, 0.8), 0, 0)],
    )
    high = tall * u(0, 0.5)
    return [*half, *mirrored(half), Limb(at(-apart, high, 0), at(apart, high, 0), bar, bar)]


KINDS: dict[str, Callable[[Draw], list[Limb]]] = {
    kind.__name__: kind for kind in (quadruped, person, bird, insect, octopus, hand, fish, aircraft, spectacles)
}


def placed(limbs: list[Limb], u: Draw) -> list[Limb]:
    """Rotate the body and scale it to the unit ball."""
    ends = np.concatenate([[b.start, b.end] for b in limbs])
    reach = np.concatenate([[b.first, b.last] for b in limbs])
    middle = ((ends - reach[:, None]).min(0) + (ends + reach[:, None]).max(0)) / 2
    size = 0.93 / (np.linalg.norm(ends - middle, axis=1) + reach).max()
    turn = Rotation.from_quat(u.rng.normal(size=4)) if u(0, 1) < 1 / 3 else Rotation.create_group("O")[u.whole(0, 23)]
    return [
        Limb(
            turn.apply((b.start - middle) * size),
            turn.apply((b.end - middle) * size),
            max(THINNEST, b.first * size),
            max(THINNEST, b.last * size),
            b.flat if b.across is None else max(b.flat, THINNEST / (size * max(b.first, b.last))),
            None if b.across is None else turn.apply(b.across),
        )
        for b in limbs
    ]


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one body, in the unit frame."""
    u = Draw(np.random.default_rng([seed, sorted(KINDS).index(kind), index]))
    limbs = placed(KINDS[kind](u), u)
    return extract_mesh(field(limbs, u(0.01, 0.05)), 112, lipschitz=1.0)


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 600, make))
