"""The one first-order loop: training and code inference both run through `minimize`."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .interrupt import deferred_interrupt


class Stop(enum.Enum):
    """Why a loop ended; the value is the sentence shown to people."""

    FINISHED = "the schedule was run to its end"
    PAUSED = "the steps asked for were taken; the schedule is not at its end"
    INTERRUPTED = "interrupted; the work so far was kept"
    DIVERGED = "the loss was no longer a finite number; the state before that step was kept"


class Step(NamedTuple):
    """One step of a loop: number, seconds since the start, progress in [0, 1], loss, its terms, factor on the rates."""

    number: int
    seconds: float
    progress: float
    loss: float
    terms: dict[str, float]
    scale: float


OnStep = Callable[[Step], bool | None]
"""Called after every step; returning True pauses the loop."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors that share a learning rate.

    Attributes:
        name: shown in logs and used as a key in resume data.
        parameters: leaf tensors with requires_grad.
        rate: learning rate at scale 1.
        sparse: True for tables of which a step touches some rows only; the rows that it does not touch do not move
            (no stale momentum: `methods` trap of dense Adam on an embedding).
    """

    name: str
    parameters: Sequence[Tensor]
    rate: float
    sparse: bool = False


class Adam:
    """Adam over groups, dense or row-sparse, with one scale on all rates and a state that can be stored.

    Args:
        groups: what to move and how fast.
        clip: the largest norm of the whole dense gradient; None leaves it.
    """

    def __init__(self, groups: Sequence[Group], clip: float | None = 1.0):
        self.groups = list(groups)
        self.clip = clip
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        for group in self.groups:
            parameters = list(group.parameters)
            self._optimizers[group.name] = (
                torch.optim.SparseAdam(parameters, lr=group.rate)
                if group.sparse
                else torch.optim.Adam(parameters, lr=group.rate, fused=_fusible(parameters))
            )

    def step(self, loss: Tensor, scale: float) -> None:
        """Move every group down the gradient of loss, at scale times its rate."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            dense = [p for group in self.groups if not group.sparse for p in group.parameters]
            if dense:
                torch.nn.utils.clip_grad_norm_(dense, self.clip)
        for group in self.groups:
            optimizer = self._optimizers[group.name]
            for settings in optimizer.param_groups:
                settings["lr"] = max(group.rate * scale, 1e-12)
            if any(p.grad is not None for p in group.parameters):
                optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts as named tensors."""
        flat = {}
        for name, optimizer in self._optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    flat[f"{name}/{index}/{key}"] = torch.as_tensor(value)
        return flat

    def restore(self, flat: dict[str, Tensor]) -> None:
        """Take back what `state` gave."""
        for name, optimizer in self._optimizers.items():
            state: dict[int, dict[str, Any]] = {}
            sparse = isinstance(optimizer, torch.optim.SparseAdam)
            for path, value in flat.items():
                owner, index, key = path.rsplit("/", 2)
                if owner == name:
                    state.setdefault(int(index), {})[key] = int(value) if sparse and key == "step" else value.clone()
            settings = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": settings})


def _fusible(parameters: Sequence[Tensor]) -> bool:
    """Whether torch has one kernel for the whole step of Adam."""
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


def cosine(progress: float, floor: float = 0.02) -> float:
    """Rate scale that falls from 1 to floor along half a cosine, after a warm-up over the first hundredth."""
    warm = min(1.0, (progress + 1e-3) / 0.01)
    return warm * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))))


def minimize(
    objective: Callable[[int], dict[str, Tensor]],
    optimizer: Adam,
    *,
    progress: Callable[[int, float], float],
    scale: Callable[[float], float] = cosine,
    on_step: OnStep | None = None,
    start: int = 0,
    start_seconds: float = 0.0,
) -> Stop:
    """Descend until progress reaches 1, somebody says stop, Ctrl-C, or the loss breaks.

    Args:
        objective: step number -> named terms, already weighted; their sum is the loss.
        optimizer: what moves.
        progress: (steps taken, seconds used) -> fraction of the schedule used up.
        scale: progress -> factor on all learning rates.
        on_step: called after every step; returning True pauses the loop.
        start: steps taken before this call, for a run that goes on.
        start_seconds: seconds used before this call.

    Returns:
        Why it ended. On `Stop.DIVERGED` and `Stop.INTERRUPTED` every parameter is as the last whole step left it.
    """
    began = time.monotonic() - start_seconds
    number = start
    with deferred_interrupt() as interrupted:
        while True:
            used = progress(number, time.monotonic() - began)
            if used >= 1.0:
                return Stop.FINISHED
            terms = objective(number)
            loss = torch.stack([term.reshape(()) for term in terms.values()]).sum()
            if not torch.isfinite(loss):
                return Stop.DIVERGED
            factor = scale(used)
            optimizer.step(loss, factor)
            number += 1
            seconds = time.monotonic() - began
            if on_step is not None:
                values = {name: float(term.detach()) for name, term in terms.items()}
                if on_step(Step(number, seconds, progress(number, seconds), float(loss.detach()), values, factor)):
                    return Stop.PAUSED
            if interrupted():
                return Stop.INTERRUPTED
