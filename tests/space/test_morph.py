"""Morphs of shapes with known surfaces: ends, volume, thin parts that lie apart, pieces, frames."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import random_linear
from torch import Tensor

from latentsdf.core.field import SDF, evaluate
from latentsdf.core.frame import Frame
from latentsdf.core.lattice import lattice_vertices
from latentsdf.space.morph import Morph, MorphConfig, level_of_volume, sample_field
from latentsdf.space.morph_field import blend
from latentsdf.space.pieces import count_pieces, repair_pieces
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import save
from latentsdf.space.velocity import exponential, read_lattice, register_fields, signed_distances

TIMES = (0.125, 0.375, 0.5, 0.625, 0.875)


@dataclass(frozen=True)
class Analytic:
    """An analytic field in place of a decoded one."""

    field: SDF

    def on(self, prior: SDF) -> SDF:
        """The field."""
        del prior
        return self.field


def capsule(start: tuple[float, float, float], end: tuple[float, float, float], radius: float) -> SDF:
    def distance(points: Tensor) -> Tensor:
        origin, along = points.new_tensor(start), points.new_tensor(end) - points.new_tensor(start)
        share = ((points - origin) @ along / along.square().sum()).clamp(0.0, 1.0)
        return (points - origin - share[:, None] * along).norm(dim=-1) - radius

    return distance


def ball(radius: float, x: float = 0.0) -> SDF:
    return lambda points: (points - points.new_tensor([x, 0.0, 0.0])).norm(dim=-1) - radius


def shape(name: str, field: SDF, value: float, frame: Frame | None = None) -> Shape:
    decoder = random_linear(4, 5)
    return Shape(name, torch.full((4,), value), frame or Frame.identity(), decoder, correction=Analytic(field))  # type: ignore[arg-type]


def morph(a: SDF, b: SDF, config: MorphConfig | None = None) -> Morph:
    return Morph(shape("a", a, 0.0), shape("b", b, 1.0), config or MorphConfig(resolution=49))


def samples(field: SDF, resolution: int = 49) -> Tensor:
    return evaluate(field, lattice_vertices(resolution)).view((resolution,) * 3)


def test_the_ends_are_the_shapes_themselves() -> None:
    path = morph(ball(0.5), ball(0.3, 0.2))
    for t, end in ((0.0, path.a), (1.0, path.b)):
        found = path.at(t)
        assert found.correction is end.correction
        assert torch.equal(found.code, end.code)


def test_near_its_ends_a_morph_is_near_them() -> None:
    path = morph(ball(0.5), ball(0.3, 0.2))
    points = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator().manual_seed(0)))
    assert evaluate(path.at(1e-3).sdf, 0.5 * points).abs().max() < 0.005
    assert evaluate(path.at(1 - 1e-3).sdf, 0.3 * points + torch.tensor([0.2, 0.0, 0.0])).abs().max() < 0.005


def test_the_volume_goes_geometrically_and_monotonically() -> None:
    path = morph(ball(0.3), ball(0.6))
    volumes = [float(path.at(t).mesh(48).volume) for t in (0.0, *TIMES, 1.0)]
    assert all(first < second for first, second in pairwise(volumes))
    for t, volume in zip(TIMES, volumes[1:-1], strict=True):
        assert volume == pytest.approx(4 / 3 * np.pi * (0.3 ** (1 - t) * 0.6**t) ** 3, rel=0.1)


def test_thin_bars_that_lie_apart_move_and_do_not_vanish() -> None:
    a, b = capsule((-0.6, -0.2, 0.0), (0.6, -0.2, 0.0), 0.05), capsule((-0.6, 0.2, 0.0), (0.6, 0.2, 0.0), 0.05)
    path = morph(a, b)
    smaller = min(int((samples(end) < 0).sum()) for end in (a, b))
    for t in TIMES:
        surface = path.at(t).mesh(64)
        assert surface.body_count == 1
        assert surface.is_watertight
        assert surface.vertices[:, 1].mean() == pytest.approx(-0.2 + 0.4 * t, abs=0.06)
        assert int((samples(path.at(t).sdf) < 0).sum()) > 0.8 * smaller


def test_fields_mixed_in_place_lose_them() -> None:
    a, b = capsule((-0.6, -0.2, 0.0), (0.6, -0.2, 0.0), 0.05), capsule((-0.6, 0.2, 0.0), (0.6, 0.2, 0.0), 0.05)
    plain = morph(a, b, MorphConfig(warp=False, sharpness=0, keep_volume=False, join=False, resolution=49))
    with pytest.raises(ValueError, match="positive everywhere"):
        plain.at(0.5).mesh(48)


def test_a_morph_is_the_same_every_time() -> None:
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    first, second = (morph(ball(0.5), capsule((-0.5, 0, 0), (0.5, 0, 0), 0.2)).at(0.4) for _ in range(2))
    assert torch.equal(evaluate(first.sdf, points), evaluate(second.sdf, points))


def test_a_field_of_a_morph_has_first_derivatives_alone() -> None:
    between = morph(ball(0.5), ball(0.4)).at(0.5)
    assert between.mode == "morph"
    points = torch.tensor([[0.45, 0.0, 0.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(between.sdf(points).sum(), points)
    torch.testing.assert_close(slope, torch.tensor([[1.0, 0.0, 0.0]]), atol=0.1, rtol=0.0)
    with pytest.raises(ValueError, match="morph of 'a~b@0.50' has no second derivatives"):
        _ = between.smooth_sdf


def test_frames_and_codes_are_interpolated() -> None:
    a = shape("a", ball(0.5), 0.0, Frame(np.eye(3), 2.0, np.zeros(3)))
    b = shape("b", ball(0.5), 1.0, Frame(np.eye(3), 8.0, np.ones(3)))
    found = LatentSpace(a.decoder, [a, b]).interpolate("a", "b", 0.5)
    assert found.frame.scale == pytest.approx(4.0)
    torch.testing.assert_close(found.code, torch.full((4,), 0.5))
    np.testing.assert_allclose(found.mesh(32).bounds.mean(0), 0.5, atol=0.05)


def test_a_space_keeps_the_work_on_the_ends_for_further_steps() -> None:
    a, b = shape("a", ball(0.5), 0.0), shape("b", ball(0.4), 1.0)
    space = LatentSpace(a.decoder, [a, b])
    found = [space.interpolate("a", "b", t).correction for t in (0.3, 0.6)]
    assert found[0].ends[0] is found[1].ends[0]  # type: ignore[union-attr]
    replaced = shape("b", ball(0.2), 1.0)
    space.add(replaced, replace=True)
    assert space.interpolate("a", "b", 1.0).correction is replaced.correction


def test_beyond_the_ends_and_without_a_volume_codes_are_mixed_alone() -> None:
    path = morph(ball(0.5), ball(0.4))
    assert path.at(1.5).correction is None
    torch.testing.assert_close(path.at(1.5).code, torch.full((4,), 1.5))
    nothing = morph(ball(0.5), lambda points: points.norm(dim=-1) + 1.0)
    assert nothing.at(0.5).correction is None


def test_a_morph_is_not_stored_but_its_code_is(tmp_path: Path) -> None:
    between = morph(ball(0.5), ball(0.4)).at(0.5)
    space = LatentSpace(between.decoder, [between])
    with pytest.raises(ValueError, match="encode its mesh, or store without_correction"):
        save(space, tmp_path / "space.h5")
    save(LatentSpace(between.decoder, [between.without_correction()]), tmp_path / "space.h5")


@pytest.mark.parametrize("values", [{"sharpness": -1.0}, {"resolution": 48}, {"resolution": 5}])
def test_impossible_settings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="of a morph must be"):
        MorphConfig(**values)  # type: ignore[arg-type]


def test_exponentials_of_opposite_velocities_are_inverse() -> None:
    grid = lattice_vertices(17, dtype=torch.float64)
    bump = torch.exp(-4.0 * grid.square().sum(1))
    velocity = torch.stack([0.3 * bump, 0.2 * bump * grid[:, 0], 0.0 * bump]).view(3, 17, 17, 17)
    moved = grid + exponential(velocity).flatten(1).T
    back = moved + read_lattice(exponential(velocity, -1.0), moved).T
    assert float((back - grid).norm(dim=1).max()) < 0.02
    half = grid + exponential(velocity, 0.5).flatten(1).T
    twice = half + read_lattice(exponential(velocity, 0.5), half).T
    assert float((twice - moved).norm(dim=1).max()) < 0.02


def test_registration_moves_one_surface_onto_another() -> None:
    a, b = (
        samples(capsule((-0.4, -0.3, 0.1), (0.5, -0.3, 0.1), 0.08)),
        samples(capsule((-0.5, 0.1, 0.0), (0.4, 0.2, 0.0), 0.12)),
    )
    grid = lattice_vertices(49)
    moved = grid + read_lattice(exponential(register_fields(a, b), -1.0), grid).T
    found = read_lattice(a[None], moved)[0] < 0
    both = (found & (b.flatten() < 0)).sum() / (found | (b.flatten() < 0)).sum()
    assert not ((a < 0) & (b < 0)).any()
    assert float(both) > 0.8


def test_distances_come_from_the_sign_of_a_truncated_field() -> None:
    truth = samples(ball(0.5))
    found = signed_distances(truth.clamp(-0.05, 0.05) * 3.0)
    assert float((found - truth).abs().max()) < 0.1
    assert torch.equal(found < 0, truth < 0)


def test_blends_keep_their_ends_and_their_limit() -> None:
    a, b = torch.linspace(-0.1, 0.1, 9), torch.linspace(0.12, -0.12, 9)
    for sharpness in (0.0, 40.0):
        torch.testing.assert_close(blend(a, b, 0.0, sharpness), a)
        torch.testing.assert_close(blend(a, b, 1.0, sharpness), b)
    torch.testing.assert_close(blend(a, b, 0.3, 1e-3), 0.7 * a + 0.3 * b, atol=1e-4, rtol=0.0)
    assert bool((blend(a, b, 0.5, 1e4) <= torch.minimum(a, b) + 1e-3).all())


def test_the_level_of_a_volume() -> None:
    values = samples(ball(0.5)).flatten()
    level = level_of_volume(values, float((values < 0.05).sum()))
    assert level == pytest.approx(0.05, abs=0.01)


def test_samples_of_a_field_are_exact_near_its_surface() -> None:
    field = capsule((-0.4, 0.0, 0.0), (0.5, 0.3, 0.0), 0.1)
    found, truth = sample_field(field, 49, torch.zeros(1)), samples(field)
    near = truth.abs() < 0.1
    torch.testing.assert_close(found[near], truth[near])
    assert float((found - truth).abs().max()) < 0.06


def two_balls_and_a_crumb(points: Tensor) -> Tensor:
    left, right = ball(0.25, -0.4)(points), ball(0.25, 0.4)(points)
    crumb = (points - points.new_tensor([0.0, 0.8, 0.0])).norm(dim=-1) - 0.05
    return torch.minimum(torch.minimum(left, right), crumb)


@pytest.mark.parametrize("most", [1, 2])
def test_pieces_are_joined_and_crumbs_left_out(most: int) -> None:
    values = samples(two_balls_and_a_crumb)
    assert count_pieces(values, 0.0) == 3
    repair = repair_pieces(values, most, share=0.01)
    repaired = repair(values.flatten(), lattice_vertices(49)).view_as(values)
    assert count_pieces(repaired, 0.0) == most
    near = torch.minimum(*(samples(ball(0.25, x)) for x in (-0.4, 0.4))).abs() < 0.02
    assert repair.spans.shape == (2 - most, 2, 3)
    if most == 2:
        torch.testing.assert_close(repaired[near], values[near])


def test_device_and_dtype_follow_the_codes() -> None:
    path = morph(ball(0.5), ball(0.3))
    decoder = path.a.decoder.double()
    a, b = (Shape(s.name, s.code.double(), s.frame, decoder, correction=s.correction) for s in (path.a, path.b))
    found = Morph(a, b, path.config).at(0.5)
    values = found.sdf(torch.tensor([[0.0, 0.0, 0.0], [0.9, 0.0, 0.0]], dtype=torch.float64))
    assert values.dtype == torch.float64
    assert (values < 0).tolist() == [True, False]
