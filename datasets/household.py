"""Write household objects and vehicles: seats, sofas, beds, tables, lamps, cabinets, vessels, cars, in many styles.

    python datasets/household.py OUT_DIR [--count 640] [--seed 0] [--kinds chair lamp ...]

Each is a union of rounded boxes, rods, tubes and turned profiles, with random styles and sizes. Two of three stand
upright and face forward (y up, z forward); the others are rotated by one of the 24 rotations of the cube, as meshes of
many sources are. A shape depends on kind, seed and index alone.

Needs nothing but latentsdf. Licence: the shapes are this project's own.
Writes: OUT_DIR/<kind>/<index>.ply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import trimesh
from common import write_kinds
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from latentsdf.core.field import SDF
from latentsdf.mesh.isosurface import extract_mesh
from latentsdf.primitives import box, cylinder, extruded, revolved, rod, rotate, translate, tube, union

THIN = 0.022
"""Smallest half thickness of a part, for a body of about unit size."""


class Kit:
    """Builder of one body, z up and facing -y: its parts, their bounding box, and its random numbers."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.parts: list[SDF] = []
        self.low, self.high = np.full(3, np.inf), np.full(3, -np.inf)

    def u(self, low: float, high: float) -> float:
        """A random number of a range."""
        return float(self.rng.uniform(low, high))

    def often(self, share: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < share)

    def one(self, *things: str) -> str:
        """A random one of several words."""
        return str(self.rng.choice(list(things)))

    def add(self, part: SDF, low: NDArray | list[float], high: NDArray | list[float]) -> None:
        """Add a part that lies within a box."""
        self.parts.append(part)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)

    def block(self, centre: list[float], half: list[float], soft: float = 0.0) -> None:
        """Add a box, its edges rounded by a fraction of its smallest half size."""
        sizes = np.maximum(half, THIN)
        self.add(
            translate(box(list(sizes), 0.98 * min(1.0, soft) * min(sizes)), centre), centre - sizes, centre + sizes
        )

    def leaning(self, foot: list[float], half: list[float], angle: float, soft: float = 0.3) -> None:
        """Add a box that stands on a point and leans back (towards +y)."""
        sizes = np.maximum(half, THIN)
        up = translate(box(list(sizes), 0.98 * soft * min(sizes)), (0, 0, sizes[2]))
        reach = np.array([sizes[0], sizes[1] + 2 * sizes[2] * np.sin(angle), 2 * sizes[2] + sizes[1]])
        self.add(translate(rotate(up, (1, 0, 0), -angle), foot), foot - reach * [1, 0.3, 0], foot + reach)

    def bar(self, start: list[float], end: list[float], radius: float) -> None:
        """Add a round rod."""
        thick = max(THIN, radius)
        self.add(rod(start, end, thick), np.minimum(start, end) - thick, np.maximum(start, end) + thick)

    def bent(self, points: list[list[float]], radius: float) -> None:
        """Add a round tube through points."""
        thick = max(THIN, radius)
        self.add(tube(points, thick), np.min(points, 0) - thick, np.max(points, 0) + thick)

    def disk(self, centre: list[float], radius: float, half: float) -> None:
        """Add a cylinder about the vertical."""
        tall = max(THIN, half)
        reach = np.array([radius, radius, tall])
        self.add(translate(cylinder(radius, tall), centre), centre - reach, centre + reach)

    def turned(self, profile: list[tuple[float, float]], centre: list[float]) -> None:
        """Add a profile of (radius, height) revolved about the vertical."""
        radius, heights = max(r for r, _ in profile), [z for _, z in profile]
        self.add(
            translate(revolved(profile), centre),
            np.array(centre) + [-radius, -radius, min(heights)],
            np.array(centre) + [radius, radius, max(heights)],
        )

    def legs(self, wide: float, deep: float, tall: float, style: str) -> None:
        """Add the support of a top of half sizes wide and deep, at a height."""
        thick = self.u(0.022, 0.05)
        inset = self.u(0.0, 0.12)
        x, y = wide - thick - inset * wide, deep - thick - inset * deep
        splay = self.u(0.0, 0.12) if self.often(0.4) else 0.0
        if style == "four":
            for side in (-1, 1):
                for end in (-1, 1):
                    foot = [side * (x + splay), end * (y + splay), 0.0]
                    if splay == 0.0 and self.often(0.5):
                        self.block([side * x, end * y, tall / 2], [thick, thick, tall / 2])
                    else:
                        self.bar(foot, [side * x, end * y, tall], thick)
            if self.often(0.3):
                level = tall * self.u(0.15, 0.5)
                for side in (-1, 1):
                    self.bar([side * x, -y, level], [side * x, y, level], 0.7 * thick)
                if self.often(0.5):
                    self.bar([-x, 0, level], [x, 0, level], 0.7 * thick)
        elif style == "pedestal":
            self.bar([0, 0, 0], [0, 0, tall], thick * self.u(0.9, 2.0))
            if self.often(0.5):
                self.disk([0, 0, THIN], min(wide, deep) * self.u(0.5, 0.95), THIN)
            else:
                for arm in range(5 if self.often(0.5) else 4):
                    turn = 2 * np.pi * arm / 5
                    out = min(wide, deep) * 0.95
                    self.bar([0, 0, 0.08], [out * np.cos(turn), out * np.sin(turn), 0.03], thick)
        elif style == "sides":
            for side in (-1, 1):
                self.block([side * (wide - thick), 0, tall / 2], [thick, deep * self.u(0.7, 1.0), tall / 2])
        else:
            for side in (-1, 1):
                path = [[side * x, -y, tall], [side * x, -y, THIN], [side * x, y, THIN]]
                self.bent(path + ([[side * x, y, tall]] if style == "sled" else []), thick * 0.8)


def chair(k: Kit) -> None:
    """A seat on legs with a back, perhaps with arms."""
    wide, deep, tall = k.u(0.2, 0.3), k.u(0.2, 0.28), k.u(0.35, 0.5)
    board, style = k.u(0.022, 0.07), k.one("four", "four", "four", "pedestal", "sled", "cantilever", "sides")
    round_seat = style in ("four", "pedestal") and k.often(0.25)
    k.legs(wide, deep, tall, style)
    if round_seat:
        k.disk([0, 0, tall + board], wide, board)
    else:
        k.block([0, 0, tall + board], [wide, deep, board], k.u(0, 1))
    high, lean, top = k.u(0.2, 0.6), k.u(0.0, 0.3), tall + board
    back = k.one("panel", "panel", "slats", "rungs", "none" if round_seat else "panel")
    if back == "panel":
        k.leaning([0, deep - 0.04, top], [wide * k.u(0.7, 1.0), k.u(0.022, 0.06), high / 2], lean, k.u(0, 1))
    elif back != "none":
        shift = high * np.sin(lean)
        post = wide * k.u(0.75, 0.98)
        for side in (-1, 1):
            k.bar([side * post, deep - 0.03, top - 0.02], [side * post, deep - 0.03 + shift, top + high], 0.025)
        if back == "rungs":
            for level in np.linspace(k.u(0.3, 0.6), 1.0, int(k.u(2, 5))):
                y = deep - 0.03 + shift * level
                k.block([0, y, top + high * level - 0.03], [post, 0.022, k.u(0.022, 0.05)], 0.3)
        else:
            k.block([0, deep - 0.03 + shift, top + high], [post, 0.025, 0.03], 0.5)
            for x in np.linspace(-post, post, int(k.u(4, 7)))[1:-1]:
                k.bar([x, deep - 0.03, top], [x, deep - 0.03 + shift, top + high], 0.022)
    if k.often(0.35):
        level, thick = top + k.u(0.12, 0.25), k.u(0.022, 0.04)
        for side in (-1, 1):
            k.block([side * wide, 0.02, level], [thick * 1.3, deep * 0.95, thick], 0.5)
            k.bar([side * wide, -deep * 0.8, top - board], [side * wide, -deep * 0.8, level], thick)


def sofa(k: Kit) -> None:
    """A padded seat for one, two or three, with arms and a back."""
    seats = int(k.u(1, 4))
    wide, deep = 0.3 * seats + k.u(-0.05, 0.1), k.u(0.32, 0.5)
    foot, base, arm = k.u(0.0, 0.14), k.u(0.1, 0.22), k.u(0.05, 0.13)
    if foot > 0.05:
        k.legs(wide * 0.95, deep * 0.95, foot + 0.02, "four")
    else:
        foot = 0.0
    soft = k.u(0.1, 1.0)
    k.block([0, 0, foot + base / 2], [wide, deep, base / 2], soft * 0.5)
    cushion, seat = k.u(0.05, 0.09), foot + base
    high, arm_high, lean = k.u(0.25, 0.5), k.u(0.12, 0.4), k.u(0.0, 0.3)
    inner = wide - (2 * arm if k.often(0.9) else 0)
    for number in range(seats):
        x = -inner + (2 * number + 1) * inner / seats
        k.block([x, -0.03, seat + cushion], [inner / seats * 0.98, deep * 0.95, cushion], soft)
        if k.often(0.7):
            k.leaning([x, deep - 0.28, seat + cushion], [inner / seats * 0.96, 0.07, high / 2], lean, soft)
    k.leaning([0, deep - 0.08, seat - 0.02], [wide, k.u(0.05, 0.1), (high + cushion) / 2 + 0.04], lean * 0.5, soft)
    if inner < wide:
        style = k.one("box", "roll")
        for side in (-1, 1):
            x = side * (wide - arm)
            k.block(
                [x, 0, foot + (base + arm_high) / 2],
                [arm * (0.75 if style == "roll" else 1), deep, (base + arm_high) / 2],
                soft,
            )
            if style == "roll":
                k.bar([x, -deep, foot + base + arm_high], [x, deep * 0.9, foot + base + arm_high], arm)


def bed(k: Kit) -> None:
    """A mattress on a frame, a headboard, pillows; its head at +y."""
    wide, long = k.u(0.25, 0.6), k.u(0.6, 0.72)
    foot, frame, pad = k.u(0.04, 0.2), k.u(0.03, 0.1), k.u(0.05, 0.12)
    k.legs(wide, long, foot + 0.02, k.one("four", "four", "sides"))
    k.block([0, 0, foot + frame], [wide, long, frame], k.u(0, 0.4))
    top = foot + 2 * frame
    k.block([0, 0, top + pad * 0.8], [wide * 0.96, long * 0.97, pad], k.u(0.3, 1))
    for end, share in ((1, 0.9), (-1, 0.4)):
        if k.often(share):
            high = k.u(0.12, 0.4) * (1.0 if end > 0 else 0.6)
            if k.often(0.7):
                k.block(
                    [0, end * long, (top + high) / 2 + 0.02], [wide, k.u(0.022, 0.05), (top + high) / 2], k.u(0, 0.6)
                )
            else:
                for x in np.linspace(-wide, wide, int(k.u(3, 8))):
                    k.bar([x, end * long, 0], [x, end * long, top + high], 0.024)
                k.bar([-wide, end * long, top + high], [wide, end * long, top + high], 0.03)
    pillows = 2 if wide > 0.4 else 1
    for number in range(pillows if k.often(0.85) else 0):
        x = (number - (pillows - 1) / 2) * wide
        k.block([x, long * 0.75, top + 2 * pad], [wide / pillows * 0.8, 0.14, k.u(0.04, 0.07)], 1.0)
    if k.often(0.2):
        for side in (-1, 1):
            k.block([side * (wide + 0.2), long * 0.8, 0.2], [0.13, 0.14, 0.2], 0.1)


def table(k: Kit) -> None:
    """A top on legs; low or high, round, oval or square, perhaps with a shelf or drawers."""
    wide, deep, tall, board = k.u(0.3, 0.7), k.u(0.25, 0.5), k.u(0.2, 0.75), k.u(0.022, 0.05)
    if k.often(0.3):
        deep = wide = min(wide, 0.5)
        k.legs(wide * 0.75, wide * 0.75, tall, k.one("four", "pedestal", "pedestal"))
        k.disk([0, 0, tall + board], wide, board)
        return
    k.legs(wide, deep, tall, k.one("four", "four", "four", "pedestal", "sides", "sled"))
    k.block([0, 0, tall + board], [wide * k.u(1.0, 1.1), deep * k.u(1.0, 1.1), board], k.u(0, 1))
    if k.often(0.35):
        rim = k.u(0.03, 0.08)
        k.block([0, 0, tall - rim], [wide * 0.9, deep * 0.9, rim])
    if k.often(0.25):
        k.block([0, 0, tall * k.u(0.15, 0.6)], [wide * 0.9, deep * 0.9, 0.022])
    if k.often(0.15):
        drawers = k.u(0.1, tall * 0.45)
        k.block([wide * 0.65, 0, tall - drawers], [wide * 0.3, deep * 0.9, drawers])


def lamp(k: Kit) -> None:
    """A foot, a stem and a shade: on the table, on the floor, jointed, or hanging."""
    kind = k.one("table", "floor", "jointed", "hanging")
    tall = {"table": k.u(0.4, 0.8), "floor": k.u(1.0, 1.6), "jointed": k.u(0.5, 0.9), "hanging": k.u(0.4, 1.0)}[kind]
    stem, foot = k.u(0.022, 0.035), k.u(0.12, 0.25)
    head = [0.0, 0.0, tall]
    if kind == "hanging":
        k.disk([0, 0, tall + 0.3], k.u(0.05, 0.1), 0.03)
        k.bar([0, 0, tall], [0, 0, tall + 0.3], stem)
    elif k.often(0.2) and kind == "floor":
        for arm in range(3):
            out = 2 * np.pi * arm / 3
            k.bar([foot * 1.5 * np.cos(out), foot * 1.5 * np.sin(out), 0], [0, 0, tall * 0.8], stem)
    else:
        k.disk([0, 0, 0.03], foot, k.u(0.022, 0.04))
    if kind == "jointed" or (kind == "floor" and k.often(0.3)):
        lean, second = k.u(-0.3, 0.5), k.u(0.6, 1.6)
        elbow = [0.0, tall * 0.5 * np.sin(lean), tall * 0.6 * np.cos(lean)]
        head = [0.0, elbow[1] - 0.35 * np.sin(second), elbow[2] + 0.35 * np.cos(second)]
        k.bent([[0, 0, 0], elbow, head], stem)
    elif kind in ("table", "floor"):
        if kind == "table" and k.often(0.5):
            z = np.linspace(0.03, tall * 0.7, 8)
            radii = np.interp(z, [0, tall * k.u(0.2, 0.5), tall * 0.7], [foot * 0.5, foot * k.u(0.4, 1.0), stem])
            k.turned([(0, z[0]), *zip(radii, z, strict=True), (0, z[-1])], [0, 0, 0])
        k.bar([0, 0, 0], [0, 0, tall], stem)
    low, top, high, wall = k.u(0.12, 0.3), k.u(0.05, 0.22), k.u(0.1, 0.3), 0.05
    if k.often(0.75):
        low = max(low, top + 0.01) if kind != "floor" or k.often(0.7) else low
        outer = [(low, -high / 2), (top + 0.05, high / 2)]
        inner = (
            [(top + 0.05 - wall, high / 2), (low - wall, -high / 2)]
            if k.often(0.6)
            else [(0, high / 2), (0, -high / 2)]
        )
        k.turned([*outer, *inner], head)
        k.bar([head[0] - top, head[1], head[2]], [head[0] + top, head[1], head[2]], 0.022)
    else:
        turn = np.linspace(-np.pi / 2, np.pi / 2, 11)
        k.turned([(max(0.0, low * np.cos(t)), low * np.sin(t)) for t in turn], head)


def cabinet(k: Kit) -> None:
    """A case with shelves, open or closed, on feet or not."""
    wide, deep, tall = k.u(0.2, 0.7), k.u(0.12, 0.32), k.u(0.25, 1.2)
    wall, foot = k.u(0.022, 0.04), k.u(0.0, 0.15)
    if foot > 0.05:
        k.legs(wide, deep, foot + 0.02, "four")
    else:
        foot = 0.0
    closed = k.often(0.5)
    if closed:
        k.block([0, 0, foot + tall / 2], [wide, deep, tall / 2], k.u(0, 0.2))
        k.block([0, 0, foot + tall], [wide + k.u(0, 0.05), deep + k.u(0, 0.05), wall])
        for level in np.linspace(0, tall, int(k.u(2, 6)))[1:-1]:
            k.block([0, -deep - 0.02, foot + level], [k.u(0.03, 0.1), 0.03, 0.022], 0.5)
        return
    for side in (-1, 1):
        k.block([side * (wide - wall), 0, foot + tall / 2], [wall, deep, tall / 2])
    for level in np.linspace(wall, tall - wall, int(k.u(2, 7))):
        k.block([0, 0, foot + level], [wide, deep, wall])
    if k.often(0.7):
        k.block([0, deep - wall, foot + tall / 2], [wide, wall, tall / 2])
    if k.often(0.3):
        k.block([k.u(-0.5, 0.5) * wide, 0, foot + tall / 2], [wall, deep, tall / 2])


def vessel(k: Kit) -> None:
    """A turned vessel, hollow or solid, perhaps with a handle, two, or a spout."""
    tall, knots = k.u(0.4, 1.6), int(k.u(3, 6))
    z = np.linspace(0, tall, 26)
    radii = [k.u(0.12, 0.5) for _ in range(knots)]
    smooth = np.interp(z, np.linspace(0, tall, knots), radii)
    for _ in range(12 if k.often(0.7) else 2):
        smooth[1:-1] = 0.25 * smooth[:-2] + 0.5 * smooth[1:-1] + 0.25 * smooth[2:]
    wall = k.u(0.045, 0.07)
    if k.often(0.75):
        inner = [(max(0.03, r - wall), h) for r, h in zip(smooth, z, strict=True) if h > wall][::-1]
        profile = [(0.0, 0.0), *zip(smooth, z, strict=True), *inner, (0.0, inner[-1][1])]
    else:
        profile = [(0.0, 0.0), *zip(smooth, z, strict=True), (0.0, tall)]
    k.turned(profile, [0, 0, 0])
    handles = k.rng.choice([0, 0, 1, 1, 2])
    for number in range(handles):
        side = 1 - 2 * number
        low, high, out = k.u(0.15, 0.45) * tall, k.u(0.6, 0.95) * tall, k.u(0.12, 0.3)
        turn = np.linspace(0, np.pi, 9)
        level = (low + high) / 2 - (high - low) / 2 * np.cos(turn)
        edge = np.interp(level, z, smooth) - wall / 2
        widest = max(np.interp([low, high], z, smooth))
        reach = edge + np.sin(turn) * (out + widest - edge)
        k.bent([[side * x, 0.0, h] for x, h in zip(reach, level, strict=True)], k.u(0.025, 0.045))
    if handles == 1 and k.often(0.4):
        start = float(np.interp(tall * 0.4, z, smooth)) - wall / 2
        k.bent(
            [[-start, 0, tall * 0.4], [-start - 0.15, 0, tall * 0.6], [-start - 0.25, 0, tall * k.u(0.75, 1.0)]], 0.05
        )


def car(k: Kit) -> None:
    """A body extruded from its side view, and wheels; forward is -y."""
    long, wide, sill = k.u(0.8, 1.1), k.u(0.3, 0.42), k.u(0.08, 0.18)
    belt, roof = sill + k.u(0.2, 0.32), 0.0
    kind = k.one("saloon", "hatch", "van", "pickup", "bus", "lorry")
    if kind in ("van", "bus"):
        roof, front, back = belt + k.u(0.25, 0.45), k.u(0.02, 0.3), 0.0
        upper = [(-long + front, roof), (long - back, roof)]
    elif kind == "lorry":
        upper = [(-long * 0.95, belt + 0.3), (-long * 0.5, belt + 0.3), (-long * 0.5, belt)]
        k.block([0, long * 0.3, belt + 0.25], [wide * 0.98, long * 0.68, 0.3], 0.05)
    else:
        roof = belt + k.u(0.16, 0.26)
        hood, rear = -long * k.u(0.25, 0.5), long * {"saloon": 0.65, "hatch": 0.9, "pickup": 0.15}[kind]
        upper = [(hood - 0.05, belt), (hood + k.u(0.1, 0.25), roof), (rear - k.u(0.05, 0.25), roof), (rear, belt)]
    side = [(-long, sill), (-long, belt - k.u(0, 0.08)), *upper, (long, belt), (long, sill)]
    body = extruded(side, wide * 0.95)
    corner = k.u(0.01, 0.05)
    # The polygon lies in (y, z); extrusion is along its third axis, which becomes x.
    turn = Rotation.from_matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]]).as_rotvec()
    angle = float(np.linalg.norm(turn))
    shell: SDF = rotate(lambda x: body(x) - corner, list(turn / angle), angle)
    heights = [h for _, h in side]
    self_low = [-wide - corner, -long - corner, min(heights) - corner]
    k.add(shell, self_low, [wide + corner, long + corner, max(heights) + corner])
    radius, thick = k.u(0.13, 0.2), k.u(0.05, 0.1)
    axles = [-long * k.u(0.55, 0.7), long * k.u(0.5, 0.7)]
    for y in axles + ([long * 0.3] if kind == "lorry" and k.often(0.5) else []):
        for end in (-1, 1):
            x = end * (wide - thick * 0.5)
            wheel = rotate(cylinder(radius, thick), (0, 1, 0), np.pi / 2)
            k.add(translate(wheel, (x, y, radius)), [x - thick, y - radius, 0], [x + thick, y + radius, 2 * radius])


KINDS: dict[str, Callable[[Kit], None]] = {
    kind.__name__: kind for kind in (chair, sofa, bed, table, lamp, cabinet, vessel, car)
}


def make(kind: str, seed: int, index: int) -> trimesh.Trimesh:
    """Generate one object, in the unit frame."""
    kit = Kit(np.random.default_rng([seed, sorted(KINDS).index(kind), index]))
    KINDS[kind](kit)
    middle, reach = (kit.low + kit.high) / 2, float(np.linalg.norm(kit.high - kit.low)) / 2
    whole, factor = union(*kit.parts), reach / 0.95
    upright = Rotation.from_matrix([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    attitude = Rotation.create_group("O")[int(kit.rng.integers(24))] if kit.often(1 / 3) else Rotation.identity()
    matrix = (attitude * upright).as_matrix()

    def placed(x):
        return whole((x @ x.new_tensor(matrix)) * factor + x.new_tensor(middle)) / factor

    return extract_mesh(placed, 112, lipschitz=1.0)


if __name__ == "__main__":
    sys.exit(write_kinds(__doc__, KINDS, 640, make))
