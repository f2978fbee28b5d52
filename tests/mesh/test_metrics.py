"""Metrics on surfaces whose distances are known, and rankings whose scores are worked out by hand."""

import numpy as np
import pytest
import torch
import trimesh

from latentsdf.core.frame import UNIT_RADIUS, Frame
from latentsdf.mesh.metrics import (
    chamfer_l1_half,
    chamfer_squared_sum,
    compare,
    f_score,
    hausdorff,
    iou,
    normal_consistency,
)
from latentsdf.space.retrieval import retrieval_scores

A = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
B = np.array([[0.0, 0.0, 1.0]])


def ball(radius=1.0, subdivisions=4, center=(0.0, 0.0, 0.0)):
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return trimesh.Trimesh(mesh.vertices + np.array(center), mesh.faces, process=False)


def test_point_to_point_forms_by_hand():
    assert chamfer_squared_sum(A, B) == pytest.approx((1 + 17) / 2 + 1)
    assert chamfer_l1_half(A, B) == pytest.approx(((1 + 17**0.5) / 2 + 1) / 2)
    assert hausdorff(A, B) == pytest.approx(17**0.5)
    assert chamfer_squared_sum(A, A) == chamfer_l1_half(A, A) == hausdorff(A, A) == 0
    assert hausdorff(B, A) == hausdorff(A, B)


def test_f_score_by_hand():
    assert f_score([0.0, 0.02, 0.02, 0.02], [0.0, 0.02], 0.01) == pytest.approx(2 * 0.25 * 0.5 / 0.75)
    assert f_score([1.0], [0.0], 0.01) == 0
    assert f_score([1.0], [1.0], 0.01) == 0
    assert f_score([0.0], [0.0], 0.01) == 1


def test_normal_consistency_ignores_the_side():
    normals = np.eye(3)
    assert normal_consistency(normals, -normals) == 1
    assert normal_consistency(normals, np.roll(normals, 1, axis=0)) == 0


def test_a_surface_compared_with_itself_is_perfect_whatever_its_triangles():
    box = trimesh.creation.box(extents=(2, 1, 3))
    result = compare(box.subdivide().subdivide(), box, samples=2000)
    assert result.chamfer_l1 < 1e-6
    assert result.hausdorff < 1e-5
    assert result.f_scores == {0.005: 1.0, 0.01: 1.0, 0.02: 1.0}
    assert result.precision == result.recall == 1.0
    assert result.normal_consistency > 0.999


def test_concentric_spheres_are_apart_by_the_difference_of_their_radii():
    result = compare(ball(1.015), ball(1.0), samples=4000)
    assert result.chamfer_l1 == pytest.approx(0.015 * UNIT_RADIUS, rel=0.03)
    assert result.hausdorff == pytest.approx(0.015 * UNIT_RADIUS, rel=0.15)
    assert result.f_scores == {0.005: 0.0, 0.01: 0.0, 0.02: 1.0}
    assert result.precision == result.recall == 0.0
    assert result.normal_consistency > 0.99


def test_what_is_missing_costs_recall_and_what_is_added_costs_precision():
    one, two = ball(0.3, center=(-0.7, 0, 0)), ball(0.3, center=(0.7, 0, 0))
    vertices = np.concatenate([one.vertices, two.vertices])
    both = trimesh.Trimesh(vertices, np.concatenate([one.faces, two.faces + len(one.vertices)]), process=False)
    half = compare(one, both, samples=4000)
    assert half.precision == 1.0
    assert half.recall == pytest.approx(0.5, abs=0.03)
    assert half.f_scores[0.01] == pytest.approx(2 / 3, abs=0.03)
    assert half.hausdorff == pytest.approx(1.4 * UNIT_RADIUS, rel=0.02)
    more = compare(both, one, samples=4000)
    assert more.recall == 1.0
    assert more.precision == pytest.approx(0.5, abs=0.03)


def test_units_and_place_do_not_change_the_figures():
    candidate, truth = ball(0.9, 3), ball(1.0, 3)
    plain = compare(candidate, truth, samples=2000)

    def moved(mesh):
        return trimesh.Trimesh(mesh.vertices * 1000 + 1e4, mesh.faces, process=False)

    far = compare(moved(candidate), moved(truth), samples=2000)
    assert far.chamfer_l1 == pytest.approx(plain.chamfer_l1, rel=1e-4)
    assert far.f_scores == plain.f_scores
    doubled = compare(candidate, truth, samples=2000, frame=Frame(np.eye(3), 0.5 / UNIT_RADIUS, np.zeros(3)))
    assert doubled.chamfer_l1 == pytest.approx(2 * plain.chamfer_l1, rel=1e-4)


def test_the_seed_decides_and_flipped_faces_do_not_matter():
    candidate, truth = ball(0.99, 2), ball(1.0, 2)
    first, again, other = (compare(candidate, truth, samples=500, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.chamfer_l1 != other.chamfer_l1
    flipped = trimesh.Trimesh(candidate.vertices, candidate.faces[:, ::-1], process=False)
    assert compare(flipped, truth, samples=500).normal_consistency > 0.95


def test_a_comparison_as_plain_values_names_its_protocol():
    values = compare(ball(subdivisions=1), ball(subdivisions=1), samples=50).to_dict()
    assert set(values) == {
        "chamfer_l1", "f_0.005", "f_0.01", "f_0.02", "precision_0.01", "recall_0.01",
        "normal_consistency", "hausdorff", "ghost_area", "missing_area", "components", "components_true",
        "genus", "genus_true", "roughness", "roughness_true", "samples", "protocol",
    }  # fmt: skip
    assert values["samples"] == 50
    assert "50 area-uniform samples each way" in values["protocol"]


def test_iou_of_boxes_and_spheres():
    def slab(low, high):
        return lambda x: torch.maximum(low - x[:, 0], x[:, 0] - high)

    assert iou(slab(-0.5, 0.5), slab(-0.5, 0.5)) == 1.0
    assert iou(slab(-0.5, 0.5), slab(0.0, 1.0)) == pytest.approx(1 / 3, abs=0.01)
    assert iou(slab(-0.9, -0.5), slab(0.5, 0.9)) == 0.0
    assert iou(lambda x: x.norm(dim=-1) - 0.4, lambda x: x.norm(dim=-1) - 0.8) == pytest.approx(1 / 8, abs=0.01)


def test_retrieval_scores_by_hand():
    distances = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.2, 0.3]])
    scores = retrieval_scores(distances, ["a", "b"], ["a", "b", "a", "b"])
    # query a ranks a b a b; query b ranks b a b a
    assert scores.nearest_neighbour == 1.0
    assert scores.first_tier == 0.5
    assert scores.mean_average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert scores.queries == 2


def test_retrieval_without_oneself():
    places = np.array([0.0, 1.0, 1.5, 10.0, 11.0, 50.0])
    labels = ["a", "a", "b", "b", "b", "alone"]
    scores = retrieval_scores(np.abs(places[:, None] - places), labels, labels, exclude_diagonal=True)
    # right ranks: 0 -> 1; 1 -> 2; 2 -> 3, 4; 3 -> 1, 2; 4 -> 1, 2; the lone one does not count
    assert scores.queries == 5
    assert scores.nearest_neighbour == pytest.approx(3 / 5)
    assert scores.first_tier == pytest.approx((1 + 0 + 0 + 1 + 1) / 5)
    assert scores.mean_average_precision == pytest.approx((1 + 1 / 2 + (1 / 3 + 2 / 4) / 2 + 1 + 1) / 5)


def test_bad_input_is_refused():
    cube = trimesh.creation.box()
    with pytest.raises(ValueError, match="candidate mesh has no faces"):
        compare(trimesh.Trimesh(), cube)
    with pytest.raises(ValueError, match="samples must be at least 1, got 0"):
        compare(cube, cube, samples=0)
    with pytest.raises(ValueError, match=r"shape \(N, 3\)"):
        hausdorff(A, np.empty((0, 3)))
    with pytest.raises(ValueError, match="must be positive, got 0"):
        f_score([1.0], [1.0], 0)
    with pytest.raises(ValueError, match="at least one distance"):
        f_score([], [1.0], 0.1)
    with pytest.raises(ValueError, match="none of 10 samples"):
        iou(lambda x: x[:, 0] + 5, lambda x: x[:, 0] + 5, samples=10)
    with pytest.raises(ValueError, match="do not match 1 queries and 2 items"):
        retrieval_scores(np.zeros((2, 2)), ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="1 distances are NaN"):
        retrieval_scores([[np.nan, 0.0]], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="no query has an item"):
        retrieval_scores([[0.0, 0.0]], ["c"], ["a", "b"])
