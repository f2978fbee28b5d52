"""The collection of real shapes that comes with the library: counts, sizes, licences, and its packing."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
import trimesh

from latentsdf.core.names import class_of
from latentsdf.dataset.real_shapes import ARRAYS, TABLE, pack_meshes, real_shapes, unpack_meshes

LICENCES = {"CC0-1.0", "CC-BY-3.0", "CC-BY-3.0-US", "Apache-2.0", "MIT", "Zlib"}
NOTICES = "real_shapes_licences.txt"


def test_the_collection_is_small_closed_and_varied() -> None:
    shapes = real_shapes()
    assert 55 <= len(shapes) <= 70
    assert len({shape.name for shape in shapes}) == len(shapes)
    assert len({class_of(shape.name) for shape in shapes}) >= 15
    closed = 0
    for shape in shapes:
        mesh = trimesh.Trimesh(shape.mesh.vertices, shape.mesh.faces, process=True)
        assert 50 < len(mesh.faces) <= 7000, shape.name
        assert mesh.volume > 0, shape.name
        closed += mesh.is_watertight
        assert np.abs(mesh.bounds.sum(axis=0)).max() < 1e-2 * mesh.extents.max(), shape.name
    assert closed >= len(shapes) - 3  # rounding merges vertices of the others
    folder = files("latentsdf.dataset")
    assert sum(len((folder / name).read_bytes()) for name in (ARRAYS, TABLE, NOTICES)) < 3_000_000


def test_every_shape_names_author_source_and_a_licence_with_a_notice() -> None:
    notices = (files("latentsdf.dataset") / NOTICES).read_text(encoding="utf-8")
    for shape in real_shapes():
        assert shape.source, shape.name
        assert shape.author, shape.name
        assert shape.change, shape.name
        for licence in shape.licence.split(" AND "):
            assert licence in LICENCES, shape.name
            assert licence in notices, shape.name


def test_a_count_takes_one_of_each_class_first() -> None:
    few = real_shapes(6)
    assert len({class_of(shape.name) for shape in few}) == 6
    names = [shape.name for shape in real_shapes()]
    assert [shape.name for shape in few] == [name for name in names if name in {shape.name for shape in few}]
    with pytest.raises(ValueError, match="at least 1"):
        real_shapes(0)


def test_packing_keeps_faces_and_rounds_positions() -> None:
    ball, box = trimesh.creation.icosphere(radius=3.0), trimesh.creation.box((1.0, 2.0, 5.0))
    box.apply_translation([7.0, 8.0, 9.0])
    packed = pack_meshes([ball, box], 1000)
    found = unpack_meshes(packed)
    assert packed["positions"].dtype == packed["indices"].dtype == np.uint16
    for mesh, other, side in zip(found, (ball, box), (6.0, 5.0), strict=True):
        assert np.array_equal(mesh.faces, other.faces)
        middle = np.asarray(other.bounds).mean(axis=0)
        assert np.abs(mesh.vertices + middle - other.vertices).max() <= side / 2000 + 1e-6
