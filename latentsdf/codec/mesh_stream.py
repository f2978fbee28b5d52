"""Triangle meshes on a lattice of the unit cube as few bytes, the same on every machine.

Layout of a stream: byte 0 is `KIND`; byte 1 the number of the lattice (`cells_of`); bytes 2 and 3 the number of faces,
little endian; from byte 4 on the decisions of `MeshTraversal` by the range coder, from the probabilities of
`mesh_statistics`; zero bytes may follow, so that there is a byte for every 256 faces. Position k of an axis of n cells
lies at 2 k / n - 1. The order of vertices and faces, and which corner of a face comes first, are those of the
traversal; the winding of each face is kept. Any set of faces can be coded: open or closed, with edges of any number of
faces, in any number of parts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Array, Indices
from .mesh_statistics import STARTING_PROBABILITIES
from .mesh_traversal import MeshIndex, MeshTraversal
from .range_coder import RangeDecoder, RangeEncoder

KIND = 2
"""First byte of the stream of a mesh; that of a residual is 1."""
LATTICES = 48
"""Number of lattices, by `cells_of`."""
MOST_FACES = (1 << 16) - 1
_HEADER, _FACES_PER_BYTE = 4, 256


def cells_of(number: int) -> int:
    """Cells an axis of the lattices of numbers 0 to `LATTICES` - 1: from 4 to 14,336, four an octave."""
    return (4 + number % 4) << (number // 4)


class LatticeMesh(NamedTuple):
    """A triangle mesh on a lattice of the unit cube.

    Attributes:
        positions: (V, 3) integers from 0 to the cells an axis.
        faces: (F, 3) rows of three different vertices.
        lattice: number of the lattice.
    """

    positions: Indices
    faces: Indices
    lattice: int

    @property
    def vertices(self) -> Array:
        """Positions (V, 3) in the unit frame."""
        return 2.0 * self.positions / cells_of(self.lattice) - 1.0


def snap_to_lattice(vertices: ArrayLike, faces: ArrayLike, lattice: int) -> LatticeMesh:
    """Round a mesh of the unit frame to a lattice.

    Vertices that fall together become one; faces that lose their area, and all but one of equal faces, are dropped.

    Args:
        vertices: (V, 3) in the unit cube; others are moved to its nearest point.
        faces: (F, 3) vertex indices.
        lattice: its number.
    """
    cells = cells_of(lattice)
    whole = np.floor((np.asarray(vertices, dtype=np.float64) + 1.0) * (cells / 2.0) + 0.5).clip(0, cells)
    positions, owner = np.unique(whole.astype(np.int64), axis=0, return_inverse=True)
    triangles = owner.reshape(-1)[np.asarray(faces, dtype=np.int64)]
    corners = positions[triangles]
    triangles = triangles[np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).any(axis=1)]
    _, first = np.unique(np.sort(triangles, axis=1), axis=0, return_index=True)
    used, triangles = np.unique(triangles[np.sort(first)], return_inverse=True)
    return LatticeMesh(positions[used], triangles.reshape(-1, 3), lattice)


def encode_mesh(mesh: LatticeMesh) -> bytes:
    """Code a mesh; vertices that no face names and faces that name a vertex twice are left out.

    Raises:
        ValueError: a position or the lattice out of range, no face, or more than `MOST_FACES`.
    """
    positions, faces = np.asarray(mesh.positions, dtype=np.int64), np.asarray(mesh.faces, dtype=np.int64)
    faces = faces[(faces != faces[:, [1, 2, 0]]).all(axis=1)]
    if not 0 <= mesh.lattice < LATTICES:
        raise ValueError(f"the lattice of a mesh must be 0 to {LATTICES - 1}, got {mesh.lattice}")
    if not 1 <= len(faces) <= MOST_FACES:
        raise ValueError(f"a mesh to be coded must have 1 to {MOST_FACES} faces, got {len(faces)}")
    if faces.min() < 0 or faces.max() >= len(positions):
        raise ValueError(f"faces name vertices {faces.min()} to {faces.max()}, but there are {len(positions)}")
    cells = cells_of(mesh.lattice)
    if positions.min() < 0 or positions.max() > cells:
        raise ValueError(f"positions must be 0 to {cells}, got {positions.min()} to {positions.max()}")
    encoder = RangeEncoder(STARTING_PROBABILITIES)
    MeshTraversal(encoder, cells + 1, MeshIndex(positions.tolist(), faces.tolist())).run(len(faces))
    coded = encoder.finish()
    # Decoders bound the number of faces by the length; no mesh that was tried comes near the bound.
    coded += bytes(max(0, _least_length(len(faces)) - len(coded)))
    return bytes([KIND, mesh.lattice]) + len(faces).to_bytes(2, "little") + coded


def decode_mesh(data: bytes) -> LatticeMesh:
    """The mesh that `encode_mesh` coded.

    Raises:
        ValueError: the bytes are damaged.
    """
    if len(data) < _HEADER or data[0] != KIND or data[1] >= LATTICES:
        raise ValueError("the bytes of a mesh are damaged: they do not begin as those of a mesh")
    count = int.from_bytes(data[2:4], "little")
    least = _least_length(count)
    if count == 0 or len(data) - _HEADER < least:
        raise ValueError(f"the bytes of a mesh are damaged: {len(data)} bytes hold no {count} faces")
    decoder = RangeDecoder(data[_HEADER:], STARTING_PROBABILITIES)
    traversal = MeshTraversal(decoder, cells_of(data[1]) + 1)
    traversal.run(count)
    if len(data) - _HEADER > least:
        decoder.finish()
    return LatticeMesh(np.array(traversal.vertices), np.array(traversal.faces), data[1])


def _least_length(faces: int) -> int:
    return faces // _FACES_PER_BYTE
