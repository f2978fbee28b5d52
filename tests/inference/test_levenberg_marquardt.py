"""Levenberg-Marquardt on codes: exact on linear fields, robust, monotone, and several guesses better than one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import random_linear

from latentsdf.core.optimize import Step, Stop
from latentsdf.core.pose import FREEDOMS, Pose
from latentsdf.decoder.base import Decoder
from latentsdf.inference import code_fitting, objective
from latentsdf.inference.code_fitting import EncodeConfig, infer_codes
from latentsdf.inference.levenberg_marquardt import FitStage, levenberg_marquardt
from latentsdf.inference.objective import CodeObjective, Guess
from latentsdf.inference.residuals import Residuals, SignedSamples, stacked
from latentsdf.space.store import load


@pytest.fixture
def linear() -> Decoder:
    return random_linear(6, 5)


def sampled(decoder: Decoder, codes: torch.Tensor, count: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    points = 2.0 * torch.rand(len(codes), count, 3, generator=torch.Generator().manual_seed(1)) - 1.0
    return points, decoder(codes, points)


def fitted_codes(decoder: Decoder, group: Residuals, start: torch.Tensor, steps: int) -> tuple[torch.Tensor, Stop]:
    result = levenberg_marquardt(CodeObjective(decoder, 0.0), Guess(start), [FitStage(5.0, [group], steps)])
    return result.guess.codes, result.stop


def test_codes_of_a_linear_field_are_found_exactly(linear: Decoder) -> None:
    truth = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    points, distances = sampled(linear, truth)
    codes, stop = fitted_codes(linear, Residuals(points, distances), torch.zeros(4, 6), 12)
    assert stop is Stop.FINISHED
    torch.testing.assert_close(codes, truth, rtol=1e-3, atol=1e-3)


def test_a_third_of_wrong_distances_does_not_move_the_code(linear: Decoder) -> None:
    truth = torch.randn(2, 6, generator=torch.Generator().manual_seed(3))
    points, distances = sampled(linear, truth, 900)
    wrong = distances.clone()
    wrong[:, ::3] += 1.0
    codes, _ = fitted_codes(linear, Residuals(points, wrong), torch.zeros(2, 6), 30)
    torch.testing.assert_close(codes, truth, rtol=0.02, atol=0.02)


def test_unsigned_distances_constrain_the_absolute_value_alone(linear: Decoder) -> None:
    truth = torch.randn(1, 6, generator=torch.Generator().manual_seed(4))
    points, distances = sampled(linear, truth, 900)
    start = truth + 0.05
    found, _ = fitted_codes(linear, Residuals(points, distances.abs(), "unsigned"), start, 20)
    torch.testing.assert_close(found, truth, rtol=5e-3, atol=5e-3)


def test_numbers_beyond_a_prefix_stay(linear: Decoder) -> None:
    truth = torch.randn(1, 6, generator=torch.Generator().manual_seed(5))
    truth[:, 2:] = 0.0
    points, distances = sampled(linear, truth)
    start = torch.full((1, 6), 0.3)
    codes, _ = fitted_codes(linear, Residuals(points, distances, prefix=2), start, 15)
    torch.testing.assert_close(codes[:, :2], truth[:, :2], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(codes[:, 2:], start[:, 2:])


def test_a_loss_never_rises_and_a_stop_is_heard(linear: Decoder) -> None:
    truth = 3.0 * torch.randn(3, 6, generator=torch.Generator().manual_seed(6))
    points, distances = sampled(linear, truth)
    losses: list[float] = []

    def seen(step: Step) -> bool:
        losses.append(step.loss)
        return len(losses) == 5

    stage = FitStage(0.3, [Residuals(points, distances)], 9)
    result = levenberg_marquardt(CodeObjective(linear, 1e-3), Guess(torch.zeros(3, 6)), [stage], seen)
    assert result.stop is Stop.PAUSED
    assert len(losses) == 5
    assert all(after <= before for before, after in zip(losses[:-1], losses[1:], strict=True))


@pytest.mark.parametrize("shared", [True, False])
def test_shapes_fitted_together_come_out_as_alone(linear: Decoder, shared: bool) -> None:
    generator = torch.Generator().manual_seed(7)
    truth = torch.tensor([[0.1], [1.0], [20.0]]) * torch.randn(3, 6, generator=generator)
    points, _ = sampled(linear, truth)
    points = points[:1] if shared else points
    distances = linear(truth, points.expand(3, -1, -1))
    start = Guess(torch.zeros(3, 6), Pose.identity(3, truth))
    objective = CodeObjective(linear, 1e-3, torch.ones(6 + FREEDOMS, dtype=torch.bool), pose_weight=0.1)
    groups = [Residuals(points, distances), Residuals(points, distances, prefix=3, weight=0.2)]
    equations = objective.normal_equations(start, groups, 0.3)
    torch.testing.assert_close(equations.losses, objective.losses(start, groups, 0.3))
    together = levenberg_marquardt(objective, start, [FitStage(0.3, groups, 4)])
    for row in range(3):
        rows = torch.tensor([row])
        own = [group.select(rows) for group in groups]
        alone = levenberg_marquardt(objective, start.select(rows), [FitStage(0.3, own, 4)])
        torch.testing.assert_close(alone.guess.codes[0], together.guess.codes[row], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(alone.losses[0], together.losses[row], rtol=1e-3, atol=1e-5)


def test_groups_that_are_read_together_give_the_equations_of_each_by_itself(
    linear: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = torch.randn(3, 6, generator=torch.Generator().manual_seed(8))
    points, distances = sampled(linear, truth)
    groups = [
        Residuals(points[:, :150], distances[:, :150]),
        Residuals(points[:1, 150:], distances[:1, 150:].abs(), "unsigned", weight=0.5),
    ]
    guess = Guess(truth + 0.1, Pose.identity(3, truth))
    problem = CodeObjective(linear, 1e-3, torch.ones(6 + FREEDOMS, dtype=torch.bool))
    reads: list[int] = []
    linearize = problem.linearize
    monkeypatch.setattr(problem, "linearize", lambda codes, at: (reads.append(at.shape[1]), linearize(codes, at))[1])
    together = problem.normal_equations(guess, groups, 0.3)
    monkeypatch.setattr(objective, "_READ_TOGETHER", 0)
    apart = problem.normal_equations(guess, groups, 0.3)
    assert reads == [400, 150, 250]
    for one, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_stacked_groups_have_the_first_residuals_of_each() -> None:
    points, targets = torch.rand(1, 7, 3), torch.rand(1, 7)
    rows = [Residuals(points, targets, "unsigned", 0.5), Residuals(points[:, 2:], targets[:, 2:], "unsigned", 0.5)]
    group = stacked(rows)
    assert (group.kind, group.under_weight) == ("unsigned", 0.5)
    assert torch.equal(group.points, torch.stack([points[0, :5], points[0, 2:]]))
    assert torch.equal(group.targets, torch.stack([targets[0, :5], targets[0, 2:]]))


def test_the_prior_of_each_code_has_its_own_origin(linear: Decoder) -> None:
    generator = torch.Generator().manual_seed(8)
    truth, origin = (torch.randn(4, 6, generator=generator) for _ in range(2))
    points, distances = sampled(linear, truth)
    groups = [Residuals(points, distances)]
    start = Guess(origin + 0.1, origin=origin)
    strong = levenberg_marquardt(CodeObjective(linear, 1e4), start, [FitStage(0.3, groups, 4)]).guess
    torch.testing.assert_close(strong.codes, origin, atol=1e-3, rtol=0.0)
    free = levenberg_marquardt(CodeObjective(linear, 0.0), start, [FitStage(5.0, groups, 15)]).guess
    torch.testing.assert_close(free.codes, truth, atol=5e-3, rtol=5e-3)


def test_a_fit_takes_the_steps_it_is_given(space_path: Path) -> None:
    space = load(space_path)
    samples = SignedSamples(torch.rand(2, 300, 3), torch.rand(2, 300))
    steps: list[int] = []
    progress: list[float] = []

    def on_step(step: Step) -> None:
        steps.append(step.number)
        progress.append(step.progress)

    infer_codes(space.decoder, samples, space.codes(), EncodeConfig(steps=7, points=64), on_step)
    assert steps == list(range(1, 8))
    assert progress == [number / 7 for number in range(1, 8)]


def test_several_guesses_find_the_minimum_that_one_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field with two minima in the code: the best initial guess is in the wrong valley."""

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

    monkeypatch.setattr(code_fitting, "TRUNCATION", 50.0)
    monkeypatch.setattr(code_fitting, "INITIAL_TRUNCATION", 50.0)
    samples = SignedSamples(torch.zeros(2, 50, 3), torch.zeros(2, 50))
    stored = torch.tensor([[-2.1], [4.6], [-5.0]])
    config = EncodeConfig(steps=24, points=40, prior=0.0, pose="known")
    alone, several = (
        infer_codes(Valleys(), samples, stored, replace(config, starts=count)).guess.codes for count in (1, 8)
    )
    assert (alone < 0).all()
    torch.testing.assert_close(several, torch.full((2, 1), 2.0), atol=0.05, rtol=0.0)
