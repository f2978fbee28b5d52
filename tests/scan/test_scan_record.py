"""Records of scans beside those of the surfaces that were scanned."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from latentsdf.mesh.record import record_distances, record_of_mesh, record_of_points
from latentsdf.mesh.search_record import search_record, unit_views
from latentsdf.mesh.view_records import leading_numbers
from latentsdf.scan.scan import Scan
from latentsdf.scan.scan_record import record_of_scan
from latentsdf.scan.virtual import virtual_scan

RING = trimesh.creation.torus(0.6, 0.2, major_sections=96, minor_sections=48)
OTHERS = (trimesh.creation.box((1.0, 0.8, 0.2)), trimesh.creation.capsule(1.0, 0.2), trimesh.creation.icosphere(3))


def bare(scan: Scan) -> Scan:
    return replace(scan, normals=None)


def test_a_noisy_scan_in_any_pose_is_nearest_to_its_surface() -> None:
    scan = bare(virtual_scan(RING, count=3000, noise=0.01, seed=1))
    moved = Scan(3 * scan.points @ Rotation.from_euler("xyz", [1, 2, 3]).as_matrix().T + 5)
    distances = record_distances(record_of_scan(moved), [record_of_mesh(mesh) for mesh in (RING, *OTHERS)])[0]
    assert distances.argmin() == 0
    assert distances[0] < 0.7 * distances[1:].min()


def test_the_correction_brings_noisy_records_closer() -> None:
    before, after = [], []
    for seed, mesh in enumerate((RING, *OTHERS)):
        scan = bare(virtual_scan(mesh, count=4000, noise=0.01, seed=seed)).with_normals()
        assert scan.normals is not None
        truth = record_of_mesh(mesh)
        before.append(record_distances(record_of_points(scan.points, scan.normals), truth)[0, 0])
        after.append(record_distances(record_of_scan(bare(scan)), truth)[0, 0])
    assert np.mean(after) < 0.9 * np.mean(before)


def test_one_view_is_nearest_to_the_views_of_its_surface() -> None:
    views = [unit_views(search_record(mesh)) for mesh in (RING, *OTHERS)]
    for seed in range(3):
        scan = bare(virtual_scan(RING, count=3000, views=1, noise=0.002, seed=seed))
        query = leading_numbers(record_of_scan(scan))
        cosines = [(view @ query).max() for view in views]
        assert np.argmax(cosines) == 0
        assert cosines[0] > 0.8


def test_density_does_not_count() -> None:
    scan = virtual_scan(RING, count=9000, seed=2)
    thinned = scan.select((scan.points[:, 0] < 0) | (np.arange(len(scan)) % 6 == 0))
    even, uneven = record_of_scan(scan), record_of_scan(thinned)
    assert thinned.normals is not None
    plain = record_of_points(thinned.points, thinned.normals)
    assert record_distances(even, uneven)[0, 0] < 0.7 * record_distances(even, plain)[0, 0]


def test_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="12 distinct points are too few"):
        record_of_scan(Scan(np.random.default_rng(0).normal(size=(12, 3))))
