"""Configuration of a training run, as it is stored in every space file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from ..decoder.deepsdf import DeepSDFConfig
from ..decoder.kinds import DecoderConfig, decoder_from_dict, decoder_to_dict
from ..decoder.volumes import VolumesConfig
from .stages import DEEPSDF, FIT_CODES, GENERALIZE, OVERFIT, VOLUMES, Stage

TRUNCATION = 0.1
"""Distance within which the loss compares; as far as the lattices of a dataset reach by default."""
CODE_PRIOR = 1e-4
"""Weight of the mean squared code in the loss; a larger one packs codes tighter and fits training shapes less."""
NESTING = 0.25
"""Part of a step's shapes that are decoded from a prefix of their code, where a space is trained for prefixes."""
_RETIRED = {"truncation": TRUNCATION, "code_prior": CODE_PRIOR, "nesting": NESTING}
"""Fields of files of earlier versions, and the constants in their place."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Decoder, schedule, loss and start of a training run."""

    decoder: DecoderConfig = field(default_factory=VolumesConfig)
    """The network."""
    stages: tuple[Stage, ...] | None = None
    """The schedule; None takes the decoder's own: one stage, or for the dual one generalize then overfit."""
    shapes_per_batch: int = 32
    """Shapes a step. Larger moves more codes at once and makes a step slower."""
    points_per_shape: int = 512
    """Points a shape, a branch and a step. Larger gives smoother gradients and makes a step slower: in equal time 512
    come closer than 1,024."""
    truncate: Literal["soft", "clamp"] = "soft"
    """Truncation of distances in the loss. `soft`: tanh on both sides, gradients everywhere. `clamp`: hard on both
    sides, as DeepSDF released."""
    far_weight: float = 0.05
    """Weight of the distance error that is not truncated. Larger keeps the field a distance far from the surface."""
    tail: float = 20.0
    """Weight of the squared truncated error. Larger forgives a missing limb or a ghost less, and small errors more; 0
    leaves the absolute error alone, as published."""
    start: str = "components"
    """Initial guess of decoder and codes: `components` (codes from principal components of the shapes' lattices),
    `random`, `base` (warm start from the space that comes with the library), or the path of a space file."""
    align: bool = True
    """Whether a warm start first rotates each shape, in one of the 24 ways of the cube group, to how the start space
    holds such shapes; its frame rotates along. Without a start space shapes keep their axes."""
    nested: tuple[int, ...] = ()
    """Prefix sizes at which codes are to be readable, beside the whole code. They cost it an eighth of its fidelity."""
    rehearsal: float = 0.0
    """Part of `shapes_per_batch` that is given to stored shapes of the start space, as that space decodes them. Larger
    forgets less of it, for unseen shapes, and leaves less for the collection."""
    code_bytes: float = 140.0
    """Most bytes that a code takes in the file of the finished space, in the mean. Larger keeps more of what long codes
    hold; codes whose rounding is well below the error of training take less."""
    refit: bool = True
    """Whether a finished space takes a Gauss-Newton step on each code, against its stored decoder (not where codes are
    nested, whose prefixes it would spoil), and a level for each field that keeps its thin walls."""
    minutes: float = 10.0
    """Time budget that the schedule is scaled to; used unless a run is given steps."""
    schedule_steps: int = 20_000
    """Length of the schedule in steps; used when a run is given steps."""
    seed: int = 0
    """Seed of the initial network, the order of shapes and the points sampled."""

    def __post_init__(self) -> None:
        if self.shapes_per_batch < 1 or self.points_per_shape < 1 or self.schedule_steps < 1:
            raise ValueError("shapes_per_batch, points_per_shape and schedule_steps must be at least 1")
        if not self.minutes > 0 or not math.isfinite(self.minutes):
            raise ValueError(f"minutes must be positive, got {self.minutes}")
        if any(not 0 < size < self.decoder.code_size for size in self.nested):
            size = self.decoder.code_size
            raise ValueError(f"nested code lengths must lie between 0 and the code size {size}, got {self.nested}")
        if not self.code_bytes > 0:
            raise ValueError(f"code_bytes must be positive, got {self.code_bytes}")
        if not 0 <= self.rehearsal < 1:
            raise ValueError(f"rehearsal must lie in [0, 1), got {self.rehearsal}")
        for name in ("far_weight", "tail"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")

    @property
    def warm(self) -> bool:
        """Whether the run starts from a trained space."""
        return self.start not in ("components", "random")

    @property
    def suits_codes(self) -> bool:
        """Whether a warm start fits the codes of the collection at once and turns them to axes that suit it.

        Decoders do that whose fields are linear in the code up to a head; nested codes keep their axes, and so do the
        codes of shapes that are rehearsed.
        """
        return self.warm and isinstance(self.decoder, VolumesConfig) and not self.rehearsal and not self.nested

    def plan(self) -> tuple[Stage, ...]:
        """The stages of the schedule, with shares that sum to 1."""
        stages = self.stages
        if stages is None:
            kind = type(self.decoder)
            stages = {DeepSDFConfig: (DEEPSDF,), VolumesConfig: (VOLUMES,)}.get(kind, (GENERALIZE, OVERFIT))
            if kind is not DeepSDFConfig and self.warm and not self.suits_codes:
                stages = (replace(FIT_CODES, losses=stages[0].losses), *stages)
        total = sum(stage.share for stage in stages)
        return tuple(replace(stage, share=stage.share / total) for stage in stages)


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """A training config as plain JSON values."""
    plain = {name: value for name, value in asdict(config).items() if name not in ("decoder", "stages")}
    plain["decoder"] = decoder_to_dict(config.decoder)
    plain["stages"] = None if config.stages is None else [asdict(stage) for stage in config.stages]
    return plain


def config_from_dict(plain: Mapping[str, Any]) -> TrainConfig:
    """The config that `config_to_dict` wrote, in this or an earlier version.

    Raises:
        TypeError: an unknown field.
        ValueError: a value out of range, or one that this version trains with another constant for.
    """
    values = dict(plain)
    values.pop("checkpoint_seconds", None)
    for name, constant in _RETIRED.items():
        if (value := values.pop(name, constant)) != constant:
            raise ValueError(
                f"the run was begun with {name} {value}, this version trains with {constant}; train afresh"
            )
    values["decoder"] = decoder_from_dict(values["decoder"])
    if values.get("stages") is not None:
        values["stages"] = tuple(Stage(**stage) for stage in values["stages"])
    values["nested"] = tuple(values.get("nested", ()))
    for name in ("rehearsal", "tail"):
        values.setdefault(name, 0.0)
    values.setdefault("align", False)
    return TrainConfig(**values)
