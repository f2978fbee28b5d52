"""Solids against hand-computed distances, the Lipschitz and gradient laws, and every family's promises."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
import trimesh
from torch import Tensor

from latentsdf import primitives as p
from latentsdf.core.field import SDF, Jet
from latentsdf.dataset.synthetic import write_families
from latentsdf.primitives import FAMILIES, Family, Parameter

STAR = [(1.0, 0.0), (0.3, 0.3), (0.0, 1.0), (-0.3, 0.3), (-1.0, 0.0), (0.0, -0.6)]
PROFILE = [(0.0, -0.7), (0.5, -0.6), (0.3, 0.0), (0.6, 0.5), (0.4, 0.5), (0.1, 0.1), (0.0, 0.1)]

EXACT: dict[str, SDF] = {
    "sphere": p.sphere(0.7),
    "half_space": p.half_space((1.0, 2.0, -2.0), 0.2),
    "box": p.box((0.5, 0.3, 0.7)),
    "rounded_box": p.box((0.5, 0.3, 0.7), 0.1),
    "cylinder": p.cylinder(0.4, 0.6),
    "rod": p.rod((-0.5, 0.1, 0.0), (0.4, 0.3, 0.6), 0.2),
    "capsule": p.capsule((-0.5, 0.0, 0.0), (0.4, 0.3, 0.6), 0.2),
    "torus": p.torus(0.6, 0.2),
    "cone": p.frustum(0.7, 0.0, 0.5),
    "frustum": p.frustum(0.3, 0.6, 0.5),
    "extruded": p.extruded(STAR, 0.3),
    "revolved": p.revolved(PROFILE),
}
BOUNDS: dict[str, SDF] = {
    "ellipsoid": p.ellipsoid((0.8, 0.5, 0.3)),
    "tube": p.tube([(-0.6, 0.0, 0.0), (0.0, 0.5, 0.0), (0.6, 0.0, 0.3)], 0.15),
    "union": p.union(p.sphere(0.5), p.box((0.7, 0.2, 0.2))),
    "intersection": p.intersection(p.sphere(0.5), p.box((0.7, 0.2, 0.2))),
    "difference": p.difference(p.sphere(0.5), p.box((0.7, 0.2, 0.2)), p.cylinder(0.1, 1.0)),
    "smooth_union": p.smooth_union(p.sphere(0.5), p.box((0.7, 0.2, 0.2)), 0.2),
    "offset": p.offset(p.box((0.5, 0.3, 0.2)), 0.1),
    "shell": p.shell(p.torus(0.6, 0.2), 0.1),
    "moved": p.rotate(p.translate(p.scale(p.box((1.0, 0.4, 0.2)), 0.5), (0.2, 0.0, 0.1)), (1.0, 1.0, 0.0), 0.8),
    "mirror": p.mirror(p.translate(p.sphere(0.4), (0.2, 0.0, 0.0)), 0),
    "radial_repeat": p.radial_repeat(p.translate(p.box((0.2, 0.4, 0.2)), (0.6, 0.1, 0.0)), 5),
}


def cube_points(count: int, seed: int = 0, half_width: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, 3, generator=generator, dtype=torch.float64) * 2 - 1) * half_width


@pytest.mark.parametrize(
    ("sdf", "point", "distance"),
    [
        (p.sphere(0.7), (1.0, 0.0, 0.0), 0.3),
        (p.sphere(0.7), (0.0, 0.0, 0.0), -0.7),
        (p.half_space((0.0, 0.0, 2.0), 0.5), (3.0, 4.0, 1.5), 1.0),
        (p.box((1.0, 2.0, 3.0)), (4.0, 6.0, 3.0), 5.0),
        (p.box((1.0, 2.0, 3.0)), (0.5, 0.0, 0.0), -0.5),
        (p.box((1.0, 1.0, 1.0), 0.2), (1.0, 1.0, 0.0), 0.2 * (math.sqrt(2) - 1)),
        (p.cylinder(1.0, 2.0), (4.0, 0.0, 6.0), 5.0),
        (p.cylinder(1.0, 2.0), (0.0, 0.25, 0.0), -0.75),
        (p.rod((0.0, 0.0, 0.0), (0.0, 2.0, 0.0), 0.5), (0.0, 3.0, 0.2), 1.0),
        (p.rod((0.0, 0.0, 0.0), (0.0, 2.0, 0.0), 0.5), (0.0, 1.0, 0.0), -0.5),
        (p.capsule((0.0, 0.0, 0.0), (0.0, 2.0, 0.0), 0.5), (0.0, 5.0, 4.0), 4.5),
        (p.torus(1.0, 0.25), (0.0, 0.0, 0.0), 0.75),
        (p.torus(1.0, 0.25), (0.0, 1.0, 0.0), -0.25),
        (p.frustum(1.0, 0.0, 0.5), (1.0, 0.0, 0.5), math.sqrt(0.5)),
        (p.frustum(1.0, 0.0, 0.5), (0.0, 0.0, 1.5), 1.0),
        (p.frustum(1.0, 1.0, 0.5), (0.0, 0.0, 0.0), -0.5),
        (p.ellipsoid((0.5, 0.5, 0.5)), (2.0, 0.0, 0.0), 1.5),
        (
            p.tube([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 0.0)], 0.1),
            (2.0, 2.0, 0.0),
            math.sqrt(2) - 0.1,
        ),
        (p.extruded([(0, 0), (0, 2), (2, 2), (2, 0)], 1.0), (1.0, 1.5, 0.0), -0.5),
        (p.extruded([(0, 0), (2, 0), (1, 1), (2, 2), (0, 2)], 1.0), (2.0, 1.0, 0.0), math.sqrt(0.5)),
        (p.revolved([(1, 0), (2, 0), (2, 1), (1, 1)]), (0.0, 0.0, 0.5), 1.0),
        (p.revolved([(0, 0), (2, 0), (0, 2)]), (0.0, 0.0, 0.5), -0.5),
        (p.shell(p.sphere(0.5), 0.2), (0.0, 0.0, 0.5), -0.1),
        (p.translate(p.sphere(0.5), (1.0, 0.0, 0.0)), (1.0, 0.0, 2.0), 1.5),
        (
            p.rotate(p.translate(p.sphere(0.5), (1.0, 0.0, 0.0)), (0.0, 0.0, 1.0), math.pi / 2),
            (0.0, 1.0, 0.0),
            -0.5,
        ),
        (p.scale(p.sphere(0.5), 3.0), (0.0, 2.0, 0.0), 0.5),
        (p.mirror(p.translate(p.sphere(0.5), (1.0, 0.0, 0.0)), 0), (-2.0, 0.0, 0.0), 0.5),
        (p.radial_repeat(p.translate(p.sphere(0.5), (2.0, 0.0, 0.0)), 4), (0.0, -3.0, 0.0), 0.5),
        (p.smooth_union(p.half_space((1, 0, 0)), p.half_space((0, 1, 0)), 0.4), (0.0, 0.0, 0.0), -0.1),
    ],
)
def test_known_distances(sdf: SDF, point: tuple[float, float, float], distance: float):
    value = sdf(torch.tensor([point], dtype=torch.float64))
    assert value.shape == (1,)
    assert value.item() == pytest.approx(distance, abs=1e-12)


@pytest.mark.parametrize("name", EXACT | BOUNDS)
def test_one_lipschitz_negative_inside_and_dtype_kept(name: str):
    sdf = (EXACT | BOUNDS)[name]
    far, near = cube_points(4000), cube_points(4000, seed=1)
    near_pairs = far + 1e-3 * near
    for a, b in ((far, near), (far, near_pairs)):
        assert ((sdf(a) - sdf(b)).abs() <= (a - b).norm(dim=-1) * (1 + 1e-9) + 1e-12).all()
    value = sdf(far)
    assert (value < 0).any()
    assert (value > 0).any()
    assert sdf(far.float()).dtype == torch.float32
    torch.testing.assert_close(sdf(far.float()).double(), value, atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", EXACT)
def test_exact_solids_have_unit_gradient_and_feet_on_the_surface(name: str):
    jet = Jet(EXACT[name], cube_points(2000))
    norms = jet.gradient.norm(dim=-1)
    assert (norms - 1).abs().max() < 1e-9
    # The foot of an exact field lies on its surface, and the gradient there still is the normal.
    assert EXACT[name](jet.project().detach()).abs().max() < 1e-9
    assert jet.hessian.isfinite().all()


def test_polygon_solids_keep_their_normal_on_the_surface_itself():
    points = torch.tensor([[0.5, 0.1, 0.0], [0.1, 0.5, 0.0]], dtype=torch.float64)
    box = p.extruded([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)], 0.4)
    assert Jet(box, points).gradient.tolist() == [[1, 0, 0], [0, 1, 0]]


def test_polygons_agree_with_the_closed_forms():
    points = cube_points(3000)
    square = [(-0.5, -0.3), (0.5, -0.3), (0.5, 0.3), (-0.5, 0.3)]
    torch.testing.assert_close(p.extruded(square, 0.7)(points), p.box((0.5, 0.3, 0.7))(points))
    torch.testing.assert_close(p.extruded(square[::-1], 0.7)(points), p.box((0.5, 0.3, 0.7))(points))
    torch.testing.assert_close(p.frustum(0.4, 0.4, 0.6)(points), p.cylinder(0.4, 0.6)(points))


def test_derivatives_are_finite_at_singular_points():
    origin = torch.zeros(1, 3, dtype=torch.float64)
    for sdf in (EXACT | BOUNDS).values():
        jet = Jet(sdf, origin)
        assert jet.gradient.isfinite().all()
        assert jet.hessian.isfinite().all()


def test_csg_identities():
    points = cube_points(3000)
    a, b = EXACT["torus"], EXACT["box"]

    def same(left: SDF, right: SDF) -> None:
        torch.testing.assert_close(left(points), right(points))

    same(p.complement(p.union(a, b)), p.intersection(p.complement(a), p.complement(b)))
    same(p.difference(a, b), p.intersection(a, p.complement(b)))
    same(p.union(a, b), p.union(b, a))
    same(p.union(a, p.intersection(a, b)), a)
    same(p.rotate(p.rotate(b, (1, 2, 3), 0.4), (1, 2, 3), -0.4), b)
    same(p.translate(p.scale(b, 2.0), (2.0, 0.0, 0.0)), p.scale(p.translate(b, (1.0, 0.0, 0.0)), 2.0))
    same(p.mirror(b, 1), b)
    same(p.radial_repeat(a, 7), a)
    assert (p.smooth_union(a, b, 0.2)(points) <= p.union(a, b)(points)).all()
    apart = (a(points) - b(points)).abs() > 0.2
    same_there = p.smooth_union(a, b, 0.2)(points)[apart] == p.union(a, b)(points)[apart]
    assert same_there.all()


def test_radial_repeat_is_the_union_of_turned_copies():
    one = p.translate(p.box((0.1, 0.15, 0.2)), (0.6, 0.0, 0.0))
    copies = p.union(*(p.rotate(one, (0, 0, 1), k * math.tau / 6) for k in range(6)))
    points = cube_points(3000)
    outside = copies(points) > 0
    torch.testing.assert_close(p.radial_repeat(one, 6)(points)[outside], copies(points)[outside])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: p.sphere(0.0), "radius must be a positive"),
        (lambda: p.box((1.0, 1.0, 1.0), 2.0), "rounding must lie in"),
        (lambda: p.torus(0.1, 0.2), "minor <= major"),
        (lambda: p.half_space((0.0, 0.0, 0.0)), "non-zero normal"),
        (lambda: p.capsule((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.1), "segment must be a positive"),
        (lambda: p.extruded([(0, 0), (1, 0)], 1.0), "K >= 3"),
        (lambda: p.extruded([(0, 0), (1, 0), (1, 0), (0, 1)], 1.0), "two equal corners"),
        (lambda: p.revolved([(-1, 0), (1, 0), (1, 1)]), "radii >= 0"),
        (lambda: p.union(), "at least one shape"),
        (lambda: p.scale(p.sphere(1.0), -1.0), "must be positive"),
        (lambda: p.mirror(p.sphere(1.0), 3), "0, 1 or 2"),
        (lambda: Parameter("x", 1.0, 1.0), "low < high"),
    ],
)
def test_senseless_arguments_are_refused(make, words: str):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_family_members_fill_the_unit_sphere(name: str):
    family = FAMILIES[name]
    corners = [{q.name: q.low for q in family.parameters}, {q.name: q.high for q in family.parameters}]
    ticks = torch.linspace(-1, 1, 33)
    lattice = torch.cartesian_prod(ticks, ticks, ticks)
    radius = lattice.norm(dim=-1)
    for values in [family.sample(seed) for seed in range(10)] + corners:
        with torch.no_grad():
            value = family.sdf(values)(lattice)
        inside = value < 0
        assert inside.sum() > 100
        assert radius[inside].max() > 0.8
        # The field is 1-Lipschitz and zero somewhere within radius 0.97, hence:
        assert (value[radius > 0.971] > 0).all()
        assert (value <= radius + 0.97).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_one_lipschitz_and_follow_their_parameters(name: str):
    family = FAMILIES[name]
    points, other = cube_points(1000), cube_points(1000, seed=1)
    middle = family.sdf(family.middle())
    for b in (other, points + 1e-3 * other):
        with torch.no_grad():
            assert ((middle(points) - middle(b)).abs() <= (points - b).norm(dim=-1) * (1 + 1e-9) + 1e-9).all()
    for parameter in family.parameters:
        values = family.middle()
        values[parameter.name] = parameter.high
        assert (family.sdf(values)(points) - middle(points)).abs().max() > 1e-3, parameter.name


def test_samples_depend_on_the_seed_alone():
    chair = FAMILIES["chair"]
    assert chair.sample(3) == chair.sample(3)
    assert chair.sample(3) != chair.sample(4)
    assert chair.sample((3, 0)) != chair.sample((3, 1))
    assert set(chair.sample(0)) == {parameter.name for parameter in chair.parameters}
    first = [next(iter(family.sample(0).values())) for family in FAMILIES.values()]
    assert len(set(first)) == len(first)


def test_parameters_are_validated():
    chair = FAMILIES["chair"]
    values = chair.middle()
    with pytest.raises(ValueError, match="did you mean 'width'"):
        chair.sdf({**values, "widht": 1.0})
    with pytest.raises(ValueError, match=r"chair parameter width must lie in \[0.75, 1.15\], got 9"):
        chair.sdf({**values, "width": 9.0})
    with pytest.raises(ValueError, match="got nan"):
        chair.sdf({**values, "width": math.nan})
    del values["width"]
    with pytest.raises(ValueError, match="misses parameter 'width'"):
        chair.sdf(values)


def test_families_are_frozen_and_many():
    assert len(FAMILIES) >= 10
    assert list(FAMILIES) == sorted(FAMILIES)
    assert all(isinstance(family, Family) and family.name == name for name, family in FAMILIES.items())
    with pytest.raises(dataclasses.FrozenInstanceError):
        FAMILIES["mug"].name = "cup"  # pyright: ignore


def test_collection_is_watertight_and_reproducible(tmp_path: Path):
    seen: list[tuple[str, int, int]] = []
    paths = write_families(tmp_path / "two", 2, 5, 40, lambda *row: seen.append(row), families=["mug", "chair"])
    assert [path.relative_to(tmp_path / "two").as_posix() for path in paths] == [
        "chair/000.ply",
        "chair/001.ply",
        "mug/000.ply",
        "mug/001.ply",
    ]
    assert seen[-1] == ("mug/001", 4, 4)
    meshes = [trimesh.load_mesh(path) for path in paths]
    assert all(mesh.is_watertight and mesh.volume > 0 for mesh in meshes)
    assert all((abs(mesh.vertices) < 1).all() for mesh in meshes)
    record = json.loads((tmp_path / "two" / "parameters.json").read_text(encoding="utf-8"))
    assert record["shapes"]["mug/001"] == FAMILIES["mug"].sample((5, 1))
    (again,) = write_families(tmp_path / "one", 1, 5, 40, families=["mug"])
    assert again.read_bytes() == paths[2].read_bytes()
    with pytest.raises(ValueError, match="no family named 'cup'"):
        write_families(tmp_path, 1, families=["cup"])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        write_families(tmp_path, 0)
