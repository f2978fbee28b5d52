"""Second-order code inference: exact on linear fields, robust, never worse than its start, as good as Adam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import primitive, random_linear

from latentsdf.core.optimize import Stop
from latentsdf.core.pose import FREEDOMS, Pose
from latentsdf.decoder.base import Decoder
from latentsdf.inference.code_fitting import EncodeConfig, SignedSamples, infer_codes
from latentsdf.inference.encoding import encode
from latentsdf.inference.levenberg_marquardt import Draw, levenberg_marquardt
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.inference.residuals import Residuals
from latentsdf.space.store import load


@pytest.fixture
def linear() -> Decoder:
    return random_linear(6, 5)


def drawn(decoder: Decoder, codes: torch.Tensor, count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    points = 2.0 * torch.rand(len(codes), count, 3, generator=torch.Generator().manual_seed(1)) - 1.0
    return points, decoder(codes, points)


def codes_by(decoder: Decoder, draw: Draw, start: torch.Tensor, steps: int) -> tuple[torch.Tensor, Stop]:
    found = levenberg_marquardt(CodeObjective(decoder, 0.0), draw, Guess(start), [steps])
    return found.guess.codes, found.stop


def test_codes_of_a_linear_field_are_found_exactly(linear: Decoder) -> None:
    truth = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    points, distances = drawn(linear, truth)
    codes, stop = codes_by(linear, lambda _: (5.0, [Residuals(points, distances)]), torch.zeros(4, 6), 12)
    assert stop is Stop.FINISHED
    torch.testing.assert_close(codes, truth, rtol=1e-3, atol=1e-3)


def test_a_third_of_wrong_distances_does_not_move_the_code(linear: Decoder) -> None:
    truth = torch.randn(2, 6, generator=torch.Generator().manual_seed(3))
    points, distances = drawn(linear, truth, 900)
    wrong = distances.clone()
    wrong[:, ::3] += 1.0
    codes, _ = codes_by(linear, lambda _: (5.0, [Residuals(points, wrong)]), torch.zeros(2, 6), 30)
    torch.testing.assert_close(codes, truth, rtol=0.02, atol=0.02)


def test_bounds_ask_for_the_size_alone(linear: Decoder) -> None:
    truth = torch.randn(1, 6, generator=torch.Generator().manual_seed(4))
    points, distances = drawn(linear, truth, 900)
    start = truth + 0.05
    found, _ = codes_by(linear, lambda _: (5.0, [Residuals(points, distances.abs(), "size")]), start, 20)
    torch.testing.assert_close(found, truth, rtol=5e-3, atol=5e-3)


def test_numbers_beyond_a_prefix_stay(linear: Decoder) -> None:
    truth = torch.randn(1, 6, generator=torch.Generator().manual_seed(5))
    truth[:, 2:] = 0.0
    points, distances = drawn(linear, truth)
    start = torch.full((1, 6), 0.3)
    codes, _ = codes_by(linear, lambda _: (5.0, [Residuals(points, distances, prefix=2)]), start, 15)
    torch.testing.assert_close(codes[:, :2], truth[:, :2], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(codes[:, 2:], start[:, 2:])


def test_a_loss_never_rises_and_a_stop_is_heard(linear: Decoder) -> None:
    truth = 3.0 * torch.randn(3, 6, generator=torch.Generator().manual_seed(6))
    points, distances = drawn(linear, truth)
    losses: list[float] = []

    def seen(step) -> bool:
        losses.append(step.loss)
        return len(losses) == 5

    problem, start = CodeObjective(linear, 1e-3), Guess(torch.zeros(3, 6))
    found = levenberg_marquardt(problem, lambda _: (0.3, [Residuals(points, distances)]), start, [9], on_step=seen)
    assert found.stop is Stop.PAUSED
    assert len(losses) == 5
    assert all(after <= before for before, after in zip(losses[:-1], losses[1:], strict=True))


@pytest.mark.parametrize("shared", [True, False])
def test_shapes_fitted_together_come_out_as_alone(linear: Decoder, shared: bool) -> None:
    random = torch.Generator().manual_seed(7)
    truth = torch.tensor([[0.1], [1.0], [20.0]]) * torch.randn(3, 6, generator=random)
    points, _ = drawn(linear, truth)
    points = points[:1] if shared else points
    distances = linear(truth, points.expand(3, -1, -1))
    start = Guess(torch.zeros(3, 6), Pose.identity(3, truth))
    problem = CodeObjective(linear, 1e-3, torch.ones(6 + FREEDOMS, dtype=torch.bool), pose_weight=0.1)
    groups = [Residuals(points, distances), Residuals(points, distances, prefix=3, weight=0.2)]
    system = problem.normal_equations(start, groups, 0.3)
    torch.testing.assert_close(system.losses, problem.losses(start, groups, 0.3))
    together = levenberg_marquardt(problem, lambda _: (0.3, groups), start, [4])
    for row in range(3):
        rows = torch.tensor([row])
        own = [group.select(rows) for group in groups]
        alone = levenberg_marquardt(problem, lambda _, own=own: (0.3, own), start.select(rows), [4])
        torch.testing.assert_close(alone.guess.codes[0], together.guess.codes[row], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(alone.losses[0], together.losses[row], rtol=1e-3, atol=1e-5)


def test_each_code_is_held_to_its_own_origin(linear: Decoder) -> None:
    random = torch.Generator().manual_seed(8)
    truth, origin = (torch.randn(4, 6, generator=random) for _ in range(2))
    points, distances = drawn(linear, truth)
    groups = [Residuals(points, distances)]
    start = Guess(origin + 0.1, origin=origin)
    held = levenberg_marquardt(CodeObjective(linear, 1e4), lambda _: (0.3, groups), start, [4]).guess
    torch.testing.assert_close(held.codes, origin, atol=1e-3, rtol=0.0)
    free = levenberg_marquardt(CodeObjective(linear, 0.0), lambda _: (5.0, groups), start, [15]).guess
    torch.testing.assert_close(free.codes, truth, atol=5e-3, rtol=5e-3)


@pytest.mark.slow
def test_it_fits_an_unseen_mesh_as_well_as_adam(space_path: Path) -> None:
    space = load(space_path)
    mesh = primitive("ring", 1.1)
    common = EncodeConfig(points=512, samples=8000)
    second = encode(space, mesh, config=common)
    first = encode(space, mesh, config=replace(common, method="adam"))
    assert second.metadata["fit_error"] < 1.1 * first.metadata["fit_error"]


def test_both_ways_take_the_steps_they_are_given(space_path: Path) -> None:
    space = load(space_path)
    targets = SignedSamples(torch.rand(2, 300, 3), torch.rand(2, 300))
    for method in ("second-order", "adam"):
        taken: list[int] = []
        config = EncodeConfig(method=method, steps=7, points=64)
        infer_codes(space.decoder, targets, space.codes(), config, lambda step, to=taken: to.append(step.number))
        assert taken == list(range(1, 8))
    with pytest.raises(ValueError, match="method must be second-order or adam, got 'lbfgs'"):
        EncodeConfig(method="lbfgs")  # type: ignore[arg-type]


def test_several_starts_find_the_side_that_one_misses() -> None:
    """A field with two minima in the code: the start that looks best is in the wrong valley."""

    class Valleys(Decoder):
        kind, branches, code_size = "valleys", ("sdf",), 1

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))

        def prepare(self, codes: torch.Tensor) -> torch.Tensor:
            return codes

        def query(self, state: torch.Tensor, points: torch.Tensor, branch: str) -> torch.Tensor:
            # Least at the code 2, where it is zero; a lesser dip at -2.
            code = state[:, :, None]
            return (0.1 * (code**2 - 4.0) ** 2 + 0.1 * (code - 2.0) ** 2)[..., 0] + 0.0 * points[..., 0]

        def smooth(self, branch: str) -> bool:
            return True

        def groups(self) -> dict[str, list[torch.nn.Parameter]]:
            return {"network": [self.unused]}

    targets = SignedSamples(torch.zeros(2, 50, 3), torch.zeros(2, 50))
    stored = torch.tensor([[-2.1], [4.6], [-5.0]])
    config = EncodeConfig(steps=24, points=40, prior=0.0, truncation=50.0, candidates=3, pose="known")
    alone, several = (infer_codes(Valleys(), targets, stored, replace(config, starts=count)).codes for count in (1, 8))
    assert (alone < 0).all()
    torch.testing.assert_close(several, torch.full((2, 1), 2.0), atol=0.05, rtol=0.0)
