"""Training a latent space: one loop over the stages of a schedule, resumable to the bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..core.optimize import Adam, Group, Step, Stop, cosine, minimize
from ..core.threads import terms_of_parts, workers
from ..dataset.dataset import Dataset
from ..decoder.linear import LinearConfig
from ..space.shape import Shape
from ..space.space import LatentSpace
from ..space.store import ResumeState, load, load_resume, save
from .batch_sampler import BatchSampler, mixed_seed
from .config import TrainConfig, config_from_dict, config_to_dict
from .loss import distance_loss
from .pca import fit_linear
from .presets import named_config
from .rehearsal import Rehearsal
from .stages import Stage
from .warm_start import aligned_rotations, initial_state, make_rehearsal


class TrainEvent(NamedTuple):
    """What a training run reports after each step.

    Attributes:
        stage: name of the stage.
        step: the loop's own figures; `step.progress` is that of the stage.
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
        config: how; with resume it may be left out and is read from the file.
        path: space file that unfinished work is kept in and the finished space is written to; None keeps no file.
        resume: go on with the run whose state is in `path`.
        steps: take this many steps of the schedule (`TrainConfig.schedule_steps` long) in this call: a run of 2 N
            steps equals N, then resume for N, to the bit. None runs by time.
        minutes: time budget of this call; None is the config's, or what the resumed run has left.
        device: where the network lives.
        on_event: called after every step.

    Returns:
        The space. `space.history["stop"]` says why training ended.

    Raises:
        ValueError: the dataset is empty, or it is not the one the run was begun with, or nothing to resume.
        FileNotFoundError: no such dataset or space file.
    """
    dataset = dataset if isinstance(dataset, Dataset) else Dataset(dataset)
    if len(dataset) == 0:
        raise ValueError("the dataset holds no shape")
    if steps is not None and steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes must be positive, got {minutes}")
    if isinstance(config, TrainConfig) and isinstance(config.decoder, LinearConfig):
        space = _space_of(*fit_linear(dataset, config.decoder), dataset, {"stop": Stop.FINISHED.value})
        if path is not None:
            save(space, path)
        return space
    if resume:
        if path is None:
            raise ValueError("resume needs the path of the space file to go on with")
        run = _Run.resumed(dataset, Path(path), torch.device(device), config)
    else:
        run = _Run.fresh(
            dataset, config or named_config("dual", 64), torch.device(device), Path(path) if path else None
        )
    run.recall(torch.device(device))
    run.workers = _cores(run.decoder, torch.device(device))
    with workers(run.workers) as run.pool:
        run.go(steps, minutes, on_event)
    run.decoder.eval().requires_grad_(False)
    return run.space()


@dataclass
class _Run:
    """One training run: everything that changes while it goes on, and where it is kept."""

    dataset: Dataset
    config: TrainConfig
    decoder: Any
    codes: nn.Embedding
    path: Path | None
    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    used: float = 0.0
    stop: Stop = Stop.PAUSED
    log: list[dict[str, Any]] = field(default_factory=list)
    optimizer: Adam | None = None
    moments: dict[str, Tensor] = field(default_factory=dict)
    workers: int = 1
    pool: ThreadPoolExecutor | None = None
    rehearsal: Rehearsal | None = None
    begun_from: str | None = None
    turns: Tensor | None = None

    @property
    def draws(self) -> BatchSampler:
        """Which shapes the steps take."""
        return BatchSampler(self.config, len(self.dataset), 0 if self.rehearsal is None else len(self.rehearsal.codes))

    @staticmethod
    def fresh(dataset: Dataset, config: TrainConfig, device: torch.device, path: Path | None) -> _Run:
        turns = aligned_rotations(config, dataset)
        dataset = dataset if turns is None else dataset.rotated(turns)
        decoder, codes = initial_state(dataset, config, device)
        return _Run(dataset, config, decoder, codes, path, turns=turns)

    @staticmethod
    def resumed(dataset: Dataset, path: Path, device: torch.device, config: TrainConfig | None) -> _Run:
        space, state = load(path, device), load_resume(path)
        if state is None:
            raise ValueError(f"{path} holds a finished space, there is nothing to resume; train into another file")
        facts = state.facts
        if list(dataset.names) != list(facts["names"]):
            raise ValueError(
                f"{path} was being trained on other shapes ({len(facts['names'])}) than this dataset holds "
                f"({len(dataset)}); resume with the dataset the run was begun with"
            )
        stored = config_from_dict(facts["config"])
        if config is not None and config.decoder != stored.decoder:
            raise ValueError(f"{path} was begun with another decoder or code size; leave those options out to resume")
        codes = nn.Embedding(len(dataset), space.code_size, sparse=True, _weight=state.tensors["codes"].clone())
        turns = state.tensors.get("turns")
        dataset = dataset if turns is None else dataset.rotated(turns.cpu())
        run = _Run(dataset, stored, space.decoder.requires_grad_(True), codes.to(device), path, turns=turns)
        run.stage, run.step = facts["stage"], facts["step"]
        run.seconds, run.used, run.log = facts["seconds"], facts["used"], facts["log"]
        run.begun_from = facts.get("begun_from")
        run.moments = {k.removeprefix("adam/"): v.to(device) for k, v in state.tensors.items() if k.startswith("adam/")}
        return run

    def recall(self, device: torch.device) -> None:
        """Set up the rehearsal of the space that the run starts, or was started, from."""
        found = make_rehearsal(self.config, device)
        if found is None:
            return
        self.rehearsal, begun_from = found
        if self.begun_from not in (None, begun_from):
            raise ValueError(
                f"{self.config.start} is not the space any more that this run was begun from; put that one back, or "
                f"train afresh"
            )
        self.begun_from = begun_from

    def go(self, steps: int | None, minutes: float | None, on_event: Callable[[TrainEvent], None] | None) -> None:
        plan = self.config.plan()
        for branch in {branch for stage in plan for branch in stage.losses}:
            self.decoder.check_branch(branch)
        starts = np.concatenate([[0.0], np.cumsum([stage.share for stage in plan])])
        budget = (minutes if minutes is not None else self.config.minutes * (1.0 - self.used)) * 60.0
        left, at_start = 1.0 - self.used, self.used
        began, samples, taken, saved = time.monotonic(), 0, 0, time.monotonic()
        earlier = self.seconds
        self.decoder.train()
        while self.stage < len(plan):
            stage = plan[self.stage]
            self.optimizer = self._optimizer(stage)
            low, share = float(starts[self.stage]), stage.share
            length = max(1, round(share * self.config.schedule_steps))
            shapes = self.draws.batch + (self.draws.rehearsed_per_step if _moves_weights(stage) else 0)

            def by_steps(number: int, seconds: float, length: int = length) -> float:
                return number / length

            def by_time(number: int, seconds: float, low: float = low, share: float = share) -> float:
                total = at_start + left * (time.monotonic() - began) / budget
                return (total - low) / share

            def seen(
                step: Step, stage: Stage = stage, low: float = low, share: float = share, shapes: int = shapes
            ) -> bool:
                nonlocal samples, taken, saved
                taken += 1
                samples += shapes * self.config.points_per_shape * len(stage.losses)
                self.step, self.used = step.number, min(1.0, low + share * min(1.0, step.progress))
                self.seconds = earlier + time.monotonic() - began
                speed = samples / max(1e-9, time.monotonic() - began)
                event = TrainEvent(stage.name, step, self.used, speed)
                self._note(event, stage)
                if on_event is not None:
                    on_event(event)
                if self.path is not None and time.monotonic() - saved > self.config.checkpoint_seconds:
                    self.keep(unfinished=True)
                    saved = time.monotonic()
                return steps is not None and taken >= steps

            self.stop = minimize(
                self._objective(stage),
                self.optimizer,
                progress=by_steps if steps is not None else by_time,
                scale=cosine if self.stage == len(plan) - 1 else _held,
                on_step=seen,
                start=self.step,
            )
            if self.stop is Stop.PAUSED and self.step < length:
                break
            if self.stop in (Stop.INTERRUPTED, Stop.DIVERGED):
                break
            self.stage, self.step, self.moments, self.optimizer = self.stage + 1, 0, {}, None
            if self.stop is Stop.PAUSED and self.stage < len(plan):
                break
        if self.stage >= len(plan):
            self.stop, self.used = Stop.FINISHED, 1.0
        if self.path is not None:
            self.keep(unfinished=self.stop is not Stop.FINISHED)

    def keep(self, unfinished: bool) -> None:
        """Write the space, and the state to go on from while the schedule is not at its end."""
        state = None
        if unfinished:
            facts = {
                "stage": self.stage,
                "step": self.step,
                "seconds": self.seconds,
                "used": self.used,
                "log": self.log,
                "names": list(self.dataset.names),
                "begun_from": self.begun_from,
                "config": config_to_dict(self.config),
            }
            moments = self.optimizer.state() if self.optimizer is not None else self.moments
            tensors = {
                "codes": self.codes.weight,
                **({} if self.turns is None else {"turns": self.turns}),
                **{f"adam/{name}": value for name, value in moments.items()},
            }
            state = ResumeState(facts, tensors)
        assert self.path is not None
        save(self.space(), self.path, resume=state)

    def space(self) -> LatentSpace:
        """The space as it stands."""
        history = {
            "config": config_to_dict(self.config),
            "log": self.log,
            "seconds": round(self.seconds, 3),
            "stop": self.stop.value,
            "progress": self.used,
        }
        return _space_of(self.decoder, self.codes.weight.detach(), self.dataset, history)

    def _optimizer(self, stage: Stage) -> Adam:
        tensors = {**self.decoder.groups(), "codes": [self.codes.weight]}
        unknown = sorted(set(stage.rates) - set(tensors))
        if unknown:
            raise ValueError(
                f"stage {stage.name!r} gives a rate to {unknown[0]!r}, this decoder has {', '.join(tensors)}"
            )
        for name, parameters in tensors.items():
            for parameter in parameters:
                parameter.requires_grad_(name in stage.rates)
        optimizer = Adam(
            [Group(name=n, parameters=tensors[n], rate=r, sparse=n == "codes") for n, r in stage.rates.items()]
        )
        if self.moments:
            optimizer.restore(self.moments)
        return optimizer

    def _objective(self, stage: Stage) -> Callable[[int], dict[str, Tensor]]:
        device = self.codes.weight.device
        counts = {
            branch: {group: round(part * self.config.points_per_shape) for group, part in groups.items()}
            for branch, groups in stage.losses.items()
        }
        dense = [p for name, tensors in self.decoder.groups().items() if name in stage.rates for p in tensors]

        def part(rows: Tensor, known: Tensor, seed: int, codes: Tensor) -> dict[str, Tensor]:
            random = torch.Generator().manual_seed(seed)
            if self.rehearsal is not None and len(known):
                codes = torch.cat([codes, self.rehearsal.codes[known.to(device)]])
            state = self.decoder.prepare(self.draws.nested(codes, random))
            terms = {}
            for branch, groups in counts.items():
                points, distances = self.dataset.draw(rows, groups, random)
                if self.rehearsal is not None and len(known):
                    again = self.rehearsal.draw(known, points.shape[1], random)
                    points, distances = torch.cat([points, again[0]]), torch.cat([distances, again[1]])
                predicted = self.decoder.query(state, points.to(device), branch)
                terms[branch] = distance_loss(predicted, distances.to(device), self.config)
            return terms

        def objective(step: int) -> dict[str, Tensor]:
            rows = self.draws.rows(self.stage, step)
            codes = self.codes(rows.to(device))
            count = min(self.workers, len(rows))
            known = self.draws.rehearsed_rows(self.stage, step) if _moves_weights(stage) else torch.arange(0)
            pieces = zip(torch.tensor_split(rows, count), torch.tensor_split(known, count), strict=True)
            parts = [
                partial(part, piece, again, mixed_seed(self.config.seed, self.stage, step, number))
                for number, (piece, again) in enumerate(pieces)
            ]
            if self.pool is not None and len(parts) > 1:
                terms = terms_of_parts(parts, codes, dense, self.pool)
            else:
                with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                    torch.manual_seed(mixed_seed(self.config.seed, self.stage, step))
                    terms = parts[0](codes)
            if self.config.code_prior and "codes" in stage.rates:
                terms["prior"] = self.config.code_prior * codes.square().mean()
            return terms

        return objective

    def _note(self, event: TrainEvent, stage: Stage) -> None:
        """Log about four hundred rows over a run, whatever its length."""
        if not self.log or event.progress - self.log[-1]["progress"] >= 0.0025 or event.stage != self.log[-1]["stage"]:
            self.log.append(
                {
                    "stage": event.stage,
                    "step": event.step.number,
                    "progress": round(event.progress, 5),
                    "loss": event.step.loss,
                    "terms": event.step.terms,
                    "rates": {name: rate * event.step.scale for name, rate in stage.rates.items()},
                    "samples_per_second": round(event.samples_per_second),
                }
            )


def _cores(decoder: nn.Module, device: torch.device) -> int:
    """Threads that a step is spread over: torch's own count on a CPU; one where random state would be shared."""
    drops = any(isinstance(module, nn.Dropout) and module.p > 0 for module in decoder.modules())
    return 1 if drops or device.type != "cpu" else torch.get_num_threads()


def _moves_weights(stage: Stage) -> bool:
    """Whether there is anything to forget in a stage: not where the codes alone move."""
    return set(stage.rates) != {"codes"}


def _held(progress: float) -> float:
    """Scale of a stage that another follows: full rate after the warm-up."""
    return min(1.0, (progress + 1e-3) / 0.01)


def _space_of(decoder: Any, codes: Tensor, dataset: Dataset, history: dict[str, Any]) -> LatentSpace:
    shapes = [
        Shape(
            name,
            code.clone(),
            frame,
            decoder,
            {"source": source, "audit": audit.to_dict() if audit else None},
        )
        for name, code, frame, source, audit in zip(
            dataset.names, codes, dataset.frames, dataset.sources, dataset.audits, strict=True
        )
    ]
    return LatentSpace(decoder, shapes, history)
