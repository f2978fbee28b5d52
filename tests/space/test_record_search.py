"""Search by records: any pose, batches, filters, and shapes without a record."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.mesh.record import record_distances, record_of_mesh, record_of_points
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.space.index import Index, Match
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import load


@pytest.fixture(scope="module")
def space(space_path: Path) -> LatentSpace:
    return load(space_path)


def test_records_are_compared_where_every_shape_has_one(space: LatentSpace) -> None:
    assert Index(space).metric == "record"
    some = LatentSpace(space.decoder, [replace(space[name], record=None) for name in space], space.history)
    assert Index(some).metric == "code"
    with pytest.raises(ValueError, match="a prefix is of codes"):
        Index(space, "record", prefix=2)
    with pytest.raises(ValueError, match="no metric is named 'cosine'"):
        Index(space, "cosine")  # pyright: ignore[reportArgumentType]


def test_distances_are_those_of_the_records(space: LatentSpace) -> None:
    index, names = Index(space), space.names
    distances = record_distances(
        [space[name].searched_by()[:128] for name in names], space["ring/1"].searched_by()[:128]
    )[:, 0]
    for match in index.search("ring/1", k=len(names)):
        assert match.distance == pytest.approx(distances[names.index(match.name)], abs=1e-4)
    assert index.search("ring/1", k=1) == [Match("ring/1", 0.0)]


def test_a_batch_is_its_queries_one_by_one(space: LatentSpace) -> None:
    index, names = Index(space), [name for name in space for _ in range(4)]
    assert index.search_all(names, k=3) == [index.search(name, k=3) for name in names]
    assert index.search_all([]) == []


def test_a_turned_scaled_and_mirrored_mesh_is_found(space: LatentSpace) -> None:
    ring = trimesh.creation.torus(0.6, 0.2, major_sections=96, minor_sections=48)
    ring.apply_transform(trimesh.transformations.rotation_matrix(1.0, [1, 2, 3]))
    ring.apply_transform(np.diag([-3.0, 3.0, 3.0, 1.0]))
    assert ring.volume > 0
    for query in (ring, record_of_mesh(ring)):
        assert Index(space).search(query, k=1)[0].name.startswith("ring/")


def test_codes_and_shapes_without_a_record_are_decoded(space: LatentSpace) -> None:
    index, shape = Index(space), space["ring/2"]
    bare = replace(shape, record=None, correction=None)
    assert index.search(shape.code) == index.search(bare)
    assert index.search(bare, k=1)[0].name.startswith("ring/")
    some = LatentSpace(space.decoder, [bare, space["ring/1"]], space.history)
    assert Index(some, "record").search(bare, k=1) == [Match("ring/2", 0.0)]
    with pytest.raises(ValueError, match=r"code has shape \(3,\), this space takes"):
        index.search(torch.zeros(3))


def test_only_the_named_shapes_are_chosen_from(space: LatentSpace) -> None:
    for metric in ("record", "code"):
        index = Index(space, metric)
        rings = [name for name in space if name.startswith("ring/")]
        found = index.search("ball/0", k=9, among=rings)
        assert sorted(match.name for match in found) == sorted(rings)
        every = [match for match in index.search("ball/0", k=9) if match.name in rings]
        assert found == every
        with pytest.raises(KeyError, match="did you mean 'ring/"):
            index.search("ball/0", among=["ring/x"])
        with pytest.raises(ValueError, match="no shape is left"):
            index.search("ball/0", among=[])


def test_queries_of_another_kind_are_refused(space: LatentSpace) -> None:
    with pytest.raises(ValueError, match="a record has 128 int8 numbers"):
        Index(space).search(np.zeros(128, np.float32))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="encode the mesh first"):
        Index(space, "code").search(trimesh.creation.box())


def test_a_part_finds_its_shape(space: LatentSpace) -> None:
    ring = trimesh.creation.torus(0.6, 0.2, major_sections=96, minor_sections=48)
    points, normals = surface_samples(ring, 6000, 4)
    near = normals @ np.array([0.3, -0.5, 0.8]) > 0
    record = record_of_points(points[near], normals[near])
    index, rings = Index(space), [name for name in space if name.startswith("ring/")]
    whole = index.search(record, k=3)[0]
    part = index.search(record, k=3, partial=True)
    assert part[0].name in rings
    assert part[0].distance < whole.distance
    assert len({match.name for match in part}) == 3
    assert index.search("ring/1", k=1, partial=True)[0].name == "ring/1"
    assert {match.name for match in index.search(record, k=9, among=["box/0", "box/1"], partial=True)} == {
        "box/0",
        "box/1",
    }
    with pytest.raises(ValueError, match="codes do not tell partial shapes"):
        Index(space, "code").search("ring/1", partial=True)
