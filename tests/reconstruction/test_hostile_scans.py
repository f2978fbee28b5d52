"""Scans as they come, in odd units and places, broken, degenerate: a good mesh comes out, or a line that says why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from conftest import primitive
from scipy.spatial import KDTree

from latentsdf.cli import main

RING = np.asarray(primitive("ring", 1.0).sample(1500, seed=0), dtype=np.float64)
RANDOM = np.random.default_rng(0)
STRANGE = {
    "millimetres, far from the origin": RING * 1000.0 + [1e5, 0.0, 0.0],
    "tiny": RING * 1e-9,
    "huge": RING * 1e12,
    "a third of the rows broken": np.where(np.arange(1500)[:, None] % 3 == 0, np.nan, RING),
    "one stray a million units away": np.concatenate([RING, [[1e6, 0.0, 0.0]]]),
    "every point eight times": np.repeat(RING, 8, axis=0),
}
"""Scans of a ring that have to come back as one."""
REFUSED = {
    "one point repeated": (np.repeat(RING[:1], 500, axis=0), "distinct points"),
    "three points": (RING[:3], "distinct points"),
    "nothing finite": (np.full((20, 3), np.inf), "finite"),
    "no points": (np.empty((0, 3)), "empty"),
}
"""Scans that say nothing about a solid, and what is said of them."""
POOR = {
    "a line": np.outer(np.linspace(0.0, 1.0, 300), [1.0, 2.0, 3.0]),
    "a plane": np.concatenate([RANDOM.uniform(size=(1000, 2)), np.zeros((1000, 1))], 1),
    "twelve points": RING[:12],
    "noise": RANDOM.uniform(-1.0, 1.0, (1500, 3)),
    "two far apart": np.concatenate([RING, RING + [100.0, 0.0, 0.0]]),
    "a corner": RING[RING[:, 0] > 0.9],
}
"""Scans of which a mesh is made as well as can be, or which are refused."""


def reconstructed(space: Path, points: np.ndarray, folder: Path, *more: object) -> int:
    np.save(folder / "scan.npy", points)
    options = ("--space", space, "-o", folder / "out.ply", "--resolution", 32, "--quiet", *more)
    try:
        return main([str(part) for part in ("reconstruct", folder / "scan.npy", *options)])
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", STRANGE)
def test_a_ring_comes_back_in_its_own_units(name: str, space_path: Path, tmp_path: Path) -> None:
    points = STRANGE[name]
    assert reconstructed(space_path, points, tmp_path) == 0
    made = trimesh.load(tmp_path / "out.ply", process=False)
    assert isinstance(made, trimesh.Trimesh)
    assert made.is_watertight
    good = points[np.isfinite(points).all(1)][:1000]
    size = float(np.linalg.norm(np.ptp(good, axis=0)))
    assert np.quantile(np.abs(KDTree(made.sample(20_000, seed=0)).query(good)[0]), 0.9) < 0.03 * size
    assert np.linalg.norm(np.ptp(made.vertices, axis=0)) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_scan_is_refused_in_a_line(
    name: str, space_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points, reason = REFUSED[name]
    assert reconstructed(space_path, points, tmp_path) == 2
    found = capsys.readouterr().err
    assert found.count("\n") == 1
    assert reason in found
    assert not (tmp_path / "out.ply").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "more"),
    [
        *((name, ()) for name in POOR),
        *((name, more) for name in list(POOR)[:3] for more in (("--sensor", 3, 0.5, 0.5), ("--pose", "free"))),
    ],
)
def test_a_poor_scan_gives_a_solid_or_a_reason(
    name: str, more: tuple, space_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if reconstructed(space_path, POOR[name], tmp_path, *more):
        assert capsys.readouterr().err.count("\n") == 1
        assert not (tmp_path / "out.ply").exists()
        return
    made = trimesh.load(tmp_path / "out.ply", process=False)
    assert isinstance(made, trimesh.Trimesh)
    assert made.is_watertight
    assert np.isfinite(made.vertices).all()
