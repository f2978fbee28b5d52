"""Triangle meshes on an integer lattice as few bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..core.arrays import Indices
from .mesh_statistics import START
from .mesh_traversal import MeshIndex, MeshTraversal
from .range_coder import RangeDecoder, RangeEncoder


def encode(positions, faces, size):
    source = MeshIndex([tuple(map(int, p)) for p in positions], [tuple(map(int, f)) for f in faces])
    e = RangeEncoder(START)
    t = MeshTraversal(e, size, source)
    t.run(len(faces))
    return e.finish(), t

def decode(data, size, count):
    d = RangeDecoder(data, START)
    t = MeshTraversal(d, size)
    t.run(count)
    d.finish()
    return t
