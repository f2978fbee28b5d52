"""Records of views, of shapes whose views are known."""

import numpy as np
import pytest
import trimesh

from latentsdf.mesh.record import RECORD_BYTES, record_of_mesh, record_of_points
from latentsdf.mesh.search_record import (
    SEARCH_BYTES,
    search_record,
    stored_search_record,
    unit_views,
    view_part,
    whole_part,
)
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.mesh.view_records import STEP, VIEWS, directions, leading_numbers, view_records


def test_directions_are_those_of_an_icosahedron() -> None:
    ways = directions()
    np.testing.assert_allclose(np.linalg.norm(ways, axis=1), 1.0)
    np.testing.assert_allclose(ways.sum(0), 0.0, atol=1e-12)
    closest = np.sort(ways @ ways.T, axis=1)[:, -2]
    np.testing.assert_allclose(closest, 5**-0.5)


def test_every_view_of_a_ball_is_that_of_half_a_ball() -> None:
    ball = trimesh.creation.icosphere(4)
    points, normals = surface_samples(ball, 8000, 3)
    half = leading_numbers(record_of_points(points[points[:, 2] > 0], normals[points[:, 2] > 0]))
    for view in view_records(ball) * STEP:
        assert np.linalg.norm(view) == pytest.approx(1.0, abs=0.1)
        assert view @ half > 0.95


def test_a_hidden_part_is_not_seen() -> None:
    shell = trimesh.creation.box((2, 2, 2))
    ball = trimesh.creation.icosphere(3, 0.5)
    vertices = np.concatenate([shell.vertices, ball.vertices])
    hidden = trimesh.Trimesh(vertices, np.concatenate([shell.faces, ball.faces + len(shell.vertices)]), process=False)
    alone, both = unit_views(search_record(shell)), unit_views(search_record(hidden))
    assert ((alone * both).sum(1) > 0.95).all()


def test_a_view_is_found_by_what_it_sees() -> None:
    plate, ball = trimesh.creation.box((2, 2, 0.1)), trimesh.creation.icosphere(3)
    points, normals = surface_samples(plate, 4000, 5)
    seen = normals @ np.array([0.2, 0.3, 0.93]) > 0
    query = leading_numbers(record_of_points(points[seen], normals[seen]))
    plate_views, ball_views = (unit_views(search_record(mesh)) @ query for mesh in (plate, ball))
    assert plate_views.max() > 0.95 > ball_views.max()


def test_parts_of_a_search_record() -> None:
    record = search_record(trimesh.creation.box((1, 2, 3)))
    assert record.shape == (SEARCH_BYTES,) == (RECORD_BYTES + VIEWS * 48,)
    np.testing.assert_array_equal(whole_part(record), record_of_mesh(trimesh.creation.box((1, 2, 3))))
    assert view_part(record).shape == (VIEWS, 48)
    record[128 : 128 + 48] = 0
    np.testing.assert_allclose(unit_views(record)[0], leading_numbers(whole_part(record)))
    assert stored_search_record(None) is stored_search_record(np.zeros(SEARCH_BYTES, np.int8)) is None
    with pytest.raises(TypeError, match=r"704 int8 numbers, not \(128,\)"):
        stored_search_record(record[:128])
