"""Records of views, of shapes whose views are known."""

import numpy as np
import pytest
import trimesh

from latentsdf.mesh.record import RECORD_BYTES, record_distances, record_of_mesh, record_of_points
from latentsdf.mesh.search_record import (
    DISTINCT_VIEWS,
    SEARCH_BYTES,
    WHOLE_LEVELS,
    compact_record,
    search_record,
    stored_search_record,
    unit_views,
    view_part,
    whole_part,
)
from latentsdf.mesh.surface_sampling import surface_samples
from latentsdf.mesh.view_records import STEP, VIEWS, directions, leading_numbers, view_records
from latentsdf.space.byte_column import ByteColumn
from latentsdf.space.record_column import RecordColumn


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
    assert ((alone @ both.T).max(1) > 0.95).all()
    assert ((alone @ both.T).max(0) > 0.95).all()


def test_a_view_is_found_by_what_it_sees() -> None:
    plate, ball = trimesh.creation.box((2, 2, 0.1)), trimesh.creation.icosphere(3)
    points, normals = surface_samples(plate, 4000, 5)
    seen = normals @ np.array([0.2, 0.3, 0.93]) > 0
    query = leading_numbers(record_of_points(points[seen], normals[seen]))
    plate_views, ball_views = (unit_views(search_record(mesh)) @ query for mesh in (plate, ball))
    assert plate_views.max() > 0.95 > ball_views.max()


def test_a_record_is_compact_and_keeps_what_views_have_in_common() -> None:
    random = np.random.default_rng(0)
    kinds = random.standard_normal((3, 48))
    views = kinds[random.integers(0, 3, VIEWS)] + 0.05 * random.standard_normal((VIEWS, 48))
    views[4] = 0
    views = np.rint(views / np.maximum(np.linalg.norm(views, axis=1, keepdims=True), 1e-9) / STEP)
    whole = random.integers(-127, 128, 128)
    record = np.concatenate([whole, views.ravel()]).astype(np.int8)
    compact = compact_record(record)
    np.testing.assert_array_equal(compact_record(compact), compact)
    found = unit_views(compact)
    assert len(found) == 3
    assert not view_part(compact)[3:].any()
    assert (np.abs(found @ (kinds / np.linalg.norm(kinds, axis=1, keepdims=True)).T).max(1) > 0.98).all()
    assert record_distances(whole_part(record), whole_part(compact))[0, 0] < 0.06
    column = RecordColumn.of([compact, None, record])
    known, stored = column.records()
    assert known.tolist() == [True, False, True]
    np.testing.assert_array_equal(stored, [compact, np.zeros(SEARCH_BYTES), compact])
    np.testing.assert_array_equal(column.records(slice(2, 3), whole=True)[1][0], whole_part(compact))
    # A number that the models have no room for is stored as it is.
    odd = compact.copy()
    odd[RECORD_BYTES] = 100
    np.testing.assert_array_equal(RecordColumn.of([odd]).records()[1][0], odd)


def test_a_damaged_record_is_an_error() -> None:
    streams = RecordColumn.of([search_record(trimesh.creation.box((1, 2, 3)))]).streams
    packed = streams[0]
    for damaged in (packed[:-1], packed[:9] + bytes([packed[9] ^ 255]) + packed[10:], b"\x09" + packed[1:]):
        with pytest.raises(ValueError, match="damaged"):
            RecordColumn(ByteColumn.of([damaged])).records()


def test_parts_of_a_search_record() -> None:
    record = search_record(trimesh.creation.box((1, 2, 3)))
    assert record.shape == (SEARCH_BYTES,) == (RECORD_BYTES + VIEWS * 48,)
    assert record_distances(whole_part(record), record_of_mesh(trimesh.creation.box((1, 2, 3))))[0, 0] < 0.1
    assert np.abs(whole_part(record)).max() == WHOLE_LEVELS
    assert view_part(record).shape == (VIEWS, 48)
    assert 1 <= len(unit_views(record)) <= DISTINCT_VIEWS
    np.testing.assert_allclose(np.linalg.norm(unit_views(record), axis=1), 1.0)
    assert stored_search_record(None) is stored_search_record(np.zeros(SEARCH_BYTES, np.int8)) is None
    with pytest.raises(TypeError, match=r"704 int8 numbers, not \(128,\)"):
        stored_search_record(record[:128])
