"""Scans as queries: the shape that has to change least comes first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import primitive
from scipy.spatial.transform import Rotation

from latentsdf.frame import Frame
from latentsdf.scan import Scan, virtual_scan
from latentsdf.scan_fit import ScanFitConfig
from latentsdf.scan_search import search_scan
from latentsdf.space import LatentSpace
from latentsdf.store import load


@pytest.mark.parametrize("kind", ["ball", "box", "ring"])
def test_half_a_shape_finds_its_kind(space_path: Path, kind: str) -> None:
    space, mesh = load(space_path), primitive(kind, 1.1)
    scan = virtual_scan(mesh, count=1500, views=1, seed=0)
    config = ScanFitConfig(pose="known")
    found = search_scan(space, scan, 3, config, frame=Frame.around(mesh.vertices))
    assert found[0].name.startswith(f"{kind}/")
    assert len({match.name for match in found}) == 3
    assert [match.distance for match in found] == sorted(match.distance for match in found)


def test_a_turned_scan_finds_its_kind(space_path: Path) -> None:
    space, mesh = load(space_path), primitive("ring", 0.9)
    scan = virtual_scan(mesh, count=1500, seed=0)
    turned = Scan(scan.points @ Rotation.from_rotvec([0.9, 0.5, -0.3]).as_matrix() * 40.0 + 7.0)
    assert search_scan(space, turned, 1, ScanFitConfig(pose="free", rotations=200))[0].name.startswith("ring/")


def test_an_empty_space_has_no_match(space_path: Path) -> None:
    empty = LatentSpace(load(space_path).decoder)
    assert search_scan(empty, Scan(np.random.default_rng(0).normal(size=(100, 3)))) == []


def test_no_match_asked_for_is_an_error(space_path: Path) -> None:
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        search_scan(load(space_path), virtual_scan(primitive("ball", 1.0), count=100), 0)
