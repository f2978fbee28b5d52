"""Smooth bodies with relief along their normals: bumps of band-limited noise, grooves, scales."""

from __future__ import annotations

import numpy as np
import trimesh
from common import need
from draw import Draw, Table, Vector, at
from limbs import Limb, blended_mesh
from numpy.typing import NDArray
from poses import in_unit_frame
from scipy.interpolate import PchipInterpolator
from simplification import simplified

QUADRIC: Table = {
    "power": (0.6, 8.0),
    "other": (0.6, 8.0),
    "squeeze": (-0.6, 0.6),
    "bend": (-0.8, 0.8),
    "twist": (-1.5, 1.5),
    "twisted": 0.4,
}
BLOB: Table = {"balls": (2, 9), "spread": (0.2, 0.9), "radius": (0.15, 0.6), "blend": (0.05, 0.4)}
STACK: Table = {
    "knots": (5, 11),
    "least": (0.12, 0.5),
    "tall": (1.0, 3.5),
    "lean": (0.0, 0.35),
    "oval": (0.55, 1.0),
    "head": 0.6,
    "arms": 0.4,
    "lobes": (0, 5),
}
RELIEF: Table = {
    "style": ("noise", "noise", "grooves", "scales", "folds", "mixed"),
    "height": (0.015, 0.075),
    "frequency": (5.0, 22.0),
    "grooves": (4, 20),
    "sharp": (0.5, 3.0),
    "rows": (8, 22),
}


def quadric(u: Draw) -> trimesh.Trimesh:
    """A superquadric, tapered, bent and twisted."""
    k = u.sample(QUADRIC)
    mesh = trimesh.creation.icosphere(6)
    direction = mesh.vertices
    flat = (np.abs(direction[:, :2]) ** k.power).sum(1) ** (1 / k.power)
    whole = (flat**k.other + np.abs(direction[:, 2]) ** k.other) ** (1 / k.other)
    points = direction / whole[:, None] * at(u.log(0.4, 1), u.log(0.4, 1), u.log(0.5, 1.6))
    points[:, :2] *= 1 + k.squeeze * points[:, 2:] / np.abs(points[:, 2]).max()
    if k.twisted:
        turn = k.twist * points[:, 2]
        x, y = points[:, 0].copy(), points[:, 1].copy()
        points[:, 0], points[:, 1] = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    points[:, 0] += k.bend * points[:, 2] ** 2
    return trimesh.Trimesh(points, mesh.faces, process=False)


def blob(u: Draw) -> trimesh.Trimesh:
    """Balls blended into one smooth body."""
    k = u.sample(BLOB)
    limbs, place = [], at(0, 0, 0)
    for _ in range(k.balls):
        radius = k.radius * u(0.5, 1.2)
        step = u.jitter(k.spread)
        there = place + step / np.linalg.norm(step) * min(np.linalg.norm(step), 1.2 * k.radius)
        limbs.append(Limb(place, there, radius, radius * u(0.5, 1.0)))
        place = there if u.often(0.6) else limbs[u.whole(0, len(limbs) - 1)].start
    return _even(blended_mesh(limbs, k.blend, 72))


def stack(u: Draw) -> trimesh.Trimesh:
    """A statue-like stack: a turned or lobed column of random profile, perhaps with a head and arms."""
    k = u.sample(STACK)
    z = np.linspace(0, k.tall, 60)
    knots = np.array([u(k.least, 1.0) for _ in range(k.knots)]) * 0.55
    radius = PchipInterpolator(np.linspace(0, k.tall, k.knots), knots)(z)
    limbs = []
    sway = np.stack([k.lean * np.sin(z * u(0.5, 2.0)), k.lean * np.sin(z * u(0.5, 2.0) + 1), z], 1)
    for a, b, r, s in zip(sway[:-1], sway[1:], radius[:-1], radius[1:], strict=True):
        limbs.append(Limb(a, b, r, s, k.oval, at(0, 1, 0)))
    top = sway[-1]
    if k.head:
        size = u(0.18, 0.35)
        limbs.append(
            Limb(top + at(0, 0, size * u(0.5, 1.3)), top + at(0, 0, size * u(1.4, 2.2)), size, size * u(0.6, 1.0))
        )
    if k.arms:
        level = sway[int(u(30, 55))]
        for side in (1.0, -1.0):
            elbow = level + at(side * u(0.5, 0.9), u(-0.3, 0.3), u(-0.5, 0.3))
            limbs += [
                Limb(level, elbow, 0.16, 0.13),
                Limb(elbow, elbow + at(-side * u(-0.3, 0.4), u(-0.5, 0.5), u(-0.4, 0.5)), 0.13, 0.1),
            ]
    mesh = _even(blended_mesh(limbs, 0.06, 96))
    if k.lobes > 2:
        angle = np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0])
        mesh.vertices[:, :2] *= 1 + 0.1 * np.cos(k.lobes * angle)[:, None]
    return mesh


def _even(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The largest body of a marched mesh, its vertices moved to the means of their neighbours a few times."""
    if mesh.body_count > 1:
        mesh = max(mesh.split(only_watertight=False), key=lambda part: len(part.faces))
    return trimesh.smoothing.filter_taubin(mesh, iterations=6)


BODIES = {"relief_quadric": quadric, "relief_blob": blob, "relief_stack": stack}


def noise(points: Vector, u: Draw, frequency: float) -> NDArray[np.float64]:
    """Band-limited noise (N,) of unit variance: a sum of plane waves of wave numbers about `frequency`."""
    waves = u.rng.normal(size=(24, 3))
    waves *= frequency * u.rng.uniform(0.7, 1.3, (24, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    return np.cos(points @ waves.T + u.rng.uniform(0, 2 * np.pi, 24)).sum(1) / 12**0.5


def height(points: Vector, u: Draw) -> NDArray[np.float64]:
    """Height (N,) of a random relief at points of the unit frame."""
    k = u.sample(RELIEF)
    azimuth, z = np.arctan2(points[:, 1], points[:, 0]), points[:, 2]
    # patterns that run round the vertical fade out at it
    fade = (np.hypot(points[:, 0], points[:, 1]) / 0.15).clip(0, 1)
    if k.style in ("noise", "mixed"):
        value = noise(points, u, k.frequency)
        if u.often(0.4):
            value = np.abs(value) - 0.8
        if k.style == "mixed":
            value = 0.6 * value + 0.8 * noise(points, u, min(20.0, 2.2 * k.frequency)) * (
                0.5 + noise(points, u, 2.5)
            ).clip(0, 1)
        return 0.6 * k.height * value
    if k.style == "grooves":
        slant = u(-6.0, 6.0) if u.often(0.5) else 0.0
        phase = k.grooves * azimuth + slant * z if u.often(0.6) else 1.5 * k.grooves * z + 0.6 * noise(points, u, 3.0)
        return fade * k.height * (2 * ((1 + np.cos(phase)) / 2) ** k.sharp - 1)
    if k.style == "folds":
        return (
            fade * k.height * np.sin(u.whole(5, 14) * azimuth + 1.5 * noise(points, u, 2.0)) * (1.2 - 0.9 * (z + 1) / 2)
        )
    # scales: overlapping rows of rounded tiles, each row shifted by half a tile
    row = (z + 1) * k.rows / 2
    count, level = 2 * (k.rows // 2) + u.whole(0, 4), np.floor(row)
    across = (azimuth * count / (2 * np.pi) + 0.5 * (level % 2)) % 1.0 - 0.5
    rise = row - level
    return fade * 1.2 * k.height * (1 - rise) * (1 - (2 * np.abs(across)) ** 3).clip(0) ** 0.5


def relief_body(kind: str, u: Draw, faces: int) -> trimesh.Trimesh:
    """A body of a kind with relief, in the unit frame."""
    mesh = in_unit_frame(BODIES[kind](u))
    igl = need("relief", "igl", "pip install libigl")
    normals = igl.per_vertex_normals(np.asarray(mesh.vertices), np.asarray(mesh.faces))
    mesh.vertices = mesh.vertices + normals * height(np.asarray(mesh.vertices), u)[:, None]
    return simplified(mesh, faces)
