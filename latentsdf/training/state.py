"""State of a training run: all that changes while it runs, stored beside the space and restored to resume it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..core.optimize import Stop
from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..space.shape import Shape
from ..space.space import LatentSpace
from ..space.store import ResumeState, load, load_resume, save
from .code_precision import stored_codes
from .code_refit import refitted_codes
from .config import TrainConfig, config_from_dict, config_to_dict
from .initialization import initial_state
from .levels import levelled
from .warm_start import aligned_rotations
from .weight_precision import stored_weights

_MOMENTS, _ROTATIONS, _OLD_ROTATIONS = "adam/", "rotations", "turns"
"""Names of tensors in a file's resume state; files of earlier versions name the rotations otherwise."""
_REFIT_SHARE = 0.7
"""Part of the work on a finished space that refitting its codes is; the rest is their levels and pieces."""
FACTS = ("stage", "step", "seconds", "used", "log", "begun_from")
"""Plain values of a state, which are stored as JSON."""


@dataclass
class TrainState:
    """State of a training run.

    Attributes:
        dataset: the shapes, rotated as they are trained.
        config: of the run.
        decoder, codes: the network and the table of codes (S, D).
        rotations: (S, 3, 3) of the cube group that the shapes were rotated by; None where they keep their axes.
        begun_from: fingerprint of the start space that is rehearsed; None where nothing is.
        stage, step: index of the stage, and steps taken in it.
        used: part of the schedule that is done, 0 to 1.
        seconds: wall clock of all calls together.
        stop: why the last call ended.
        log: rows of the run.
        moments: of the optimizer, by name; empty where a stage begins.
    """

    dataset: Dataset
    config: TrainConfig
    decoder: Decoder
    codes: nn.Embedding
    rotations: Tensor | None = None
    begun_from: str | None = None
    stage: int = 0
    step: int = 0
    used: float = 0.0
    seconds: float = 0.0
    stop: Stop = Stop.PAUSED
    log: list[dict[str, Any]] = field(default_factory=list)
    moments: dict[str, Tensor] = field(default_factory=dict)

    @staticmethod
    def fresh(dataset: Dataset, config: TrainConfig, start: LatentSpace | None, device: torch.device) -> TrainState:
        """State before the first step; ValueError where the space of a warm start does not fit, or is empty."""
        rotations = aligned_rotations(dataset, config, start)
        dataset = dataset if rotations is None else dataset.rotated(rotations)
        decoder, codes = initial_state(dataset, config, start, device)
        return TrainState(dataset, config, decoder, codes, rotations)

    @staticmethod
    def restore(path: Path, dataset: Dataset, config: TrainConfig | None, device: torch.device) -> TrainState:
        """State of the unfinished run in a space file, of this or an earlier version.

        Args:
            path: the file.
            dataset: the one that the run was begun with.
            config: where given, its decoder must be the run's; all else is the run's.
            device: of decoder, codes and moments.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the run is finished, or was begun with other shapes or another decoder.
        """
        space, resume = load(path, device), load_resume(path)
        if resume is None:
            raise ValueError(f"{path} holds a finished space, there is nothing to resume; train into another file")
        facts, tensors = resume.facts, resume.tensors
        if list(dataset.names) != list(facts["names"]):
            raise ValueError(
                f"{path} was being trained on other shapes ({len(facts['names'])}) than this dataset holds "
                f"({len(dataset)}); resume with the dataset the run was begun with"
            )
        stored = config_from_dict(facts["config"])
        if config is not None and config.decoder != stored.decoder:
            raise ValueError(f"{path} was begun with another decoder or code size; leave those options out to resume")
        rotations = tensors.get(_ROTATIONS, tensors.get(_OLD_ROTATIONS))
        codes = nn.Embedding(len(dataset), space.code_size, sparse=True, _weight=tensors["codes"].clone())
        return TrainState(
            dataset if rotations is None else dataset.rotated(rotations.cpu()),
            stored,
            space.decoder.requires_grad_(True),
            codes.to(device),
            rotations,
            moments={k.removeprefix(_MOMENTS): v.to(device) for k, v in tensors.items() if k.startswith(_MOMENTS)},
            **{name: facts[name] for name in FACTS if name in facts},
        )

    def check_start(self, fingerprint: str) -> None:
        """Note the fingerprint of the rehearsed start space; ValueError if the run was begun from another one."""
        if self.begun_from not in (None, fingerprint):
            text = f"{self.config.start} is not the space any more that this run was begun from"
            raise ValueError(f"{text}; put that one back, or train afresh")
        self.begun_from = fingerprint

    def save(self, path: Path, *, unfinished: bool, on_part: Callable[[float], None] = lambda done: None) -> None:
        """Write a finished space in its compact form, or an unfinished one with the state to resume it from.

        Args:
            path: of the file.
            unfinished: which of the two.
            on_part: called with the part of the work on a finished space that is done, 0 to 1.

        Raises:
            OSError: the disk refused.
        """
        if not unfinished:
            size, seed, codes = self.config.code_bytes, self.config.seed, self.codes.weight.detach()
            weights = stored_weights(self.decoder, codes, self.dataset, seed)
            decoder = weights.decoder.eval().requires_grad_(False)
            if self.config.refit and not self.config.nested:
                codes = refitted_codes(decoder, codes, self.dataset, seed, lambda done: on_part(_REFIT_SHARE * done))
            stored = stored_codes(decoder, codes, self.dataset, size, seed)
            space = space_of(decoder, stored.codes, self.dataset, self._history())
            if self.config.refit:
                space = levelled(
                    space, self.dataset, seed, lambda done: on_part(_REFIT_SHARE + (1 - _REFIT_SHARE) * done)
                )
            save(space, path, precision=weights.steps or "float16", codes=stored.code_format)
        else:
            facts: dict[str, Any] = {name: getattr(self, name) for name in FACTS}
            facts |= {"names": list(self.dataset.names), "config": config_to_dict(self.config)}
            tensors = {"codes": self.codes.weight, **{_MOMENTS + name: value for name, value in self.moments.items()}}
            if self.rotations is not None:
                tensors[_ROTATIONS] = self.rotations
            save(self.space(), path, resume=ResumeState(facts, tensors))

    def space(self) -> LatentSpace:
        """The latent space as trained so far."""
        return space_of(self.decoder, self.codes.weight.detach(), self.dataset, self._history())

    def _history(self) -> dict[str, Any]:
        return {
            "config": config_to_dict(self.config),
            "log": self.log,
            "seconds": round(self.seconds, 3),
            "stop": self.stop.value,
            "progress": self.used,
        }


def space_of(decoder: Decoder, codes: Tensor, dataset: Dataset, history: dict[str, Any]) -> LatentSpace:
    """The latent space of a decoder and the codes (S, D) of a dataset's shapes."""
    columns = (dataset.frames, dataset.sources, dataset.audits, dataset.records)
    rows = zip(dataset.names, codes, *columns, strict=True)
    shapes = [
        Shape(
            name,
            code.clone(),
            frame,
            decoder,
            {"source": source, "audit": audit.to_dict() if audit else None},
            record=record,
        )
        for name, code, frame, source, audit, record in rows
    ]
    return LatentSpace(decoder, shapes, history)
