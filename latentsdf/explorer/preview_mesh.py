"""Coarse meshes within a few hundredths of a second: marching cubes on a lattice that is sampled near the surface."""

from __future__ import annotations

import numpy as np
import torch
import trimesh
from skimage.measure import marching_cubes
from torch import Tensor

from ..core.frame import Frame
from ..mesh.small_pieces import without_small_pieces
from ..space.morph import sample_field
from ..space.shape import Shape
from ..space.stored_mesh import StoredMesh

LARGEST = 64
"""Cells per axis up to which a mesh is a preview: twice as coarse a lattice is evaluated first, and refined only where
its values are small. Parts thinner than two cells may be missed, which `extract_mesh` would find."""


def preview_mesh(shape: Shape, cells: int) -> trimesh.Trimesh:
    """Mesh a shape coarsely, in source units.

    Args:
        shape: any; one that is stored as a mesh gives that mesh.
        cells: per axis; one more where it is odd.

    Raises:
        ValueError: no surface on the lattice.
    """
    if isinstance(shape.correction, StoredMesh):
        return shape.mesh()
    with torch.no_grad():
        values = sample_field(shape.sdf, cells + 1 + cells % 2, shape.code)
    return without_small_pieces(lattice_mesh(values, shape.frame), shape.least_piece)


def lattice_mesh(values: Tensor, frame: Frame) -> trimesh.Trimesh:
    """Mesh the zero level set of samples (R, R, R) over the cube [-1, 1]^3 of the unit frame, in source units.

    The border of the cube counts as outside, as in `extract_mesh`.

    Raises:
        ValueError: the samples have no surface.
    """
    field = values.detach().cpu().float().numpy()
    inner = field[1:-1, 1:-1, 1:-1]
    if not (inner < 0).any():
        raise ValueError("the field has no surface on this lattice; ask for more cells")
    border = np.maximum(field, np.float32(1e-6))
    border[1:-1, 1:-1, 1:-1] = inner
    vertices, faces, _, _ = marching_cubes(border, 0.0, gradient_direction="ascent")
    unit = 2.0 * vertices.astype(np.float64) / (len(field) - 1) - 1.0
    return trimesh.Trimesh(frame.to_source(unit), faces[:, ::-1], process=False)
