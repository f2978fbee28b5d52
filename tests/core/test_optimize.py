"""The first-order loop: known minima, sparse rows, and every way to stop."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from torch import nn

from latentsdf.core.optimize import Adam, Group, Stop, cosine, minimize


def by_steps(total: int):
    return lambda number, seconds: number / total


def test_a_quadratic_reaches_its_minimum() -> None:
    target, x = torch.tensor([1.0, -2.0, 3.0]), torch.zeros(3, requires_grad=True)
    seen = []
    stop = minimize(
        lambda step: {"fit": (x - target).square().sum(), "prior": 0.0 * x.sum()},
        Adam([Group(name="x", parameters=[x], rate=0.1)], clip=None),
        progress=by_steps(400),
        on_step=lambda step: seen.append(step),
    )
    assert stop is Stop.FINISHED
    torch.testing.assert_close(x.detach(), target, rtol=0, atol=1e-3)
    assert [step.number for step in seen] == list(range(1, 401))
    assert set(seen[0].terms) == {"fit", "prior"}
    assert seen[0].loss == pytest.approx(14.0)


def test_rows_that_are_not_in_a_batch_do_not_move() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    before = table.weight.detach().clone()
    optimizer = Adam([Group(name="codes", parameters=[table.weight], rate=0.1, sparse=True)])
    minimize(
        lambda step: {"fit": table(torch.tensor([0, 2] if step == 0 else [0])).square().sum()},
        optimizer,
        progress=by_steps(20),
    )
    moved = (table.weight.detach() - before).abs().sum(1)
    assert moved[1] == 0.0
    assert moved[3] == 0.0
    row_after_one_step = before[2] - 0.1 * before[2].sign() * 0.1
    torch.testing.assert_close(table.weight.detach()[2], row_after_one_step, rtol=0, atol=1e-4)


def test_a_loss_that_breaks_leaves_the_last_good_state() -> None:
    x = torch.ones(1, requires_grad=True)
    stop = minimize(
        lambda step: {"fit": (x if step < 3 else x * float("nan")).sum()},
        Adam([Group(name="x", parameters=[x], rate=0.1)]),
        progress=by_steps(10),
    )
    assert stop is Stop.DIVERGED
    assert torch.isfinite(x).all()


def test_pause_and_interrupt() -> None:
    x = torch.ones(1, requires_grad=True)
    optimizer = Adam([Group(name="x", parameters=[x], rate=0.1)])
    ten = by_steps(10)
    assert minimize(lambda s: {"fit": x.sum()}, optimizer, on_step=lambda s: s.number == 4, progress=ten) is Stop.PAUSED
    seen = []

    def press(step) -> None:
        seen.append(step.number)
        if step.number == 6:
            os.kill(os.getpid(), signal.SIGINT)

    assert minimize(lambda s: {"fit": x.sum()}, optimizer, on_step=press, start=4, progress=ten) is Stop.INTERRUPTED
    assert seen == [5, 6]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_state_restores_to_the_bit() -> None:
    def run(steps: int, x: torch.Tensor, optimizer: Adam, start: int = 0) -> None:
        minimize(
            lambda step: {"fit": (x * (step + 1)).sin().sum()},
            optimizer,
            progress=by_steps(20),
            on_step=lambda step: step.number >= start + steps,
            start=start,
        )

    whole = torch.ones(5, requires_grad=True)
    run(20, whole, Adam([Group(name="x", parameters=[whole], rate=0.1)]))
    half = torch.ones(5, requires_grad=True)
    first = Adam([Group(name="x", parameters=[half], rate=0.1)])
    run(10, half, first)
    again = half.detach().clone().requires_grad_(True)
    second = Adam([Group(name="x", parameters=[again], rate=0.1)])
    second.restore(first.state())
    run(10, again, second, start=10)
    assert torch.equal(whole, again)


def test_the_cosine_falls_from_one_to_its_floor() -> None:
    assert cosine(0.02) == pytest.approx(1.0, abs=2e-3)
    assert cosine(0.5) == pytest.approx(0.51)
    assert cosine(1.0) == pytest.approx(0.02)
