"""Duplicates in small collections whose relations are known."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from latentsdf.mesh.duplicates import NEAR, Item, find_duplicates, near_pairs
from latentsdf.mesh.group_sheet import COLUMNS, draw_groups, sheet_rows
from latentsdf.mesh.record import record_distances, record_of_mesh
from latentsdf.mesh.relation import STRETCH, Relation, relate
from latentsdf.mesh.surface import Surface

TURN = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()


def joined(meshes: Sequence[trimesh.Trimesh]) -> trimesh.Trimesh:
    """The faces of several meshes in one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts[:-1], strict=True)]
    return trimesh.Trimesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces), process=False)


def cup(handle: bool) -> trimesh.Trimesh:
    """A cylinder, with or without a ring at its side."""
    body = trimesh.creation.cylinder(1.0, 2.4, sections=48).subdivide().subdivide()
    ring = trimesh.creation.torus(0.5, 0.1).apply_transform(
        trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0])
    )
    return joined([body, ring.apply_translation([1.2, 0, 0])]) if handle else body


def arms(signs: tuple[float, float, float] = (1, 1, 1)) -> trimesh.Trimesh:
    """A chiral solid, or its mirror image."""
    places = ((1, 0, 0), (0, 1.5, 0), (0, 0, 2))
    parts = [trimesh.creation.box(np.maximum(0.5, 2 * np.array(at))).apply_translation(at) for at in places]
    mesh = joined(parts)
    flip = np.prod(signs) < 0
    return trimesh.Trimesh(mesh.vertices * signs, mesh.faces[:, ::-1] if flip else mesh.faces, process=False)


def related(a: trimesh.Trimesh, b: trimesh.Trimesh, variants: bool = False) -> Relation:
    relation = relate(("a", "b"), Surface(a), Surface(b), variants=variants)
    assert relation is not None
    image = a.copy().apply_transform(np.array(relation.transform))
    if relation.kind != "variant" or relation.stretch:
        assert np.allclose(image.bounds, b.bounds, atol=0.02 * b.scale) or relation.kind == "repaired"
    return relation


def test_a_chiral_solid_mirrored() -> None:
    relation = related(arms(), arms((1, -1, 1)))
    assert (relation.kind, relation.remeshed, round(relation.scale, 6)) == ("mirrored", False, 1.0)
    assert str(relation).startswith("mirrored; distance ") or "mirrored, turned by" in str(relation)


def test_a_box_rotated_and_moved() -> None:
    box = trimesh.creation.box((1, 2, 3))
    turned = trimesh.Trimesh(box.vertices @ TURN.T + 5, box.faces, process=False)
    relation = related(box, turned)
    assert relation.kind == "rotated"
    assert relation.distance < 1e-6
    assert 0 < relation.angle <= np.degrees(np.linalg.norm([0.4, -1.1, 0.7])) + 1e-6
    assert related(box, trimesh.Trimesh(box.vertices + 1, box.faces, process=False)).kind == "moved"


def test_a_scaled_and_subdivided_torus() -> None:
    torus = trimesh.creation.torus(1.0, 0.3)
    relation = related(torus, torus.subdivide().apply_scale(2.0))
    assert (relation.kind, relation.remeshed) == ("scaled", True)
    assert relation.scale == pytest.approx(2.0, rel=1e-3)
    assert "scaled by 2, other triangles" in str(relation)


def test_identical_and_remeshed() -> None:
    mesh = arms()
    shuffled = trimesh.Trimesh(mesh.vertices, mesh.faces[::-1], process=False)
    assert related(mesh, shuffled).kind == "identical"
    assert related(mesh, mesh.subdivide()).kind == "re-meshed"


def test_a_mirrored_symmetric_shape_is_not_mirrored() -> None:
    mesh = cup(True)
    relation = related(mesh, trimesh.Trimesh(mesh.vertices * [1, -1, 1], mesh.faces[:, ::-1], process=False))
    assert relation.kind in ("identical", "re-meshed")


@pytest.mark.parametrize("order", [1, -1])
def test_a_mesh_with_a_hole_and_its_closed_version(order: int) -> None:
    mesh = cup(True)
    kept = np.linalg.norm(mesh.triangles_center - [-1, 0, 0], axis=1) > 0.6
    pair = (trimesh.Trimesh(mesh.vertices, mesh.faces[kept], process=False), mesh)
    first, second = pair[::order]
    relation = relate(("a", "b"), Surface(first), Surface(second))
    assert relation is not None
    assert (relation.kind, relation.a) == ("repaired", "a" if order == 1 else "b")
    assert relation.distance < 0.001
    assert 0.9 < relation.share < 0.99


def test_a_cup_with_and_without_its_handle_is_a_variant() -> None:
    for pair in ((cup(True), cup(False)), (cup(False), cup(True))):
        assert relate(("a", "b"), Surface(pair[0]), Surface(pair[1])) is None
        relation = related(*pair, variants=True)
        assert (relation.kind, relation.stretch) == ("variant", None)
        assert 0.7 < relation.share < 0.97
        assert relation.scale == pytest.approx(1.0, abs=0.01)


def test_a_stretched_cup_is_a_variant_with_its_factors() -> None:
    mesh = cup(True)
    stretched = trimesh.Trimesh(mesh.vertices * [1, 1, 1.12] @ TURN.T, mesh.faces, process=False)
    relation = related(mesh, stretched, variants=True)
    assert relation.kind == "variant"
    assert relation.stretch is not None
    assert relation.stretch[2] / relation.stretch[0] == pytest.approx(1.12, abs=0.005)
    assert STRETCH > 1.12


def collection() -> dict[str, trimesh.Trimesh]:
    torus = trimesh.creation.torus(1.0, 0.3)
    return {
        "a": arms(),
        "b": arms((1, -1, 1)),
        "c": torus,
        "d": torus.subdivide().apply_scale(0.1),
        "e": torus.copy().apply_translation([3, 0, 0]),
        "f": trimesh.creation.icosphere(2),
        "g": cup(True),
        "h": cup(False),
    }


def items(meshes: dict[str, trimesh.Trimesh]) -> list[Item]:
    return [Item(name, record_of_mesh(mesh), lambda mesh=mesh: mesh) for name, mesh in meshes.items()]


def test_groups_and_variants_of_a_collection() -> None:
    shares: list[float] = []

    def on_row(share: float) -> bool:
        shares.append(share)
        return True

    found = find_duplicates(items(collection()), variants=True, on_row=on_row)
    assert found.groups == [["c", "d", "e"], ["a", "b"]]
    assert {(r.a, r.b, r.kind) for r in found.relations} == {
        ("a", "b", "mirrored"),
        ("c", "d", "scaled"),
        ("c", "e", "moved"),
    }
    assert [(r.a, r.b) for r in found.variants] == [("g", "h")]
    assert not found.failed
    assert not found.interrupted
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_collection_where_nothing_is_alike() -> None:
    meshes = {name: mesh for name, mesh in collection().items() if name in "acf"}
    assert find_duplicates(items(meshes)) == ([], [], [], 0, {}, False)
    assert find_duplicates([]) == ([], [], [], 0, {}, False)


def test_a_search_ends_when_it_is_told_to() -> None:
    found = find_duplicates(items(collection()), on_row=lambda share: False)
    assert found.interrupted
    assert not found.groups


def test_a_mesh_that_cannot_be_had_is_reported_once() -> None:
    def broken() -> trimesh.Trimesh:
        raise ValueError("gone")

    listed = items(collection())
    listed[2] = listed[2]._replace(mesh=broken)
    found = find_duplicates(listed)
    assert found.failed == {"c": "gone"}
    assert found.groups == [["a", "b"], ["d", "e"]]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="must be positive"):
        find_duplicates([], 0.0)
    item = items({"a": arms()})[0]
    with pytest.raises(ValueError, match="same name"):
        find_duplicates([item, item])


def test_near_pairs_are_those_of_all_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    records = np.random.default_rng(0).integers(-127, 128, (40, 128)).astype(np.int8)
    records[20:] = np.clip(records[:20] + np.random.default_rng(1).integers(-20, 20, (20, 128)), -127, 127)
    distances = record_distances(records, records)
    for block in (2**24, 40 * 7):
        monkeypatch.setattr("latentsdf.mesh.duplicates._BLOCK", block)
        found = {(row, other) for row, others in near_pairs(list(records), NEAR) for other in others.tolist()}
        assert found == {(i, j) for i in range(40) for j in range(i + 1, 40) if distances[i, j] <= NEAR}
        assert len(found) >= 20


def test_a_contact_sheet_of_groups() -> None:
    meshes = collection()
    found = find_duplicates(items(meshes), variants=True)
    rows = sheet_rows(found)
    assert [[picture.name for picture in row] for row in rows] == [["c", "d", "e"], ["a", "b"], ["g", "h"]]
    done: list[int] = []
    many = [rows[0] * COLUMNS, *rows[1:]]
    sheet = draw_groups(many, lambda name: meshes[name], "a note", done.append)
    assert done == [1, 2, 3]
    assert sheet.width > COLUMNS * 150
    assert (np.asarray(sheet) < 200).any()
