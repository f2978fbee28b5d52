"""Write walled vessels (vases, cups, bottles, jugs, pots, funnels, goblets) and smooth bodies with relief.

    python datasets/vessels.py OUT_DIR [--count 880] [--seed 0] [--kinds cup relief_blob ...]

A vessel is a random spline revolved or lofted over an oval, lobed or polygonal outline, hollowed by its exact inner
offset: a wall of 1 to 6 % of its size, less where a neck is too narrow for it. Handles and spouts are united before the
hollow is cut. Vessels stand along an axis, y up, turned by quarter turns about it. The kinds relief_* are
superquadrics, blended blobs and statue-like stacks with noise, grooves, folds or scales along their normals; two of
three are aligned with the axes by one of the 24 rotations of the cube, the others have random rotations. A shape
depends on kind, seed and index alone.

Needs: `pip install manifold3d fast-simplification`. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import trimesh
from booleans import Solid, first_closed, manifold, meshed, solid, united
from common import write_kinds
from draw import Draw, Table, Vector, at
from grid_meshes import smooth_path, swept
from poses import turned_anyhow, turned_upright
from relief import BODIES, relief_body
from scipy.interpolate import PchipInterpolator

SEGMENTS = 56
THINNEST, THICKEST = 0.01, 0.06
"""Limits of the wall, as a share of the larger of height and width."""
FORM: Table = {
    "outline": ("round", "round", "round", "oval", "lobed", "polygon", "fluted"),
    "oval": (0.55, 0.95),
    "lobes": (3, 9),
    "ripple": (0.02, 0.12),
    "twist": (-60.0, 60.0),
    "twisted": 0.3,
}
VASE: Table = {"tall": (0.6, 2.4), "knots": (4, 8), "least": (0.12, 0.5), "handles": (0, 2), "foot": 0.4}
CUP: Table = {
    "tall": (0.4, 1.6),
    "bottom": (0.3, 1.0),
    "belly": (-0.15, 0.25),
    "handles": (0, 3),
    "high": (0.4, 1.0),
    "out": (0.15, 0.6),
    "bar": (0.03, 0.09),
    "saucer": 0.2,
}
BOTTLE: Table = {
    "tall": (1.2, 3.2),
    "shoulder": (0.3, 0.85),
    "neck": (0.12, 0.5),
    "slope": (0.02, 0.3),
    "lip": 0.6,
    "cap": 0.3,
    "waist": (-0.1, 0.3),
}
BOWL: Table = {
    "tall": (0.12, 0.9),
    "power": (1.3, 5.0),
    "foot": (0.1, 0.7),
    "rim": (-0.1, 0.25),
    "ring": 0.5,
    "ears": (0, 4),
}
JUG: Table = {"tall": (0.8, 2.2), "neck": (0.3, 0.9), "spout": (0.2, 0.6), "bar": (0.04, 0.09), "long": 0.5, "lid": 0.3}
POT: Table = {
    "tall": (0.3, 1.4),
    "belly": (0.0, 0.35),
    "handles": ("none", "two", "pan", "bail"),
    "lid": ("on", "on", "ajar", "none"),
    "dome": (0.02, 0.5),
    "knob": (0.06, 0.2),
    "feet": (0, 4),
}
FUNNEL: Table = {
    "mouth": (0.2, 1.2),
    "neck": (0.06, 0.3),
    "stem": (0.2, 1.5),
    "rim": (0.0, 0.4),
    "curve": (0.5, 2.0),
    "ear": 0.5,
}
GOBLET: Table = {
    "cup": (0.4, 1.3),
    "stem": (0.1, 1.4),
    "thin": (0.04, 0.14),
    "foot": (0.35, 1.0),
    "power": (0.6, 3.0),
    "mouth": (0.5, 1.1),
    "knot": 0.4,
    "handles": (0, 2),
}


@dataclass
class Vessel:
    """Parts of one vessel, z up: its outer silhouette, what is added outside, and what is cut away.

    Attributes:
        profile: (K, 2) outer (radius, height) from the bottom to the rim; the axis closes it.
        outside: solids united with the body before it is hollowed.
        after: solids united with the hollow body.
        bores: solids cut away before `after` is added.
        hollow_from: height from which on the silhouette is hollowed; everything by default.
        through: the hollow is open below as well.
    """

    profile: Vector
    outside: list[Solid] = field(default_factory=list)
    after: list[Solid] = field(default_factory=list)
    bores: list[Solid] = field(default_factory=list)
    hollow_from: float | None = None
    through: bool = False

    def radius(self, level: float) -> float:
        """Outer radius at a height."""
        order = np.argsort(self.profile[:, 1], kind="stable")
        return float(np.interp(level, self.profile[order, 1], self.profile[order, 0]))


def spline(knots: Vector, count: int = 44) -> Vector:
    """A smooth profile (count, 2) of (radius, height) through knots of rising height."""
    z = np.linspace(knots[0, 1], knots[-1, 1], count)
    return np.stack([PchipInterpolator(knots[:, 1], knots[:, 0])(z), z], 1)


def revolved(profile: Vector) -> Solid:
    """A silhouette revolved about z; the axis and the two ends close it."""
    first, last = profile[0, 1], profile[-1, 1]
    section = manifold().CrossSection([np.concatenate([[[0, first]], profile, [[0, last]]])])
    return manifold().Manifold.revolve(section, SEGMENTS)


def cavity(profile: Vector, wall: float, through: bool) -> Solid:
    """The inner offset of a silhouette, open above, revolved."""
    first, last = profile[0], profile[-1]
    above = [(last[0], last[1] + 4 * wall)]
    below = [(first[0], first[1] - 4 * wall)] if through else []
    half = np.concatenate([np.reshape(below, (-1, 2)), profile, above])
    whole = np.concatenate([half, half[::-1] * [-1, 1]])
    inner = manifold().CrossSection([whole]).offset(-wall, manifold().JoinType.Miter)
    return manifold().Manifold.revolve(inner, SEGMENTS)


def bar(knots: list[Vector], radius: float | Vector, points: int = 22) -> Solid:
    """A round bar along a smooth path through knots."""
    path = smooth_path(np.array(knots), points)
    wide = (
        radius
        if isinstance(radius, float)
        else np.interp(np.linspace(0, 1, points), np.linspace(0, 1, len(radius)), radius)
    )
    return solid(swept(path, wide, 16))


def ear(v: Vessel, u: Draw, low: float, high: float, out: float, radius: float) -> Solid:
    """A handle at +x between two heights; its ends lie within the wall, and the hollow cuts what passes it."""
    a, b = at(v.radius(low) * 0.95, 0, low), at(v.radius(high) * 0.95, 0, high)
    wide = max(v.radius(z) for z in np.linspace(low, high, 9))
    far = wide + out
    middle = at(far, 0, (low + high) / 2 + u(-0.2, 0.2) * (high - low))
    knots = [
        a,
        at((a[0] + far) / 2, 0, low + u(-0.1, 0.15) * (high - low)),
        middle,
        at((b[0] + far) / 2, 0, high + u(-0.05, 0.2) * (high - low)),
        b,
    ]
    return bar(knots, radius)


def around(part: Solid, count: int, first: float = 0.0) -> list[Solid]:
    """Copies of a part at equal angles about z."""
    return [part.rotate((0, 0, first + 360.0 * number / count)) for number in range(count)]


def vase(u: Draw) -> Vessel:
    """A vase of random profile, with a foot and up to two handles."""
    k = u.sample(VASE)
    radii = [u(k.least, 1.0) * 0.6 for _ in range(k.knots)]
    heights = (
        np.linspace(0, k.tall, k.knots)
        + np.array([0, *(u(-0.2, 0.2) for _ in range(k.knots - 2)), 0]) * k.tall / k.knots
    )
    profile = spline(np.stack([radii, heights], 1))
    if k.foot:
        profile = np.concatenate([[(radii[0] * 1.3, -0.06), (radii[0] * 1.3, -0.01)], profile])
    v = Vessel(profile)
    for part in range(k.handles):
        low = u(0.15, 0.45) * k.tall
        made = ear(v, u, low, low + u(0.25, 0.5) * k.tall, u(0.1, 0.4), u(0.035, 0.07))
        v.outside += [made.rotate((0, 0, 180.0 * part))]
    return v


def cup(u: Draw) -> Vessel:
    """A cup or mug with up to three handles, perhaps on a saucer."""
    k = u.sample(CUP)
    z = np.linspace(0, 1, 30)
    radius = 0.5 * (k.bottom + (1 - k.bottom) * z**0.8 + k.belly * np.sin(np.pi * z))
    v = Vessel(np.stack([radius, z * k.tall], 1))
    for part in range(k.handles):
        middle, half = u(0.45, 0.6) * k.tall, k.high * k.tall * 0.38
        made = ear(
            v,
            u,
            max(0.08 * k.tall, middle - half),
            min(0.93 * k.tall, middle + half),
            k.out * 0.6,
            min(k.bar, 0.12 * k.tall),
        )
        v.outside.append(made.rotate((0, 0, 360.0 * part / k.handles)))
    if k.saucer:
        disc = np.array([(0.3, -0.02), (0.5, 0.0), (0.9, 0.12), (0.9, 0.16), (0.5, 0.05), (0.2, 0.04)]) + at(0, -0.03)
        section = manifold().CrossSection([np.concatenate([[(0, disc[0, 1])], disc, [(0, disc[-1, 1])]])])
        v.after.append(manifold().Manifold.revolve(section, SEGMENTS))
    return v


def bottle(u: Draw) -> Vessel:
    """A bottle or flask with a shoulder, a neck, a lip, perhaps a cap."""
    k = u.sample(BOTTLE)
    body = k.tall * k.shoulder
    neck, wide = 0.5 * k.neck, 0.5
    bend = min(k.tall * 0.97, body + k.slope * k.tall)
    knots = [
        (wide * u(0.8, 1.0), 0),
        (wide, 0.08),
        (wide * (1 - k.waist), body * 0.5),
        (wide, body),
        (neck * 1.1, bend),
        (neck, k.tall),
    ]
    profile = spline(np.array(knots), 56)
    if k.lip:
        profile = np.concatenate(
            [profile[:-1], [(neck, k.tall - 0.01), (neck * 1.25, k.tall), (neck * 1.25, k.tall + 0.08)]]
        )
    v = Vessel(profile)
    if k.cap:
        top = profile[-1, 1]
        v.after.append(
            manifold().Manifold.cylinder(u(0.1, 0.35), neck * 1.4, neck * u(0.9, 1.4), 40).translate((0, 0, top - 0.05))
        )
    return v


def bowl(u: Draw) -> Vessel:
    """A bowl, dish or basin, with a foot ring, a rim and ears."""
    k = u.sample(BOWL)
    turn = np.linspace(0, np.pi / 2, 32)
    radius = k.foot + (1 - k.foot) * np.sin(turn) ** (2 / k.power)
    height = k.tall * (1 - np.cos(turn) ** (2 / k.power))
    profile = np.stack([radius, height], 1)
    if k.rim > 0:
        profile = np.concatenate([profile, [(1 + k.rim, k.tall + 0.02 + 0.3 * k.rim * u(0, 1))]])
    v = Vessel(profile)
    if k.ring:
        v.after.append(manifold().Manifold.cylinder(0.1, k.foot * 0.8, k.foot * 0.9, SEGMENTS).translate((0, 0, -0.08)))
    if k.ears:
        level, half = k.tall * 0.75, u(0.12, 0.3)
        out = v.radius(level) * 0.98
        knots = [
            at(out * 0.95, -half, level),
            at(out + 0.12, -half * 0.8, level),
            at(out + u(0.15, 0.3), 0, level + 0.02),
            at(out + 0.12, half * 0.8, level),
            at(out * 0.95, half, level),
        ]
        v.outside += around(bar(knots, u(0.035, 0.06)), k.ears)
    return v


def jug(u: Draw) -> Vessel:
    """A jug, pitcher, tea pot or watering can: a handle, and a spout bored through."""
    k = u.sample(JUG)
    knots = [
        (u(0.3, 0.6), 0),
        (u(0.4, 0.7), k.tall * u(0.2, 0.4)),
        (0.55 * k.neck, k.tall * u(0.7, 0.85)),
        (0.6 * k.neck * u(0.8, 1.3), k.tall),
    ]
    v = Vessel(spline(np.array(knots)))
    v.outside.append(ear(v, u, k.tall * u(0.12, 0.4), k.tall * u(0.75, 0.95), u(0.15, 0.45), k.bar))
    if k.long:
        low = k.tall * u(0.2, 0.5)
        start = v.radius(low)
        tip = at(-start - k.spout, 0, k.tall * u(0.75, 1.15))
        path = [at(-start * 0.6, 0, low), at(-start - 0.35 * k.spout, 0, low + 0.15 * k.tall), tip]
        wide = np.array([0.16, 0.1, 0.075]) * u(0.8, 1.5)
        v.outside.append(bar(path, wide))
        path[2] = tip + (tip - path[1]) * 0.1
        v.bores.append(bar(path, wide * 0.6))
    else:
        # a lip: a cone that leans out of the rim, hollowed like it
        rim = v.radius(k.tall)
        wide = rim * u(0.3, 0.6)
        path = [
            at(-rim * 0.5, 0, k.tall * 0.78),
            at(-rim * 0.85, 0, k.tall * 0.9),
            at(-rim - 0.4 * k.spout, 0, k.tall * 1.01),
        ]
        v.outside.append(bar(path, np.array([0.3, 0.8, 1.0]) * wide))
        path[2] = path[2] + at(-0.1, 0, 0.05)
        v.bores.append(bar(path, np.array([0.15, 0.65, 0.85]) * wide))
        v.bores.append(manifold().Manifold.cube((9, 9, 3), True).translate((0, 0, k.tall + 1.49)))
    if k.lid and k.long:
        v.after += lid(u, v.radius(k.tall), k.tall, u(0.05, 0.3), u(0.04, 0.1))
    return v


def lid(u: Draw, radius: float, level: float, dome: float, knob: float) -> list[Solid]:
    """A domed lid with a knob."""
    turn = np.linspace(0, np.pi / 2, 14)
    profile = np.stack([radius * 1.06 * np.cos(turn), level + dome * np.sin(turn)], 1)
    profile = np.concatenate([[(radius * 1.06, level - 0.04)], profile[:-1]])
    top = manifold().Manifold.sphere(knob, 28).scale((1, 1, u(0.5, 1.3))).translate((0, 0, level + dome + knob * 0.5))
    return [revolved(profile), top]


def pot(u: Draw) -> Vessel:
    """A pot or pan: handles, a lid on it or ajar, feet, perhaps a spout."""
    k = u.sample(POT)
    z = np.linspace(0, 1, 30)
    radius = 0.6 * (1 + k.belly * np.sin(np.pi * z) - 0.25 * (1 - z) ** 4)
    v = Vessel(np.stack([radius, z * k.tall], 1))
    level, out = k.tall * u(0.6, 0.9), v.radius(k.tall * 0.75)
    thick = u(0.03, 0.06)
    if k.handles == "two":
        half = u(0.12, 0.3)
        knots = [
            at(out * 0.93, -half, level),
            at(out + 0.15, -half * 0.8, level),
            at(out + 0.2, 0, level),
            at(out + 0.15, half * 0.8, level),
            at(out * 0.93, half, level),
        ]
        v.outside += around(bar(knots, thick), 2)
    elif k.handles == "pan":
        v.outside.append(
            bar(
                [
                    at(out * 0.93, 0, level),
                    at(out + 0.4, 0, level + u(0, 0.15)),
                    at(out + u(0.7, 1.3), 0, level + u(0, 0.3)),
                ],
                at(thick, 1.2 * thick, 1.5 * thick),
            )
        )
    elif k.handles == "bail":
        turn = np.linspace(0, np.pi, 9)
        high = u(0.5, 1.0)
        v.outside.append(bar([at(1.02 * out * np.cos(t), 0, level + high * np.sin(t)) for t in turn], thick * 0.8, 40))
    if k.feet > 2:
        foot = manifold().Manifold.cylinder(0.25, 0.05, 0.09, 20).translate((0.4, 0, -0.2))
        v.after += around(foot, k.feet)
    if k.lid != "none":
        parts = united(lid(u, v.radius(k.tall), 0.0, k.dome, k.knob))
        if k.lid == "ajar":
            parts = parts.rotate((0, u(6, 30), 0)).translate((u(0, 0.3), 0, 0.1))
        v.after.append(parts.translate((0, 0, k.tall)))
    return v


def funnel(u: Draw) -> Vessel:
    """A funnel open at both ends, with a rim and an ear."""
    k = u.sample(FUNNEL)
    z = np.linspace(0, 1, 30)
    cone = np.stack([k.neck + (1 - k.neck) * z**k.curve, k.stem + k.mouth * z], 1)
    profile = np.concatenate([[(k.neck * u(0.5, 1.0), 0)], cone, [(1.0, k.stem + k.mouth + k.rim + 0.01)]])
    v = Vessel(profile, through=True)
    if k.ear:
        level = k.stem + 0.9 * k.mouth
        v.outside.append(ear(v, u, level - 0.25 * k.mouth, level, u(0.1, 0.3), 0.05))
    return v


def goblet(u: Draw) -> Vessel:
    """A goblet, glass or trophy: a bowl on a stem and a foot, perhaps handles."""
    k = u.sample(GOBLET)
    z = np.linspace(0.0, 1, 30)
    shape = k.thin + (0.5 * (k.mouth * z + np.sin(np.pi * (0.05 + 0.75 * z))) - 0.08).clip(0) ** (1 / k.power) * 0.6
    bowl_part = np.stack([np.maximum(shape, k.thin), 0.1 + k.stem + k.cup * z], 1)
    foot = np.array([(0.5 * k.foot, 0.0), (0.5 * k.foot, 0.04), (0.2 * k.foot, 0.09), (k.thin, 0.1 + 0.2 * k.stem)])
    v = Vessel(np.concatenate([foot, bowl_part]), hollow_from=0.1 + k.stem)
    if k.knot:
        size = k.thin * u(1.5, 3.0)
        v.after.append(
            manifold()
            .Manifold.sphere(size, 32)
            .scale((1, 1, u(0.4, 1.0)))
            .translate((0, 0, 0.1 + k.stem * u(0.3, 0.8)))
        )
    if k.handles:
        low = 0.1 + k.stem + 0.3 * k.cup
        v.outside += around(ear(v, u, low, low + 0.55 * k.cup, u(0.15, 0.4), u(0.03, 0.05)), k.handles)
    return v


VESSELS: dict[str, Callable[[Draw], Vessel]] = {
    kind.__name__: kind for kind in (vase, cup, bottle, bowl, jug, pot, funnel, goblet)
}
KINDS = {**VESSELS, **BODIES}


def outlined(u: Draw, tall: float) -> Callable[[Solid], Solid]:
    """A function that gives solids of revolution an oval, lobed or polygonal outline, perhaps twisted."""
    k = u.sample(FORM)
    # corners that run obliquely over the facets would be jagged
    twisted = k.twisted and k.outline not in ("polygon", "fluted")

    def moved(points: Vector) -> Vector:
        points = np.array(points)
        x, y, z = points.T
        angle = np.arctan2(y, x) + (np.radians(k.twist) * z / tall if twisted else 0.0)
        size = 1.0
        if k.outline == "oval":
            points[:, 1] *= k.oval
        elif k.outline == "lobed":
            size = 1 + k.ripple * np.cos(k.lobes * angle)
        elif k.outline == "fluted":
            size = 1 - k.ripple * np.abs(np.sin(1.5 * k.lobes * angle))
        elif k.outline == "polygon":
            pitch = 2 * np.pi / k.lobes
            size = 1 / np.cos((angle + pitch / 2) % pitch - pitch / 2) ** 0.7
        points[:, :2] *= np.reshape(size, (-1, 1))
        return points

    return lambda part: part.warp_batch(moved)


def hollowed(v: Vessel, u: Draw, wall: float) -> Solid:
    """The solid of a vessel with its wall."""
    tall = float(np.ptp(v.profile[:, 1]))
    size = max(tall, 2 * float(v.profile[:, 0].max()))
    inner = v.profile if v.hollow_from is None else v.profile[v.profile[:, 1] >= v.hollow_from]
    upper = inner[inner[:, 1] > inner[0, 1] + 0.25 * tall]
    outer, hollow = revolved(v.profile), cavity(inner, min(wall * size, 0.6 * upper[:, 0].min()), v.through)
    shape = outlined(u, tall) if not v.outside or u.often(0.3) else lambda part: part
    outer, hollow = shape(outer), shape(hollow)
    body = united([outer, *v.outside]) - hollow
    if v.bores:
        body = body - united(v.bores)
    return united([body, *v.after]) if v.after else body


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one body, in the unit frame."""

    def build(u: Draw) -> trimesh.Trimesh:
        most = u.whole(4000, 11500)
        if kind in BODIES:
            return turned_anyhow(relief_body(kind, u, most), u)
        made = hollowed(VESSELS[kind](u), u, u.log(THINNEST, THICKEST))
        volume = made.volume()
        crumbs = [part for part in made.decompose() if 0 < part.volume() < 0.01 * volume]
        return turned_upright(meshed(made - united(crumbs) if crumbs else made, most=most), u)

    return first_closed(build, [seed, sorted(KINDS).index(kind), index])


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 880, make))
