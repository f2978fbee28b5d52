"""Compact meshes: known fields, simplification of meshes with edges of several faces, and what a search reaches."""

from __future__ import annotations

import numpy as np
import torch
import trimesh

from latentsdf.codec.mesh_stream import snap_to_lattice
from latentsdf.core.field import Jet
from latentsdf.inference.mesh_search import search_mesh
from latentsdf.inference.mesh_simplification import cut_to_manifold, simplify_to_lattice
from latentsdf.inference.rate_search import Target
from latentsdf.space.stored_mesh import StoredMesh


def test_field_of_a_stored_cube_is_its_distance() -> None:
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    stored = StoredMesh.of(snap_to_lattice(box.vertices, box.faces, 4))
    jet = Jet(stored.on(lambda points: points[:, 0]), torch.tensor([[0.0, 0.0, 0.3], [0.0, 0.0, 0.9], [0.8, 0.9, 0.0]]))
    assert torch.allclose(jet.value, torch.tensor([-0.2, 0.4, 0.5]), atol=1e-5)
    assert torch.allclose(jet.gradient, torch.tensor([[0, 0, 1], [0, 0, 1], [0.6, 0.8, 0]]), atol=1e-4)
    assert stored.nbytes < 20


def test_solids_that_share_an_edge_are_cut_apart() -> None:
    one, two = trimesh.creation.box((0.5, 0.5, 0.5)), trimesh.creation.box((0.5, 0.5, 0.5))
    vertices = np.concatenate([one.vertices - [0.25, 0.25, 0.0], two.vertices + [0.25, 0.25, 0.0]])
    merged, owner = np.unique(vertices, axis=0, return_inverse=True)
    faces = owner.reshape(-1)[np.concatenate([one.faces, two.faces + 8])]
    cut, apart = cut_to_manifold(merged, faces)
    assert (len(merged), len(cut)) == (14, 16)
    assert np.allclose(cut[apart], merged[faces])
    mesh = simplify_to_lattice(merged, faces, 20, 8)
    assert mesh is not None
    assert 8 <= len(mesh.faces) <= 24


def test_search_reaches_a_tolerance_and_keeps_to_a_limit() -> None:
    cube = trimesh.creation.box((1.0, 1.0, 1.0)).subdivide().subdivide()
    found = search_mesh(cube, Target(tolerance=0.01))
    assert found.mesh is not None
    assert found.f_score >= 0.95
    assert found.mesh.nbytes <= 40
    sphere = trimesh.creation.icosphere(3, 0.9)
    small = search_mesh(sphere, Target(max_bytes=100))
    assert small.mesh is not None
    assert 60 < small.mesh.nbytes <= 100
    assert search_mesh(sphere, Target(max_bytes=5)).mesh is None
