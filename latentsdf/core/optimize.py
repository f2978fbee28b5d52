"""First-order minimisation: Adam over groups of tensors, and the loop of training and fitting."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .interrupt import poll_interrupt


class Stop(enum.Enum):
    """Reason why a loop ended; the value is the sentence that users read."""

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
        name: key of the group in logs and stored states.
        parameters: leaf tensors with requires_grad.
        rate: learning rate at scale 1.
        sparse: True for tables with gradients in some rows only (torch's SparseAdam): the other rows do not move,
            where the momentum of dense Adam would move them.
    """

    name: str
    parameters: Sequence[Tensor]
    rate: float
    sparse: bool = False


class Adam:
    """Adam over groups, dense or row-sparse, with one scale on all rates and a state that can be stored.

    Args:
        groups: tensors to optimise and their learning rates.
        clip: norm to which the whole dense gradient is clipped; None clips nothing.
        norm: dense tensors with gradients -> norm of these; None is for gradients that lie whole in this process.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        clip: float | None = 1.0,
        norm: Callable[[Sequence[Tensor]], float] | None = None,
    ):
        self.groups: list[Group] = list(groups)
        self.clip = clip
        self._norm = norm or gradient_norm
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        for group in self.groups:
            parameters = list(group.parameters)
            self._optimizers[group.name] = (
                torch.optim.SparseAdam(parameters, lr=group.rate)
                if group.sparse
                else torch.optim.Adam(parameters, lr=group.rate, fused=_has_fused_kernel(parameters))
            )

    def step(self, loss: Tensor, scale: float) -> None:
        """Take one step of every group on a scalar loss, at scale times its rate."""
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            dense = [p for group in self.groups if not group.sparse for p in group.parameters if p.grad is not None]
            # Scaled only where they must be: that takes as long as a part of the step.
            if dense and (norm := self._norm(dense)) > self.clip:
                for parameter in dense:
                    assert parameter.grad is not None
                    parameter.grad.mul_(self.clip / (norm + 1e-6))
        for group in self.groups:
            optimizer = self._optimizers[group.name]
            for settings in optimizer.param_groups:
                settings["lr"] = max(group.rate * scale, 1e-12)
            if any(p.grad is not None for p in group.parameters):
                optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """Moments, each of the same shape as its parameter, and step counts as named tensors."""
        flat = {}
        for name, optimizer in self._optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                for key, value in values.items():
                    flat[f"{name}/{index}/{key}"] = torch.as_tensor(value)
        return flat

    def restore(self, flat: dict[str, Tensor]) -> None:
        """Restore moments and step counts of the same shapes that `state` returned."""
        for name, optimizer in self._optimizers.items():
            state: dict[int, dict[str, Any]] = {}
            sparse = isinstance(optimizer, torch.optim.SparseAdam)
            for path, value in flat.items():
                owner, index, key = path.rsplit("/", 2)
                if owner == name:
                    state.setdefault(int(index), {})[key] = int(value) if sparse and key == "step" else value.clone()
            settings = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": state, "param_groups": settings})


def gradient_norm(tensors: Sequence[Tensor]) -> float:
    """Euclidean norm of the gradients of tensors, a scalar."""
    return float(torch.nn.utils.get_total_norm([tensor.grad for tensor in tensors if tensor.grad is not None]))


def _has_fused_kernel(parameters: Sequence[Tensor]) -> bool:
    """Whether torch has a fused Adam kernel for these tensors."""
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


def cosine(progress: float, floor: float = 0.02) -> float:
    """Cosine decay of the rates from 1 to floor, after a linear warm-up over the first hundredth of the progress."""
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
    agree: Callable[[bool], bool] = bool,
) -> Stop:
    """Minimise until progress reaches 1, the callback pauses, Ctrl-C, or the loss is not finite.

    Args:
        objective: step number -> named scalar terms, already weighted; their sum is the loss.
        optimizer: takes the steps.
        progress: (steps taken, seconds used) -> fraction of the schedule used up.
        scale: progress -> factor on all learning rates.
        on_step: called after every step; returning True pauses the loop.
        start: steps taken before this call, for a resumed run.
        start_seconds: seconds used before this call.
        agree: whether this loop was interrupted -> whether it is to stop; of several loops that must stop after the
            same step, the same for all.

    Returns:
        The reason for the end. On `Stop.DIVERGED` and `Stop.INTERRUPTED` the last complete step stands.
    """
    began = time.monotonic() - start_seconds
    number = start
    with poll_interrupt() as interrupted:
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
            if agree(interrupted()):
                return Stop.INTERRUPTED
