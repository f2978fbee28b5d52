"""Training of a latent space: one loop over the stages of a schedule, resumable to the bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import torch

from ..core.optimize import Adam, Group, Step, Stop, cosine, minimize
from ..core.threads import workers
from ..dataset.dataset import Dataset
from ..space.space import LatentSpace
from ..space.store import save
from .config import TrainConfig
from .objective import StageObjective, Threads, threads_for
from .pca import fit_linear
from .presets import named_config
from .rehearsal import Rehearsal, fingerprint, make_rehearsal
from .stages import Stage
from .state import TrainState, space_of
from .warm_start import start_space

CHECKPOINT_SECONDS = 60.0
"""Time between two writes of an unfinished run; what a killed run loses at most."""
LOG_SPACING = 0.0025
"""Progress between two rows of the log: about four hundred rows over a run, whatever its length."""


class TrainEvent(NamedTuple):
    """Report of a training run after each step.

    Attributes:
        stage: name of the stage.
        step: figures of the loop; `step.progress` is that of the stage.
        progress: of the whole schedule, 0 to 1.
        samples_per_second: points through the network a second, since the run (or its resumption) began.
    """

    stage: str
    step: Step
    progress: float
    samples_per_second: float


def train(
    dataset: Dataset | str | Path,
    config: TrainConfig | None = None,
    *,
    path: str | Path | None = None,
    resume: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    device: str | torch.device = "cpu",
    on_event: Callable[[TrainEvent], None] | None = None,
) -> LatentSpace:
    """Learn a decoder and a code for each shape of a dataset (auto-decoder: Park et al., CVPR 2019).

    Args:
        dataset: query samples made by `prepare`, or their file.
        config: of the run; None is the default decoder's, or with resume the one in the file. A linear decoder is
            computed in closed form: resume, steps and minutes are refused, and no event is reported.
        path: space file that checkpoints and the finished space are written to; None writes no file.
        resume: go on with the run whose state is in `path`.
        steps: take this many steps of the schedule (`TrainConfig.schedule_steps` long) in this call: a run of 2 N
            steps equals N, then resume for N, to the bit. None runs by time.
        minutes: time budget of this call; None is the config's, or what the resumed run has left.
        device: where the network lives.
        on_event: called after every step.

    Returns:
        The space. `space.history["stop"]` says why training ended.

    Raises:
        ValueError: the dataset is empty, or not the one that the run was begun with; nothing to resume; a budget that
            is not positive, or for a decoder that is not trained; the start does not fit.
        FileNotFoundError: no such dataset or space file.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    device = torch.device(device)
    if len(dataset) == 0:
        raise ValueError("the dataset holds no shape")
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes must be positive, got {minutes}")
    if config is not None and config.decoder.trained is False:
        given = {"resume": resume, "steps": steps is not None, "minutes": minutes is not None}
        if any(given.values()):
            names = " and ".join(name for name, is_given in given.items() if is_given)
            raise ValueError(f"a linear decoder is computed, not trained; leave {names} out")
        decoder, codes = fit_linear(dataset, config.decoder)
        space = space_of(decoder.to(device), codes.to(device), dataset, {"stop": Stop.FINISHED.value})
        if path is not None:
            save(space, path)
        return space
    if resume:
        if path is None:
            raise ValueError("resume needs the path of the space file to go on with")
        state = TrainState.restore(Path(path), dataset, config, device)
        start = start_space(state.config) if state.config.rehearsal else None
    else:
        config = config or named_config("dual", 64)
        start = start_space(config)
        state = TrainState.fresh(dataset, config, start, device)
    rehearsal = make_rehearsal(state.config, start, device)
    if start is not None and rehearsal is not None:
        _check_start(state, start)
    trainer = Trainer(state, rehearsal, path=None if path is None else Path(path), steps=steps, minutes=minutes)
    trainer.run(on_event)
    state.decoder.eval().requires_grad_(False)
    return state.space()


def _check_start(state: TrainState, start: LatentSpace) -> None:
    """Refuse a start space that is not the one that the run was begun from."""
    own = fingerprint(start)
    if state.begun_from not in (None, own):
        raise ValueError(
            f"{state.config.start} is not the space any more that this run was begun from; put that one back, or "
            f"train afresh"
        )
    state.begun_from = own


class Trainer:
    """One call of `train`: runs the stages of the schedule on a state, within a budget.

    Args:
        state: changed in place.
        rehearsal: of the start space; None without.
        path: file of the checkpoints and of the result; None writes none.
        steps: budget of this call in steps; None runs by time.
        minutes: budget of this call in minutes; None is what the config's has left.
    """

    def __init__(
        self,
        state: TrainState,
        rehearsal: Rehearsal | None = None,
        *,
        path: Path | None = None,
        steps: int | None = None,
        minutes: float | None = None,
    ):
        self.state, self.rehearsal, self.path, self.steps = state, rehearsal, path, steps
        self.budget = (minutes if minutes is not None else state.config.minutes * (1.0 - state.used)) * 60.0
        self.used, self.seconds = state.used, state.seconds
        self.taken = self.samples = 0
        self.began = self.saved = time.monotonic()

    def run(self, on_event: Callable[[TrainEvent], None] | None = None) -> None:
        """Run the stages until the schedule, the budget or the patience of the user is at its end, and save.

        Raises:
            ValueError: a stage names a branch or a parameter group that the decoder lacks.
            OSError: the disk refused.
        """
        state, plan = self.state, self.state.config.plan()
        for branch in {branch for stage in plan for branch in stage.losses}:
            state.decoder.check_branch(branch)
        lows = [0.0, *accumulate(stage.share for stage in plan)]
        state.decoder.train()
        count = threads_for(state.decoder, state.codes.weight.device)
        with workers(count) as pool:
            while state.stage < len(plan):
                stage = _StageRun(self, plan[state.stage], lows[state.stage], Threads(count, pool), on_event)
                state.stop = stage.descend(last=state.stage == len(plan) - 1)
                if state.stop is not Stop.FINISHED and not (state.stop is Stop.PAUSED and state.step >= stage.length):
                    state.moments = stage.optimizer.state()
                    break
                state.stage, state.step, state.moments = state.stage + 1, 0, {}
                if state.stop is Stop.PAUSED and state.stage < len(plan):
                    break
        if state.stage >= len(plan):
            state.stop, state.used = Stop.FINISHED, 1.0
        if self.path is not None:
            state.save(self.path, unfinished=state.stop is not Stop.FINISHED)


class _StageRun:
    """One stage of a call: its optimizer, progress, log and checkpoints."""

    def __init__(
        self,
        trainer: Trainer,
        stage: Stage,
        low: float,
        threads: Threads,
        on_event: Callable[[TrainEvent], None] | None,
    ):
        self.trainer, self.state, self.stage, self.low, self.on_event = trainer, trainer.state, stage, low, on_event
        self.length = max(1, round(stage.share * trainer.state.config.schedule_steps))
        self.objective = StageObjective(trainer.state, stage, trainer.rehearsal, threads)
        self.optimizer = _stage_optimizer(trainer.state, stage)

    def descend(self, last: bool) -> Stop:
        """Take steps until the stage or the budget is at its end; the last stage decays its rates."""
        return minimize(
            self.objective,
            self.optimizer,
            progress=self._by_time if self.trainer.steps is None else self._by_steps,
            scale=cosine if last else _warm_up,
            on_step=self._on_step,
            start=self.state.step,
        )

    def _by_steps(self, number: int, seconds: float) -> float:
        return number / self.length

    def _by_time(self, number: int, seconds: float) -> float:
        trainer = self.trainer
        used = trainer.used + (1.0 - trainer.used) * (time.monotonic() - trainer.began) / trainer.budget
        return (used - self.low) / self.stage.share

    def _on_step(self, step: Step) -> bool:
        """Report, log and save after a step; whether the budget of steps is used up."""
        trainer, state = self.trainer, self.state
        trainer.taken += 1
        trainer.samples += self.objective.samples_per_step
        state.step, state.used = step.number, min(1.0, self.low + self.stage.share * min(1.0, step.progress))
        elapsed = time.monotonic() - trainer.began
        state.seconds = trainer.seconds + elapsed
        event = TrainEvent(self.stage.name, step, state.used, trainer.samples / max(1e-9, elapsed))
        self._log(event)
        if self.on_event is not None:
            self.on_event(event)
        if trainer.path is not None and time.monotonic() - trainer.saved > CHECKPOINT_SECONDS:
            state.moments = self.optimizer.state()
            state.save(trainer.path, unfinished=True)
            trainer.saved = time.monotonic()
        return trainer.steps is not None and trainer.taken >= trainer.steps

    def _log(self, event: TrainEvent) -> None:
        log = self.state.log
        if not log or event.progress - log[-1]["progress"] >= LOG_SPACING or event.stage != log[-1]["stage"]:
            log.append(
                {
                    "stage": event.stage,
                    "step": event.step.number,
                    "progress": round(event.progress, 5),
                    "loss": event.step.loss,
                    "terms": event.step.terms,
                    "rates": {name: rate * event.step.scale for name, rate in self.stage.rates.items()},
                    "samples_per_second": round(event.samples_per_second),
                }
            )


def _stage_optimizer(state: TrainState, stage: Stage) -> Adam:
    """Adam over the parameter groups that a stage gives rates to, all others frozen."""
    tensors = {**state.decoder.groups(), "codes": [state.codes.weight]}
    unknown = sorted(set(stage.rates) - set(tensors))
    if unknown:
        raise ValueError(f"stage {stage.name!r} gives a rate to {unknown[0]!r}, this decoder has {', '.join(tensors)}")
    for name, parameters in tensors.items():
        for parameter in parameters:
            parameter.requires_grad_(name in stage.rates)
    optimizer = Adam(
        [Group(name=n, parameters=tensors[n], rate=r, sparse=n == "codes") for n, r in stage.rates.items()]
    )
    if state.moments:
        optimizer.restore(state.moments)
    return optimizer


def _warm_up(progress: float) -> float:
    """Scale of the rates in a stage that another one follows: full rate after the warm-up."""
    return min(1.0, (progress + 1e-3) / 0.01)
