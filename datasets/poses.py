"""Size and orientation of generated shapes: the unit frame, one of the 24 rotations of the cube, or a random one."""

from __future__ import annotations

import numpy as np
import trimesh
from draw import Draw, Vector
from scipy.spatial.transform import Rotation

RADIUS = 0.95
"""Distance of the farthest vertex from the middle of a shape."""
Y_UP = Rotation.from_matrix([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
"""Turns z up, as the shapes are built, into y up."""


def unit_placement(points: Vector, margin: float = 0.0) -> tuple[Vector, float]:
    """Middle of the bounding box of points (N, 3), and the factor that scales them into the unit frame."""
    middle = (points.min(0) + points.max(0)) / 2
    return middle, float((RADIUS - margin) / np.linalg.norm(points - middle, axis=1).max())


def in_unit_frame(mesh: trimesh.Trimesh) -> trimesh.Trimesh:
    """The mesh about the origin, within the unit ball; vertices are moved in place."""
    middle, factor = unit_placement(mesh.vertices)
    mesh.vertices = (mesh.vertices - middle) * factor
    return mesh


def turned_anyhow(mesh: trimesh.Trimesh, u: Draw) -> trimesh.Trimesh:
    """Rotate a mesh in the unit frame: two of three by one of the 24 rotations of the cube, others by any rotation."""
    groups = Rotation.create_group("O")
    turn = groups[u.whole(0, 23)] if u.often(2 / 3) else Rotation.from_quat(u.rng.normal(size=4))
    mesh.vertices = turn.apply(mesh.vertices)
    return in_unit_frame(mesh)


def turned_upright(mesh: trimesh.Trimesh, u: Draw, up: str = "y") -> trimesh.Trimesh:
    """Rotate a mesh built with z up so that `up` is up, by quarter turns about the vertical."""
    about = Rotation.from_euler("z", 90 * u.whole(0, 3), degrees=True)
    mesh.vertices = (Y_UP * about if up == "y" else about).apply(mesh.vertices)
    return in_unit_frame(mesh)
