"""Write boolean solids: assemblies of primitives, gears, flanges, brackets, housings, shafts, plates and ratchets.

    python datasets/solids.py OUT_DIR [--count 640] [--seed 0] [--kinds gear bracket ...]

Each is a union of one to several primitives, cut by bores, slots, chamfers, pockets and patterns of holes or teeth.
All are aligned with the axes, z up, turned by quarter turns about it. A shape depends on kind, seed and index alone.

Needs: `pip install manifold3d`. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import trimesh
from booleans import Solid, first_closed, manifold, meshed, united
from common import write_kinds
from draw import Draw, Table, Vector, at
from poses import turned_upright

ROUND = 56
"""Segments of a large circle."""
ASSEMBLY: Table = {
    "parts": (1, 6),
    "size": (0.2, 1.0),
    "apart": (0.1, 0.9),
    "cuts": (1, 5),
    "symmetric": 0.4,
    "pattern": 0.4,
}
GEAR: Table = {
    "teeth": (7, 36),
    "depth": (0.06, 0.25),
    "tip": (0.15, 0.7),
    "thick": (0.08, 0.7),
    "twist": (-30.0, 30.0),
    "helical": 0.3,
    "bevel": (0.5, 1.0),
    "bevelled": 0.2,
    "bore": (0.1, 0.45),
    "key": 0.5,
    "web": ("plain", "recess", "holes", "spokes"),
    "holes": (3, 8),
    "hub": 0.5,
    "internal": 0.15,
}
FLANGE: Table = {
    "sides": ("round", "round", "square", "oval", "lobed"),
    "thick": (0.06, 0.3),
    "tube": (0.25, 0.65),
    "wall": (0.04, 0.2),
    "tall": (0.1, 1.5),
    "holes": (3, 12),
    "hole": (0.03, 0.1),
    "ribs": (0, 8),
    "second": 0.35,
    "elbow": 0.2,
}
BRACKET: Table = {
    "style": ("L", "U", "T", "corner", "clevis"),
    "wide": (0.2, 1.0),
    "long": (0.4, 1.2),
    "tall": (0.4, 1.2),
    "thick": (0.06, 0.2),
    "ribs": (0, 3),
    "holes": (1, 4),
    "hole": (0.04, 0.1),
    "slot": 0.3,
    "rounded": 0.6,
}
HOUSING: Table = {
    "wide": (0.4, 1.0),
    "deep": (0.4, 1.0),
    "tall": (0.2, 1.0),
    "corner": (0.02, 0.4),
    "wall": (0.05, 0.15),
    "bosses": 0.7,
    "ports": (0, 4),
    "fins": (0, 9),
    "ears": 0.5,
    "open": 0.7,
}
SHAFT: Table = {
    "steps": (2, 6),
    "radius": (0.12, 0.5),
    "step": (0.15, 0.7),
    "spline": 0.6,
    "teeth": (4, 24),
    "keys": (0, 2),
    "bore": 0.4,
    "cone": 0.4,
    "cross": 0.4,
    "hexagon": 0.4,
}
PLATE: Table = {
    "wide": (0.3, 1.0),
    "deep": (0.3, 1.0),
    "thick": (0.06, 0.25),
    "outline": ("rectangle", "rectangle", "polygon", "disc", "spline"),
    "rows": (1, 6),
    "columns": (1, 7),
    "hole": (0.3, 0.85),
    "cut": ("hole", "hole", "slot", "square", "hexagon"),
    "staggered": 0.3,
    "chamfer": (0.0, 0.05),
    "studs": 0.25,
    "pocket": 0.3,
}
RATCHET: Table = {
    "teeth": (5, 24),
    "depth": (0.08, 0.3),
    "lean": (0.0, 0.95),
    "thick": (0.08, 0.5),
    "bore": (0.1, 0.5),
    "drive": ("round", "square", "hexagon", "spline"),
    "hub": (0.2, 0.6),
    "hub_tall": (0.0, 0.5),
    "pawl": 0.4,
    "layers": (1, 3),
}


def polygon(points: Vector) -> Solid:
    """A cross-section from corners (K, 2), counter-clockwise."""
    return manifold().CrossSection([np.asarray(points, dtype=np.float64)])


def disc(radius: float, centre: Vector | None = None, sides: int = ROUND) -> Solid:
    """A circle or a regular polygon as a cross-section."""
    return manifold().CrossSection.circle(radius, sides).translate(tuple(at(0, 0) if centre is None else centre))


def rectangle(wide: float, deep: float, corner: float = 0.0) -> Solid:
    """A rectangle about the origin, its corners rounded."""
    corner = min(corner, 0.49 * wide, 0.49 * deep)
    plain = manifold().CrossSection.square((wide - 2 * corner, deep - 2 * corner), True)
    return plain.offset(corner, manifold().JoinType.Round, 2.0, 40) if corner > 0.005 else plain


def extruded(section: Solid, tall: float, chamfer: float = 0.0) -> Solid:
    """A cross-section extruded upwards from z = 0; with a chamfer the two ends of a convex section are narrower."""
    cut = manifold().Manifold
    if chamfer < 0.004:
        return cut.extrude(section, tall)
    chamfer = min(chamfer, 0.45 * tall)
    narrow = section.offset(-chamfer, manifold().JoinType.Miter)
    if narrow.is_empty():
        return cut.extrude(section, tall)
    return cut.batch_hull(
        [cut.extrude(narrow, tall), cut.extrude(section, tall - 2 * chamfer).translate((0, 0, chamfer))]
    )


def around(part: Solid, count: int, first: float = 0.0) -> list[Solid]:
    """Copies of a part at equal angles about z."""
    return [part.rotate((0, 0, first + 360.0 * number / count)) for number in range(count)]


def along(axis: int, part: Solid) -> Solid:
    """A part about z turned to lie about another axis."""
    return part.rotate(((0, 90, 0), (90, 0, 0), (0, 0, 0))[axis])


def bore(radius: float, tall: float = 6.0, sides: int = 40) -> Solid:
    """A round or polygonal bore about z."""
    return manifold().Manifold.cylinder(tall, radius, radius, sides, True)


def toothed(teeth: int, root: float, tip: float, width: float, lean: float = 0.0) -> Solid:
    """A toothed disc: teeth from the root to the tip radius, `width` pitches wide, shifted by `lean` pitches."""
    pitch = 2 * np.pi / teeth
    shares = np.array([0.0, 0.25 - width / 4 + lean / 2, 0.25 + width / 4 + lean / 2, 0.55])
    turn = ((np.arange(teeth)[:, None] + shares) * pitch).ravel()
    radii = np.tile([root, tip, tip, root], teeth)
    return polygon(np.stack([radii * np.cos(turn), radii * np.sin(turn)], 1))


def random_outline(u: Draw, wide: float, deep: float, smooth: bool = False) -> Solid:
    """A random star-shaped polygon, or a smooth outline."""
    count = u.whole(4, 9)
    turn = np.sort((np.arange(count) + [u(-0.35, 0.35) for _ in range(count)]) * 2 * np.pi / count)
    radii = np.array([u(0.45, 1.0) for _ in range(count)])
    if smooth:
        fine = np.linspace(0, 2 * np.pi, 80, endpoint=False)
        waves = sum(u(-0.18, 0.18) / order * np.cos(order * fine + u(0, 6.3)) for order in range(1, 6))
        turn, radii = fine, 0.75 + waves
    return polygon(np.stack([wide * radii * np.cos(turn), deep * radii * np.sin(turn)], 1))


def primitive(u: Draw, size: Vector) -> Solid:
    """A random primitive about the origin, of half sizes (3,)."""
    cut, kind = (
        manifold().Manifold,
        u.one(("box", "box", "cylinder", "cylinder", "cone", "sphere", "torus", "prism", "polygon")),
    )
    radius, tall = float(min(size[:2])), float(size[2])
    if kind == "box":
        return extruded(rectangle(2 * size[0], 2 * size[1], u(0, 0.2) * u.whole(0, 1)), 2 * tall, u(0, 0.1)).translate(
            (0, 0, -tall)
        )
    if kind == "cylinder":
        made = extruded(disc(radius), 2 * tall, u(0, 0.1)).translate((0, 0, -tall))
    elif kind == "cone":
        made = cut.cylinder(2 * tall, radius, radius * u(0.05, 0.9), ROUND, True)
    elif kind == "sphere":
        made = cut.sphere(1.0, 48).scale(tuple(size) if u.often(0.4) else (radius,) * 3)
    elif kind == "torus":
        tube = radius * u(0.12, 0.45)
        made = cut.revolve(disc(tube, at(radius - tube, 0), 28), ROUND)
    elif kind == "prism":
        made = extruded(disc(radius, None, u.whole(3, 8)), 2 * tall, u(0, 0.08)).translate((0, 0, -tall))
    else:
        made = extruded(random_outline(u, size[0], size[1]), 2 * tall).translate((0, 0, -tall))
    return along(u.whole(0, 2), made)


def assembly(u: Draw) -> Solid:
    """One to six primitives in contact, cut by bores, slots, pockets and patterns."""
    k = u.sample(ASSEMBLY)
    parts, spots = [], [at(0, 0, 0)]
    for number in range(k.parts):
        size = at(*(u.log(0.12, 1.0) for _ in range(3))) * k.size / (1 + 0.25 * number) ** 0.5
        place = at(0, 0, 0)
        if number:
            place = u.one(spots) + np.eye(3)[u.whole(0, 2)] * u.sign() * k.apart * k.size
            if u.often(0.3):
                place = place + u.jitter(0.15)
        spots.append(place)
        part = primitive(u, size).translate(tuple(place))
        parts += [part, part.mirror((1, 0, 0))] if k.symmetric else [part]
    whole = united(parts)
    if whole.is_empty():
        raise ValueError("the primitives are empty")
    box = np.reshape(whole.bounding_box(), (2, 3))
    half, middle = (box[1] - box[0]) / 2, (box[0] + box[1]) / 2
    for _ in range(k.cuts):
        axis, radius = u.whole(0, 2), float(half.min()) * u(0.12, 0.5)
        kind = u.one(("bore", "bore", "slot", "pocket", "groove"))
        spot = tuple(u.one(spots) if u.often(0.6) else middle + half * at(u(-1, 1), u(-1, 1), u(-1, 1)) * 0.7)
        if kind == "bore":
            tool = along(axis, bore(radius, 6.0, 40 if u.often(0.8) else 6))
        elif kind == "slot":
            tool = along(
                axis, extruded(rectangle(radius * u(2.5, 6), radius * 1.4, radius * 0.69), 6.0).translate((0, 0, -3))
            )
        elif kind == "pocket":
            tool = along(axis, extruded(rectangle(radius * 3, radius * u(2, 5), radius * 0.4), 4.0))
        else:
            tool = along(axis, extruded(rectangle(8.0, radius * 0.8), 4.0))
        whole = whole - tool.translate(spot)
    if k.pattern:
        count, radius = u.whole(3, 9), float(half.min()) * u(0.06, 0.16)
        out = float(np.sort(half)[1]) * u(0.5, 0.9)
        whole = whole - united(around(bore(radius, 6.0, 24).translate((out, 0, 0)), count)).translate(tuple(middle))
    return max(whole.decompose(), key=lambda part: part.volume())


def gear(u: Draw) -> Solid:
    """Spur, helical, bevel and internal gears with webs, spokes, hubs and keyed bores."""
    k = u.sample(GEAR)
    cut, root, hole = manifold().Manifold, 1 - k.depth, k.bore * (1 - k.depth)
    width = k.tip
    teeth = toothed(k.teeth, root, 1.0, width)
    twist = k.twist if k.helical else 0.0
    top = k.bevel if k.bevelled else 1.0
    if k.internal:
        ring = disc(1.0 + u(0.1, 0.3), None, 96)
        return cut.extrude(ring, k.thick) - cut.extrude(teeth, 1.2 * k.thick, 8, twist, (1, 1)).translate(
            (0, 0, -0.1 * k.thick)
        )
    body = cut.extrude(teeth, k.thick, 10 if twist else 0, twist, (top, top))
    inner, outer = hole + 0.12, (root - 0.1) * top
    if k.web != "plain" and outer > inner + 0.1:
        belt = disc(outer) - disc(inner)
        deep = k.thick * u(0.2, 0.42)
        for z in (k.thick - deep, -6.0 + deep):
            body = body - cut.extrude(belt, 6.0).translate((0, 0, z))
        middle, room = (inner + outer) / 2, (outer - inner) / 2
        if k.web == "holes":
            size = min(0.85 * room, 0.85 * middle * np.sin(np.pi / k.holes))
            body = body - united(around(bore(size, 6.0).translate((middle, 0, 0)), k.holes))
        elif k.web == "spokes":
            spokes = united(around(cut.cube((2, middle * u(0.15, 0.5), 6), True).translate((1, 0, 0)), k.holes))
            body = body - (cut.extrude(belt, 6.0).translate((0, 0, -3)) - spokes)
    if k.hub:
        # wider than the edge of the recess, so that the two do not coincide
        body = body + cut.cylinder(k.thick * u(1.1, 2.2), inner * 1.03, inner * u(0.8, 1.0), ROUND)
    body = body - bore(hole)
    return body - cut.cube((hole * 0.5, hole * 2.6, 6), True) if k.key else body


def flange(u: Draw) -> Solid:
    """A flange on a tube, with bolt holes, ribs, perhaps a second flange or an elbow."""
    k = u.sample(FLANGE)
    cut = manifold().Manifold
    outlines = {
        "round": lambda: disc(1.0, None, 72),
        "square": lambda: rectangle(2, 2, u(0.05, 0.6)),
        "oval": lambda: disc(k.tube * 1.25) ^ disc(9.0),
        "lobed": lambda: manifold().CrossSection.batch_hull(
            [
                disc(u(0.14, 0.25), at(0.8 * np.cos(t), 0.8 * np.sin(t)), 24)
                for t in 2 * np.pi * np.arange(k.holes) / k.holes
            ]
        ),
    }
    outline = outlines[k.sides]()
    count = k.holes
    if k.sides == "oval":
        count = 2
        ends = [disc(0.2, at(side * 0.8, 0), 32) for side in (-1, 1)]
        outline = manifold().CrossSection.batch_hull([outline, *ends])
    if k.sides == "square":
        count = 4 * u.whole(1, 2)
    plate = extruded(outline, k.thick, u(0.0, 0.05))
    wall = min(k.wall, 0.7 * k.tube)
    tube = cut.cylinder(k.tall + k.thick, k.tube, k.tube * (u(0.7, 1.0) if u.often(0.3) else 1.0), ROUND)
    inner = k.tube - wall
    body, hollow = plate + tube, bore(inner, 12.0)
    rise = min(k.tall, u(0.3, 1.0)) * 0.8
    rib = extruded(polygon([(0, 0), (0.92, 0), (k.tube, rise), (0, rise)]), u(0.04, 0.1)).rotate((90, 0, 0))
    shape = [body]
    if k.ribs and k.tall > 0.2:
        shape += [
            part ^ cut.extrude(outline, 9.0) for part in around(rib.translate((0, 0.03, k.thick)), k.ribs, 180 / k.ribs)
        ]
    if k.second:
        shape.append(
            extruded(disc(u(k.tube * 1.1, 1.0), None, 64), k.thick * u(0.5, 1.0), 0.02).translate((0, 0, k.tall))
        )
    if k.elbow:
        arm = (
            cut.cylinder(1.3, k.tube * 0.8, k.tube * 0.8, ROUND)
            .rotate((0, 90, 0))
            .translate((0, 0, k.tall * 0.6 + k.thick))
        )
        shape.append(arm)
        hollow = hollow + cut.cylinder(2, inner * 0.75, inner * 0.75, 40).rotate((0, 90, 0)).translate(
            (0, 0, k.tall * 0.6 + k.thick)
        )
    holes = united(
        around(
            bore(min(k.hole, 0.3 * (1 - k.tube)), 2 * k.thick + 0.3, 28).translate(
                ((1 + k.tube) / 2 if k.sides not in ("oval", "lobed") else 0.8, 0, 0)
            ),
            count,
            45.0 if k.sides == "square" else 0.0,
        )
    )
    return united(shape) - hollow - holes


def bracket(u: Draw) -> Solid:
    """Angle, channel, T, corner and clevis brackets with ribs, holes and slots."""
    k = u.sample(BRACKET)
    cut, t = manifold().Manifold, k.thick
    profiles = {
        "L": [(0, 0), (k.long, 0), (k.long, t), (t, t), (t, k.tall), (0, k.tall)],
        "U": [
            (0, 0),
            (k.long, 0),
            (k.long, k.tall * u(0.5, 1)),
            (k.long - t, k.tall * 0.5),
            (k.long - t, t),
            (t, t),
            (t, k.tall),
            (0, k.tall),
        ],
        "T": [
            (-k.long / 2, 0),
            (k.long / 2, 0),
            (k.long / 2, t),
            (t / 2, t),
            (t / 2, k.tall),
            (-t / 2, k.tall),
            (-t / 2, t),
            (-k.long / 2, t),
        ],
    }
    wide = k.wide
    if k.style in profiles:
        section = polygon(profiles[k.style])
        if k.rounded:
            section = section.offset(-0.3 * t, manifold().JoinType.Round, 2.0, 32).offset(
                0.3 * t, manifold().JoinType.Round, 2.0, 32
            )
            section = section.offset(0.5 * t, manifold().JoinType.Round, 2.0, 32).offset(
                -0.5 * t, manifold().JoinType.Round, 2.0, 32
            )
        body = cut.extrude(section, wide).rotate((90, 0, 0)).translate((0, wide / 2, 0))
    else:
        body = extruded(rectangle(k.long, wide, u(0.0, 0.3)), t).translate((k.long / 2, 0, 0))
        body = body + cut.cube((t, wide, k.tall)).translate((0, -wide / 2, 0))
        if k.style == "corner":
            body = body + cut.cube((k.long, t, k.tall)).translate((0, -wide / 2, 0))
        else:
            body = extruded(rectangle(k.long, wide, u(0.0, 0.3)), t).translate((k.long / 2, 0, 0))
            ear = manifold().CrossSection.batch_hull(
                [
                    disc(k.long * 0.25, at(k.long / 2, k.tall)),
                    rectangle(k.long * u(0.5, 0.9), 0.02).translate((k.long / 2, t)),
                ]
            )
            ears = cut.extrude(ear, t).rotate((90, 0, 0))
            for y in np.linspace(-wide / 2 + t, wide / 2, u.whole(2, 3)):
                body = body + ears.translate((0, float(y), 0))
            return (
                body
                - along(1, bore(k.long * u(0.08, 0.17))).translate((k.long / 2, 0, k.tall))
                - united([bore(k.hole, 6, 28).translate((k.long * x, 0, 0)) for x in (0.1, 0.9)])
            )
    rib = polygon([(0, 0), (k.long * u(0.4, 0.95), 0), (t, k.tall * u(0.4, 0.95)), (0, k.tall * 0.4)])
    for y in np.linspace(-wide / 2 + t / 2, wide / 2 - t / 2, k.ribs + 2)[1:-1] if k.style in ("L", "T") else ():
        part = cut.extrude(rib.scale((0.45 if k.style == "T" else 1.0, 1)), t * 0.6).rotate((90, 0, 0))
        body = body + part.translate((0, float(y) + 0.3 * t, 0))
    size = min(k.hole, 0.2 * wide)
    spots = np.linspace(-wide / 2, wide / 2, k.holes + 2)[1:-1]
    for y in spots:
        tool = rectangle(size * 5, size * 2, size) if k.slot else disc(size, None, 28)
        down = cut.extrude(tool, 3 * t).translate((k.long * (0.72 if k.style != "T" else 0.32), float(y), -t))
        through = cut.extrude(tool, 3 * t).rotate((0, 90, 0)).translate((-t, float(y), k.tall * 0.72))
        body = body - down - through
    return body


def housing(u: Draw) -> Solid:
    """A box with walls: bosses, round ports, cooling fins, fastening ears, open above or closed."""
    k = u.sample(HOUSING)
    cut, outline = manifold().Manifold, rectangle(2 * k.wide, 2 * k.deep, k.corner)
    inset = outline.offset(-k.wall, manifold().JoinType.Round, 2.0, 40)
    body = extruded(outline, k.tall, u(0.0, 0.06))
    cavity = cut.extrude(
        inset, k.tall * (2 if k.open else 1 - 2 * k.wall / k.tall) if k.tall > 2.5 * k.wall else 0.1
    ).translate((0, 0, k.wall))
    shape, holes = [body - cavity if k.tall > 2.5 * k.wall else body], []
    for _ in range(k.ports):
        side, radius = u.whole(0, 3), 0.35 * k.tall * u(0.4, 1.0)
        far, off = (k.wide, k.deep)[side % 2], (k.deep, k.wide)[side % 2] * u(-0.5, 0.5)
        tube = (
            cut.cylinder(u(0.05, 0.4) + 0.03, radius, radius, 40)
            .rotate((0, 90, 0))
            .translate((far - 0.03, off, k.tall / 2))
        )
        shape.append(tube.rotate((0, 0, 90 * side)))
        hole = (
            cut.cylinder(0.8, radius * 0.7, radius * 0.7, 36)
            .rotate((0, 90, 0))
            .translate((far - k.wall * 1.5, off, k.tall / 2))
        )
        holes.append(hole.rotate((0, 0, 90 * side)))
    if k.fins:
        for y in np.linspace(-0.85 * k.deep, 0.85 * k.deep, k.fins):
            fin = cut.cube((k.wide * 2, 0.04, u(0.1, 0.11) + 0.1), True).translate(
                (0, float(y), -0.05 if k.open else k.tall)
            )
            shape.append(fin)
    corners = [at(x * (k.wide - k.wall - 0.08), y * (k.deep - k.wall - 0.08)) for x in (-1, 1) for y in (-1, 1)]
    for corner in corners if k.bosses else ():
        shape.append(cut.cylinder(k.tall * 0.9, 0.09, 0.09, 24).translate((*corner, 0)))
        holes.append(cut.cylinder(k.tall, 0.045, 0.045, 20).translate((*corner, k.tall * 0.3)))
    if k.ears:
        thick = min(0.1, k.tall / 2)
        for x in (-1, 1):
            shape.append(
                extruded(rectangle(0.5, k.deep * u(0.5, 1.6), 0.12), thick).translate((x * (k.wide + 0.1), 0, 0))
            )
            holes.append(bore(0.07, 1.0, 24).translate((x * (k.wide + 0.2), 0, 0)))
    return united(shape) - united(holes) if holes else united(shape)


def shaft(u: Draw) -> Solid:
    """A stepped shaft with cones, splines, keyways, hexagons, a bore and cross holes; its axis is any of the three."""
    k = u.sample(SHAFT)
    cut, parts, z = manifold().Manifold, [], 0.0
    spline = u.whole(0, k.steps - 1) if k.spline else -1
    hexagon = u.whole(0, k.steps - 1) if k.hexagon else -1
    for number in range(k.steps):
        long, wide = k.step * u(0.3, 1.2), k.radius * u(0.4, 1.4)
        if number == spline:
            made = cut.extrude(toothed(k.teeth, wide * u(0.7, 0.9), wide, u(0.3, 0.8)), long)
        elif number == hexagon:
            made = extruded(disc(wide, None, u.whole(4, 6)), long, 0.02)
        elif k.cone and u.often(0.4):
            made = cut.cylinder(long, wide, wide * u(0.4, 1.0), ROUND)
        else:
            made = extruded(disc(wide), long, u(0.0, 0.06))
        parts.append(made.translate((0, 0, z - 0.01)))
        z += long
    body = united(parts)
    least = 0.5 * k.radius * 0.4
    if k.bore:
        body = body - bore(least * u(0.6, 1.2), 12.0, 36)
    for number in range(k.keys):
        key = extruded(rectangle(least * 0.9, k.step * u(0.4, 0.9), least * 0.44), 2.0).rotate((90, 0, 0))
        body = body - key.translate((0, -k.radius * 0.45, z * (0.25 + 0.5 * number)))
    if k.cross:
        body = body - along(0, bore(least * 0.8)).translate((0, 0, z * u(0.1, 0.9)))
    return along(u.whole(0, 2), max(body.decompose(), key=lambda part: part.volume()))


def plate(u: Draw) -> Solid:
    """A plate with a pattern of holes, slots or studs, chamfered, perhaps with pockets."""
    k = u.sample(PLATE)
    outline = {
        "rectangle": lambda: rectangle(2 * k.wide, 2 * k.deep, u(0.0, 0.3)),
        "polygon": lambda: disc(1.0, None, u.whole(3, 8)).scale((k.wide, k.deep)),
        "disc": lambda: disc(1.0, None, 72).scale((k.wide, k.deep)),
        "spline": lambda: random_outline(u, k.wide, k.deep, True),
    }[k.outline]()
    body = extruded(outline, k.thick, k.chamfer if k.outline != "spline" else 0.0)
    inside = outline.offset(-0.06, manifold().JoinType.Miter)
    x, y = (np.linspace(-1, 1, count + 2)[1:-1] * size for count, size in ((k.columns, k.wide), (k.rows, k.deep)))
    cell = min(2 * k.wide / (k.columns + 1), 2 * k.deep / (k.rows + 1)) / 2
    size = cell * k.hole
    tool = {
        "hole": lambda: disc(size, None, 28),
        "slot": lambda: rectangle(size * 2.0, size * 0.9, size * 0.44),
        "square": lambda: rectangle(size * 1.7, size * 1.7, 0.1 * size),
        "hexagon": lambda: disc(size, None, 6),
    }[k.cut]()
    tools = []
    for row, place in enumerate(y):
        shift = cell if k.staggered and row % 2 else 0.0
        tools += [tool.translate((float(a) + shift, float(place))) for a in x]
    if k.outline == "disc" and u.often(0.5):
        tools = [
            tool.translate((0.7 * k.wide * np.cos(t), 0.7 * k.deep * np.sin(t)))
            for t in 2 * np.pi * np.arange(k.columns + 2) / (k.columns + 2)
        ]
    cuts = manifold().CrossSection.batch_boolean(tools, manifold().OpType.Add) ^ inside
    if k.studs:
        return body + extruded(cuts, k.thick * u(0.3, 2.0)).translate((0, 0, k.thick * 0.95))
    if k.pocket:
        return body - extruded(cuts, k.thick).translate((0, 0, k.thick * u(0.2, 0.6)))
    return body - extruded(cuts, 2.0).translate((0, 0, -1))


def ratchet(u: Draw) -> Solid:
    """Saw-toothed wheels, stacked or single, with a hub, a drive of several forms, perhaps a pawl."""
    k = u.sample(RATCHET)
    cut, shape, z = manifold().Manifold, [], 0.0
    for layer in range(k.layers):
        size = 1.0 - layer * u(0.15, 0.3)
        shape.append(
            cut.extrude(toothed(k.teeth, (1 - k.depth) * size, size, 0.1, k.lean), k.thick).translate((0, 0, z))
        )
        z += k.thick * 0.98
    least = (1 - k.depth) * (1 - 0.3 * (k.layers - 1))
    shape.append(cut.cylinder(z + k.hub_tall, k.hub * least, k.hub * least, ROUND))
    if k.pawl:
        arm = manifold().CrossSection.batch_hull([disc(0.12, at(1.25, -0.1), 24), disc(0.1, at(0.9, 0.3), 20)])
        shape.append(cut.extrude(arm, k.thick * 0.7))
    size = k.bore * k.hub * least * 1.4
    drive = {
        "round": lambda: disc(size),
        "square": lambda: rectangle(1.5 * size, 1.5 * size),
        "hexagon": lambda: disc(size, None, 6),
        "spline": lambda: toothed(u.whole(6, 12), 0.75 * size, size, 0.6),
    }[k.drive]()
    return united(shape) - extruded(drive, 6.0).translate((0, 0, -1))


KINDS: dict[str, Callable[[Draw], Solid]] = {
    kind.__name__: kind for kind in (assembly, gear, flange, bracket, housing, shaft, plate, ratchet)
}


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one solid, in the unit frame."""

    def build(u: Draw) -> trimesh.Trimesh:
        whole = KINDS[kind](u)
        if whole.is_empty():
            raise ValueError("nothing is left of the solid")
        return turned_upright(meshed(whole, u.whole(2000, 5000), 12_000), u, "z")

    return first_closed(build, [seed, sorted(KINDS).index(kind), index])


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 640, make))
