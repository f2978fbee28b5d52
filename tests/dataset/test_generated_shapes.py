"""Recipes that draw shapes from tables of ranges: closed, 2,000 to 12,000 faces, reproducible, as thick as stated."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("manifold3d")
pytest.importorskip("fast_simplification")

RECIPES = Path(__file__).parents[2] / "datasets"
KINDS = {
    "trees": 6,
    "wires": 8,
    "sheets": 10,
    "solids": 8,
    "vessels": 11,
}


@pytest.fixture(autouse=True)
def recipes_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(RECIPES))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(RECIPES)):
            del sys.modules[name]


def recipe(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_closed_and_in_the_unit_frame(name: str) -> None:
    module, is_closed = recipe(name), recipe("common").is_closed
    assert len(module.KINDS) == KINDS[name]
    for kind in module.KINDS:
        mesh = module.make(kind, 3, 0)
        assert is_closed(mesh), kind
        assert 2000 <= len(mesh.faces) <= 12000, kind
        assert np.linalg.norm(mesh.vertices, axis=1).max() == pytest.approx(0.95, abs=0.01), kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("trees", "biped"),
        ("wires", "spring"),
        ("sheets", "plate"),
        ("sheets", "box"),
        ("solids", "gear"),
        ("vessels", "cup"),
        pytest.param("vessels", "relief_quadric", marks=pytest.mark.slow),
    ],
)
def test_a_shape_depends_on_kind_seed_and_index_alone(name: str, kind: str) -> None:
    make = recipe(name).make
    first, again = make(kind, 0, 1), make(kind, 0, 1)
    np.testing.assert_array_equal(first.vertices, again.vertices)
    np.testing.assert_array_equal(first.faces, again.faces)
    for other in (make(kind, 1, 1), make(kind, 0, 2)):
        assert len(other.vertices) != len(first.vertices) or not np.allclose(other.vertices, first.vertices)


def test_rods_have_radii_within_the_stated_limits() -> None:
    wires = recipe("wires")
    for index in range(3):
        for kind in ("spring", "chain", "spectacles"):
            mesh = wires.make(kind, 5, index)
            radius = 2 * mesh.volume / mesh.area
            assert 0.8 * wires.THINNEST < radius < 1.2 * wires.THICKEST, (kind, index)


def test_sheets_are_as_thick_as_stated() -> None:
    sheets = recipe("sheets")
    for index in range(2):
        for kind in sheets.KINDS:
            mesh = sheets.make(kind, 5, index)
            # a sheet of area A has volume A t and surface 2 A and a border; the size is 2
            share = mesh.volume / mesh.area
            assert 0.5 * sheets.THINNEST < share < 1.2 * sheets.THICKEST, (kind, index)


def test_a_thickened_disc_and_a_swept_ring_have_the_known_volumes() -> None:
    grids = recipe("grid_meshes")
    angle = 2 * np.pi * np.arange(64) / 64
    circle = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
    disc = grids.sheet(np.linspace(0, 1, 9)[:, None, None] * circle, 0.05, around=True, pole=True)
    assert disc.is_watertight
    assert disc.volume == pytest.approx(0.05 * 32 * np.sin(2 * np.pi / 64), rel=1e-3)
    ring = grids.swept(circle, 0.1, 12, closed=True)
    assert ring.is_watertight
    assert ring.euler_number == 0
    assert ring.volume == pytest.approx(2 * np.pi**2 * 0.01, rel=0.01)


def test_a_table_of_ranges_gives_values_of_each_kind() -> None:
    draw = recipe("draw")
    u = draw.Draw(np.random.default_rng(0))
    for _ in range(20):
        k = u.sample({"count": (2, 4), "size": (0.5, 1.0), "style": ("a", "b"), "often": 1.0})
        assert k.count in (2, 3, 4)
        assert 0.5 <= k.size <= 1.0
        assert k.style in ("a", "b")
        assert k.often is True
