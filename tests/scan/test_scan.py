"""Point clouds: reading, cleaning, frames, and virtual scans of a sphere."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import trimesh

from latentsdf.core.frame import UNIT_RADIUS, Frame
from latentsdf.scan import neighbourhoods, normals, winding
from latentsdf.scan import scan as scans
from latentsdf.scan.outliers import remove_outliers
from latentsdf.scan.scan import MESH_POINTS, Scan
from latentsdf.scan.virtual import virtual_scan

POINTS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
NORMALS = np.array([[0.0, 0, 2], [0, 0, 1], [0, 1, 0], [1, 0, 0]])


def text(*columns):
    return "".join(" ".join(f"{value:g}" for value in row) + "\n" for row in np.hstack(columns))


def ply(names, *columns):
    properties = "".join(f"property float {name}\n" for name in names)
    return f"ply\nformat ascii 1.0\nelement vertex 4\n{properties}end_header\n" + text(*columns)


@pytest.mark.parametrize(
    ("name", "content", "normals"),
    [
        ("a.xyz", text(POINTS), False),
        ("a.txt", "# x y z\n" + text(POINTS, NORMALS).replace(" ", ", "), True),
        ("a.ply", ply(("x", "y", "z"), POINTS), False),
        ("a.ply", ply(("x", "y", "z", "nx", "ny", "nz"), POINTS, NORMALS), True),
        ("a.obj", "".join("v " + line + "\n" for line in text(POINTS).splitlines()), False),
        ("a.npy", np.hstack([POINTS, NORMALS]), True),
        ("a.npy", POINTS.astype(np.float32), False),
    ],
)
def test_each_kind_of_point_cloud_is_read(tmp_path, name, content, normals):
    path = tmp_path / name
    np.save(path, content) if isinstance(content, np.ndarray) else path.write_text(content)
    scan = Scan.load(path)
    np.testing.assert_array_equal(scan.points, POINTS)
    assert scan.name == "a"
    assert scan.notes == ()
    if normals:
        assert scan.normals is not None
        np.testing.assert_allclose(scan.normals, NORMALS / np.linalg.norm(NORMALS, axis=1, keepdims=True))
    else:
        assert scan.normals is None


@pytest.mark.parametrize("ending", ["ply", "obj", "stl", "glb"])
def test_a_mesh_is_sampled_and_says_so(tmp_path, ending):
    trimesh.creation.box().export(tmp_path / f"box.{ending}")
    scan = Scan.load(tmp_path / f"box.{ending}")
    assert len(scan) == MESH_POINTS
    np.testing.assert_allclose(np.abs(scan.points).max(1), 0.5)
    assert "is a mesh" in scan.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.abc", "x", "no scan ending"),
        ("a.xyz", "", "no points"),
        ("a.xyz", "1 2\n3 4\n", "rows of 3 numbers"),
        ("a.xyz", "one two three\n", "not a readable .xyz scan"),
        ("a.ply", "junk", "not a readable .ply scan"),
        ("a.npy", "junk", "not a readable .npy scan"),
        ("a.obj", "# nothing\n", "no points"),
        ("a.xyz", "nan nan nan\n", "none of its 1 points is finite"),
    ],
)
def test_bad_scans_are_refused_in_one_line(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=says) as caught:
        Scan.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_scan_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.xyz"):
        Scan.load(tmp_path / "nowhere.xyz")


def test_bad_rows_are_dropped_with_a_note():
    points, normals = POINTS.copy(), NORMALS.copy()
    points[1, 2], normals[3] = np.nan, 0
    scan = Scan(points, normals)
    np.testing.assert_array_equal(scan.points, POINTS[[0, 2]])
    assert scan.notes == ("2 of 4 points dropped: not finite or without a normal",)
    assert Scan(POINTS, np.zeros((4, 3))).normals is None
    with pytest.raises(ValueError, match="4 points need as many normals"):
        Scan(POINTS, NORMALS[:2])


def test_a_scan_goes_into_its_frame_with_normals_and_sensor():
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    frame = Frame(quarter, 2.0, np.array([1.0, 1, 1]))
    moved = Scan(POINTS, NORMALS, np.array([3.0, 1, 1])).transformed(frame)
    assert moved.sensor is not None
    assert moved.normals is not None
    np.testing.assert_allclose(moved.sensor, [0, 1, 0])
    np.testing.assert_allclose(moved.normals[3], [0, 1, 0])
    np.testing.assert_allclose(frame.to_source(moved.points), POINTS)
    scan = virtual_scan(trimesh.creation.icosphere(radius=7), count=500)
    unit = scan.transformed(scan.frame())
    assert np.linalg.norm(unit.points, axis=1).max() == pytest.approx(UNIT_RADIUS)


def test_subsampling_keeps_pairs_and_repeats():
    scan = virtual_scan(trimesh.creation.box(), count=1000)
    part = scan.subsampled(100, seed=5)
    assert len(part) == 100
    assert len(np.unique(part.points, axis=0)) == 100
    assert part.normals is not None
    np.testing.assert_allclose((part.points * part.normals).sum(1), 0.5)
    np.testing.assert_array_equal(part.points, scan.subsampled(100, seed=5).points)
    assert scan.subsampled(5000) is scan


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_one_view_sees_the_cap_towards_the_sensor(scale):
    sphere = trimesh.creation.icosphere(subdivisions=4, radius=scale)
    sphere.apply_translation([10 * scale, 0, 0])
    scan = virtual_scan(sphere, count=2000, views=1, seed=2)
    assert scan.sensor is not None
    place = (scan.points - [10 * scale, 0, 0]) / scale
    sensor = (scan.sensor - [10 * scale, 0, 0]) / scale
    heights = place @ sensor / np.linalg.norm(sensor)
    horizon = 1 / np.linalg.norm(sensor)
    assert heights.min() == pytest.approx(horizon, abs=0.03)
    assert heights.mean() == pytest.approx((1 + horizon) / 2, abs=0.02)


def test_what_another_body_hides_is_not_seen():
    wall, ball = trimesh.creation.box((0.1, 8, 8)), trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    ball.apply_translation([1.0, 0, 0])
    both = trimesh.Trimesh(
        np.concatenate([wall.vertices, ball.vertices]), np.concatenate([wall.faces, ball.faces + len(wall.vertices)])
    )
    scan = next(
        scan
        for scan in (virtual_scan(both, count=2000, views=1, seed=seed) for seed in range(20))
        if scan.sensor is not None and scan.sensor[0] < -5
    )
    assert scan.points[:, 0].max() < 0.06


def test_noise_and_outliers_have_their_size_and_share():
    sphere = trimesh.creation.icosphere(subdivisions=5)
    noisy = virtual_scan(sphere, count=20_000, noise=0.05, seed=1)
    assert (np.linalg.norm(noisy.points, axis=1) - 1).std() == pytest.approx(0.05, rel=0.05)
    cloud = virtual_scan(sphere, count=20_000, outliers=0.25, seed=1)
    off = np.abs(np.linalg.norm(cloud.points, axis=1) - 1) > 0.01
    assert 0.22 < off.mean() <= 0.25


def test_several_views_say_where_each_point_was_seen_from():
    sphere = trimesh.creation.icosphere(subdivisions=4)
    scan = virtual_scan(sphere, count=3000, views=3, seed=1)
    assert scan.sensor is not None
    eyes, counts = np.unique(scan.sensor, axis=0, return_counts=True)
    assert len(eyes) == 3
    assert counts.min() > 300
    ways = scan.sensor / np.linalg.norm(scan.sensor, axis=1, keepdims=True)
    horizon = 1 / np.linalg.norm(scan.sensor, axis=1)
    assert ((scan.points * ways).sum(1) > horizon - 0.05).all()
    turned = scan.transformed(Frame(np.eye(3), 2.0, np.ones(3)))
    assert turned.sensor is not None
    np.testing.assert_allclose(turned.sensor, (scan.sensor - 1) / 2)
    rows = np.array([7, 3, 1000])
    for part in (scan.select(rows), scan.select(np.isin(np.arange(3000), rows)), scan.subsampled(50, seed=2)):
        assert part.sensor is not None
        at = [int(np.flatnonzero((scan.points == point).all(1))[0]) for point in part.points]
        np.testing.assert_array_equal(part.sensor, scan.sensor[at])
    broken = scan.points.copy()
    broken[5] = np.nan
    dropped = Scan(broken, sensor=scan.sensor)
    assert dropped.sensor is not None
    np.testing.assert_array_equal(dropped.sensor, np.delete(scan.sensor, 5, axis=0))
    kept = remove_outliers(
        Scan(np.repeat(scan.points, 2, axis=0), sensor=np.repeat(scan.sensor, 2, axis=0)), 10**6, 0.0, 10
    )
    order = np.lexsort(scan.points.T[::-1])
    assert kept.sensor is not None
    np.testing.assert_array_equal(kept.sensor, scan.sensor[order])
    with pytest.raises(ValueError, match="3 finite numbers, or as many for each of 3000 points"):
        Scan(scan.points, sensor=scan.sensor[:20])


def test_impossible_scans_are_refused():
    box = trimesh.creation.box()
    wrongs: tuple[dict[str, Any], ...] = ({"count": 0}, {"noise": -1.0}, {"outliers": 1.5}, {"views": 0})
    for wrong in wrongs:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            virtual_scan(box, **wrong)


def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Calls of each estimate of a scan's geometry, under every name that the library calls it by."""
    calls: dict[str, int] = {}

    def wrap(module: Any, name: str) -> None:
        function = getattr(module, name)

        def counting(*arguments: Any, **options: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counting)

    for module in (neighbourhoods, normals, scans, winding):
        for name in ("noise_level", "neighbour_distances", "openness", "outward_normals", "KDTree"):
            if hasattr(module, name):
                wrap(module, name)
    return calls


def noisy_sphere(noise: float = 0.02) -> Scan:
    return virtual_scan(trimesh.creation.icosphere(subdivisions=5), count=4000, noise=noise, seed=3)


def test_the_geometry_of_a_scan_is_estimated_once(monkeypatch):
    calls = counted(monkeypatch)
    bare = Scan(noisy_sphere().points, sensor=np.array([0.0, 0.0, 5.0]), name="ball")
    scan = bare.with_normals()
    frame = Frame(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), 2.5, np.array([1.0, 2.0, 3.0]))
    for each in (scan, scan.with_normals(), bare):
        assert each.noise == bare.noise
        assert each.tree is bare.tree
        np.testing.assert_array_equal(each.neighbour_distances, bare.neighbour_distances)
    assert scan.openness == scan.openness
    unit = scan.transformed(frame).with_normals()
    assert (unit.noise, unit.openness) == (scan.noise / 2.5, scan.openness)
    np.testing.assert_array_equal(unit.neighbour_distances, scan.neighbour_distances / 2.5)
    assert calls == {"noise_level": 1, "neighbour_distances": 1, "openness": 1, "outward_normals": 1, "KDTree": 1}
    assert scan.name == "ball"
    assert np.isnan(bare.openness)


def test_what_a_scan_hands_on_is_what_the_other_would_estimate():
    scan = noisy_sphere()
    frame = Frame(np.eye(3), 4.0, np.ones(3))
    assert "noise" not in vars(scan.transformed(frame))
    fresh = scan.transformed(frame)
    assert scan.noise / 4.0 == pytest.approx(fresh.noise)
    assert scan.openness == pytest.approx(fresh.openness, abs=1e-6)
    np.testing.assert_allclose(scan.neighbour_distances / 4.0, fresh.neighbour_distances)
    oriented = Scan(scan.points).with_normals(4).normals
    assert oriented is not None
    np.testing.assert_allclose(oriented, normals.outward_normals(scan.points, seed=4), atol=1e-12)
    half = scan.select(np.arange(2000))
    assert not {"tree", "noise", "openness", "neighbour_distances"} & set(vars(half))
    assert not {"tree", "noise", "openness", "neighbour_distances"} & set(vars(replace(scan, name="other")))


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03])
def test_the_noise_and_openness_of_a_sphere(noise):
    scan = noisy_sphere(noise)
    assert scan.noise == pytest.approx(noise, rel=0.15)
    assert scan.openness < winding.CLOSED
    assert scan.select(scan.points[:, 2] > 0.5).openness > winding.CLOSED
    assert np.isnan(scan.select(np.arange(6)).openness)
    with pytest.raises(ValueError, match="a plane needs 3 points"):
        Scan(scan.points[:2]).with_normals()
