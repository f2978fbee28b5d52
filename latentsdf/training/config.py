"""What a training run does, as data: stages, presets, and the configuration stored in every space file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ..decoder.deepsdf import DeepSDFConfig
from ..decoder.dual import DualConfig
from ..decoder.kinds import DecoderConfig, decoder_from_dict, decoder_to_dict
from .stages import DEEPSDF, GENERALIZE, OVERFIT, PLACE, Stage


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a space is trained."""

    decoder: DecoderConfig = field(default_factory=DualConfig)
    """The network."""
    stages: tuple[Stage, ...] | None = None
    """What is fitted when; None takes the decoder's own: generalize then overfit, or DeepSDF's."""
    shapes_per_batch: int = 32
    """Shapes a step. Larger moves more codes at once and makes a step slower."""
    points_per_shape: int = 1024
    """Points a shape, a branch and a step. Larger gives smoother gradients and makes a step slower."""
    truncation: float = 0.1
    """Distances are compared within about this. Larger cares more for far space, smaller for the surface."""
    truncate: Literal["soft", "clamp"] = "soft"
    """`soft`: tanh on both sides, gradients everywhere. `clamp`: hard on both sides, as DeepSDF released."""
    far_weight: float = 0.05
    """Weight of the distance error that is not truncated. Larger keeps the field a distance far from the surface."""
    code_prior: float = 1e-4
    """Weight of the mean squared code. Larger packs codes tighter and fits training shapes less."""
    start: str = "components"
    """What a run starts from: `components` (codes from principal components of the shapes' lattices), `random`,
    `base` (the space that comes with the library), or the path of a space file to go on from."""
    align: bool = True
    """Whether each shape is first set on the axes, in one of 24 ways, as the space that the run starts from knows such
    shapes; its frame turns along. Without such a space shapes stay as they are."""
    nested: tuple[int, ...] = ()
    """Code lengths that shapes are to be readable at, beside the whole code. More of them cost some of its fidelity."""
    nesting: float = 0.25
    """Part of the steps' shapes that are read by a prefix of their code. Larger serves short codes better."""
    rehearsal: float = 0.125
    """Part of `shapes_per_batch` that is given to stored shapes of the space that the run starts from, as that space
    decodes them. Larger keeps more of what it knew, for unseen shapes, and leaves less for the collection."""
    minutes: float = 10.0
    """Time budget that the schedule is scaled to; used unless a run is given steps."""
    schedule_steps: int = 20_000
    """Length of the schedule in steps; used when a run is given steps."""
    checkpoint_seconds: float = 60.0
    """How often an unfinished run is written to its file."""
    seed: int = 0
    """Seed of the initial network, the order of shapes and the points drawn."""

    def __post_init__(self):
        if self.shapes_per_batch < 1 or self.points_per_shape < 1 or self.schedule_steps < 1:
            raise ValueError("shapes_per_batch, points_per_shape and schedule_steps must be at least 1")
        if not self.minutes > 0 or not math.isfinite(self.minutes):
            raise ValueError(f"minutes must be positive, got {self.minutes}")
        if not self.truncation > 0:
            raise ValueError(f"truncation must be positive, got {self.truncation}")
        if any(not 0 < size < self.decoder.code_size for size in self.nested) or not 0 <= self.nesting < 1:
            raise ValueError(
                f"nested code lengths must lie between 0 and the code size {self.decoder.code_size} and their part in "
                f"[0, 1), got {self.nested} and {self.nesting}"
            )
        if not 0 <= self.rehearsal < 1:
            raise ValueError(f"rehearsal must lie in [0, 1), got {self.rehearsal}")
        if self.far_weight < 0 or self.code_prior < 0:
            raise ValueError("far_weight and code_prior must not be negative")

    def plan(self) -> tuple[Stage, ...]:
        """The stages, with shares that sum to 1."""
        stages = self.stages
        if stages is None:
            one_field = isinstance(self.decoder, DeepSDFConfig)
            stages = (DEEPSDF,) if one_field else (GENERALIZE, OVERFIT)
            if not one_field and self.start not in ("components", "random"):
                stages = (PLACE, *stages)
        total = sum(stage.share for stage in stages)
        return tuple(replace(stage, share=stage.share / total) for stage in stages)


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """A training config as plain JSON values."""
    plain = {name: value for name, value in asdict(config).items() if name not in ("decoder", "stages")}
    plain["decoder"] = decoder_to_dict(config.decoder)
    plain["stages"] = None if config.stages is None else [asdict(stage) for stage in config.stages]
    return plain


def config_from_dict(plain: Mapping[str, Any]) -> TrainConfig:
    """The config that `config_to_dict` wrote.

    Raises:
        TypeError, ValueError: an unknown field or a value out of range.
    """
    values = dict(plain)
    values["decoder"] = decoder_from_dict(values["decoder"])
    if values.get("stages") is not None:
        values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
    values["nested"] = tuple(values.get("nested", ()))
    values.setdefault("rehearsal", 0.0)
    values.setdefault("align", False)
    return TrainConfig(**values)
