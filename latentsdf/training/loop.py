"""Training of a latent space: one loop over the stages of a schedule, by one process or several, resumable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.optimize import Adam, Group, Step, Stop, cosine, minimize
from ..core.ranks import Ranks, launched, open_ranks, own_device
from ..core.threads import workers
from ..dataset.dataset import Dataset
from ..space.space import LatentSpace
from ..space.store import load, save
from .batch_sampler import BatchSampler
from .config import TrainConfig
from .objective import StageObjective, thread_count
from .pca import fit_linear
from .presets import named_config
from .rehearsal import Rehearsal, fingerprint, make_rehearsal
from .sharding import Sharding, gather_state, scatter_state
from .stages import Stage
from .state import TrainState, space_of
from .warm_start import start_space

CHECKPOINT_SECONDS = 60.0
"""Time between two writes of an unfinished run; what a killed run loses at most."""
LOG_SPACING = 0.0025
"""Progress between two rows of the log: about four hundred rows over a run, whatever its length."""


class TrainEvent(NamedTuple):
    """Report of a training run after each step, and of a finished one while its codes are refitted.

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

    Started by `torchrun`, several processes share the work: each holds the decoder and the codes of its own shapes, and
    the first one reads and writes the file. Their number may change when a run is resumed.

    Args:
        dataset: query samples made by `prepare`, or their file.
        config: of the run; None is the default decoder's, or with resume the one in the file. A linear decoder is
            computed in closed form: resume, steps and minutes are refused, and no event is reported.
        path: space file that checkpoints and the finished space are written to, the latter with codes in
            `TrainConfig.code_bytes` bytes, refitted to weights that are stored as streams; None writes no file.
        resume: go on with the run whose state is in `path`.
        steps: take this many steps of the schedule (`TrainConfig.schedule_steps` long) in this call: a run of 2 N
            steps equals N, then resume for N, to the bit. None runs by time.
        minutes: time budget of this call; None is the config's, or what the resumed run has left.
        device: where the network lives; of several processes on one machine each takes its own `cuda` GPU.
        on_event: called after every step.

    Returns:
        The space; as it is stored, where it is finished and has a path. `space.history["stop"]` says why it ended. Of
        several processes the first one returns it, the others their own shapes.

    Raises:
        ValueError: the dataset is empty, or not the one that the run was begun with; nothing to resume; a budget that
            is not positive, or for a decoder that is not trained; the start does not fit.
        FileNotFoundError: no such dataset or space file.
        ConnectionError: another process of the run does not answer any more.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    device = torch.device(own_device(str(device)))
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
        if launched()[1] > 1:
            raise ValueError("a linear decoder is computed by one process; start it without torchrun")
        decoder, codes = fit_linear(dataset, config.decoder)
        space = space_of(decoder.to(device), codes.to(device), dataset, {"stop": Stop.FINISHED.value})
        if path is not None:
            save(space, path)
        return space
    if resume and path is None:
        raise ValueError("resume needs the path of the space file to go on with")
    path = None if path is None else Path(path)
    with open_ranks(device) as ranks:
        state, sharding, rehearsal = _begin(dataset, config, path if resume else None, ranks)
        minutes = state.config.minutes * (1.0 - state.used) if minutes is None else minutes
        trainer = Trainer(state, rehearsal, path, steps, 60.0 * minutes, on_event, sharding)
        trainer.run()
    trainer.whole.decoder.eval().requires_grad_(False)
    if path is None or ranks.rank > 0 or trainer.whole.stop is not Stop.FINISHED:
        return trainer.whole.space()
    trainer.finish()
    return load(path, device)


def _begin(
    dataset: Dataset, config: TrainConfig | None, path: Path | None, ranks: Ranks
) -> tuple[TrainState, Sharding, Rehearsal | None]:
    """This process's part of a run that begins, or goes on with that in a file; errors as `train`."""
    whole = rehearsal = None
    batch = 0
    if ranks.rank == 0:
        if path is None:
            config = config or named_config()
            start = start_space(config)
            whole = TrainState.fresh(dataset, config, start, ranks.device)
        else:
            whole = TrainState.restore(path, dataset, config, ranks.device)
            start = start_space(whole.config) if whole.config.rehearsal else None
        rehearsal = _rehearsal_of(whole, start, ranks)
        batch = BatchSampler(whole.config, len(dataset), 0 if rehearsal is None else len(rehearsal.codes)).batch
    state, sharding = scatter_state(whole, dataset, batch, ranks)
    if whole is None and state.config.rehearsal:
        rehearsal = _rehearsal_of(state, start_space(state.config), ranks)
    return state, sharding, rehearsal


def _rehearsal_of(state: TrainState, start: LatentSpace | None, ranks: Ranks) -> Rehearsal | None:
    rehearsal = make_rehearsal(state.config, start, ranks.device)
    if start is not None and rehearsal is not None:
        state.check_start(fingerprint(start))
    return rehearsal


class Trainer:
    """One call of `train`: runs the stages of the schedule on a state, within a budget.

    Args:
        state: changed in place.
        rehearsal: of the start space; None without.
        path: file of the checkpoints and of the result; None writes none.
        steps: budget of this call; None runs by time.
        seconds: budget of a call that runs by time.
        on_event: called after every step by the first process.
        sharding: of the run; None is that of one process.

    Attributes:
        whole: state of the run after `run`, in the first process that of all shapes, with the whole decoder.
    """

    def __init__(
        self,
        state: TrainState,
        rehearsal: Rehearsal | None,
        path: Path | None,
        steps: int | None,
        seconds: float,
        on_event: Callable[[TrainEvent], None] | None = None,
        sharding: Sharding | None = None,
    ):
        self.state = self.whole = state
        self.rehearsal = rehearsal
        self.sharding: Sharding = sharding or Sharding(Ranks(), state.dataset, state.config.shapes_per_batch)
        self._ranks = self.sharding.ranks
        # The first process writes and reports, the others send it their parts.
        self.checkpoints: bool = path is not None
        self.path, self.on_event = (path, on_event) if self._ranks.rank == 0 else (None, None)
        self.steps, self.budget = steps, seconds
        self._used, self._seconds = state.used, state.seconds
        self._taken = self._samples = 0
        self._event: TrainEvent | None = None
        self._began = self._saved = self._ranks.seconds

    def run(self) -> None:
        """Run stage after stage until the schedule or the budget is at its end, then save it as it can be resumed.

        Raises:
            ValueError: a stage names a branch or a parameter group that the decoder lacks.
            OSError: the disk refused.
            ConnectionError: another process of the run does not answer any more.
        """
        state, plan = self.state, self.state.config.plan()
        for branch in {branch for stage in plan for branch in stage.losses}:
            state.decoder.check_branch(branch)
        shares = [stage.share for stage in plan]
        state.decoder.train()
        count = thread_count(state.decoder, state.codes.weight.device)
        with workers(count) as pool:
            while state.stage < len(plan):
                self._stage, self._low = plan[state.stage], sum(shares[: state.stage])
                self._length = max(1, round(self._stage.share * state.config.schedule_steps))
                self._objective = StageObjective(state, self._stage, self.rehearsal, self.sharding, count, pool)
                self._optimizer = _stage_optimizer(state, self._stage, self._objective)
                with state.dataset.prefetched(self._objective.draws, state.step) as wait:
                    state.stop = minimize(
                        partial(_when_read, self._objective, wait),
                        self._optimizer,
                        progress=self._by_time if self.steps is None else self._by_steps,
                        scale=cosine if state.stage == len(plan) - 1 else _warm_up,
                        on_step=self._on_step,
                        start=state.step,
                        agree=self._ranks.agreed_interrupt,
                    )
                paused = state.stop is Stop.PAUSED
                if state.stop is not Stop.FINISHED and not (paused and state.step >= self._length):
                    state.moments = self._optimizer.state()
                    break
                state.stage, state.step, state.moments = state.stage + 1, 0, {}
                if paused and state.stage < len(plan):
                    break
        if state.stage >= len(plan):
            state.stop, state.used = Stop.FINISHED, 1.0
        self.whole: TrainState = gather_state(state, self.sharding)
        if self.path is not None:
            self.whole.save(self.path, unfinished=True)

    def finish(self) -> None:
        """Replace the file of a finished run by its compact form: nothing is lost if rounding and refit are stopped."""
        if self.path is not None:
            self.whole.save(self.path, unfinished=False, on_part=self._on_part)

    def _on_part(self, done: float) -> None:
        """Report how much of the finished space is refitted, levels and pieces included."""
        if self.on_event is not None and self._event is not None:
            self.on_event(self._event._replace(stage=f"codes refitted: {done:.0%}", progress=1.0))

    def _by_steps(self, number: int, seconds: float) -> float:
        return number / self._length

    def _by_time(self, number: int, seconds: float) -> float:
        used = self._used + (1.0 - self._used) * (self._ranks.seconds - self._began) / self.budget
        return (used - self._low) / self._stage.share

    def _on_step(self, step: Step) -> bool:
        """Log, report and save after a step; True when the budget of steps is used up."""
        state, share = self.state, self._stage.share
        self._taken += 1
        self._samples += self._objective.samples_per_step
        elapsed = self._ranks.seconds - self._began
        state.step, state.used = step.number, min(1.0, self._low + share * min(1.0, step.progress))
        state.seconds = self._seconds + elapsed
        event = TrainEvent(self._stage.name, step, state.used, self._samples / max(1e-9, elapsed))
        self._log(event)
        self._event = event
        if self.on_event is not None:
            self.on_event(event)
        if self.checkpoints and self._ranks.seconds - self._saved > CHECKPOINT_SECONDS:
            state.moments = self._optimizer.state()
            whole = gather_state(state, self.sharding)
            if self.path is not None:
                whole.save(self.path, unfinished=True)
            self._saved = self._ranks.seconds
        return self.steps is not None and self._taken >= self.steps

    def _log(self, event: TrainEvent) -> None:
        """Keep a row of the log, if it is the first of a stage or lies far enough after the last one."""
        log, step = self.state.log, event.step
        if not log or event.progress - log[-1]["progress"] >= LOG_SPACING or event.stage != log[-1]["stage"]:
            row = {"stage": event.stage, "step": step.number, "progress": round(event.progress, 5), "loss": step.loss}
            row["terms"] = step.terms
            row["rates"] = {name: rate * step.scale for name, rate in self._stage.rates.items()}
            row["samples_per_second"] = round(event.samples_per_second)
            log.append(row)


def _when_read(objective: StageObjective, wait: Callable[[int], None], step: int) -> dict[str, Tensor]:
    """Loss terms of a step, once its samples are read."""
    wait(step)
    return objective(step)


def _stage_optimizer(state: TrainState, stage: Stage, objective: StageObjective) -> Adam:
    """Adam over the parameter groups that a stage gives rates to, all others frozen."""
    tensors = {**state.decoder.groups(), "codes": [state.codes.weight]}
    unknown = sorted(set(stage.rates) - set(tensors))
    if unknown:
        raise ValueError(f"stage {stage.name!r} gives a rate to {unknown[0]!r}, this decoder has {', '.join(tensors)}")
    for name, parameters in tensors.items():
        for parameter in parameters:
            parameter.requires_grad_(name in stage.rates)
    groups = [Group(name=n, parameters=tensors[n], rate=r, sparse=n == "codes") for n, r in stage.rates.items()]
    optimizer = Adam(groups, norm=objective.norm)
    if state.moments:
        optimizer.restore(state.moments)
    return optimizer


def _warm_up(progress: float) -> float:
    """Scale of the rates in a stage that another one follows: full rate after the warm-up."""
    return min(1.0, (progress + 1e-3) / 0.01)
