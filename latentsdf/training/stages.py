"""Stages of a training run, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stretch of a training run, as data: which fields are fitted to which samples, and what moves how fast."""

    name: str
    """Shown in logs."""
    share: float
    """Part of the whole schedule, in (0, 1]; the shares of a run are scaled to sum to 1."""
    losses: Mapping[str, Mapping[str, float]]
    """Branch of the decoder -> sample group of the dataset -> part of that branch's points."""
    rates: Mapping[str, float]
    """Parameter group, or `codes` -> learning rate at the start of the stage; a group that is not named rests."""

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ValueError(f"the share of stage {self.name!r} must be positive, got {self.share}")
        if not self.losses or not self.rates:
            raise ValueError(f"stage {self.name!r} fits nothing or moves nothing")
        if any(not rate > 0 for rate in self.rates.values()):
            raise ValueError(f"the rates of stage {self.name!r} must be positive, got {dict(self.rates)}")


_NEAR = {"near": 0.8, "uniform": 0.2}
VOLUMES = Stage(name="volumes", share=1.0, losses={"sdf": _NEAR}, rates={"network": 5e-3, "codes": 5e-3})
"""Of the volumes decoder: codes and network together, over all shapes, at rates that fall from the start."""
FIT_CODES = Stage(name="codes", share=0.05, losses={"coarse": _NEAR}, rates={"codes": 2e-2})
"""First stage of a warm start: the codes alone, with the weights of the start space."""
GENERALIZE = Stage(name="generalize", share=0.6, losses={"coarse": _NEAR}, rates={"coarse": 3e-3, "codes": 5e-3})
"""First the codes and the coarse branch, over all shapes."""
OVERFIT = Stage(
    name="overfit",
    share=0.4,
    losses={"coarse": _NEAR, "fine": {"band": 1.0}},
    rates={"coarse": 1.5e-3, "codes": 2.5e-3, "fine": 2e-3, "grid": 1e-2},
)
"""Then the fine branch and the shared grid on band samples, everything else going on at half its rate."""
JOINT = Stage(
    name="joint",
    share=1.0,
    losses={"coarse": _NEAR, "fine": {"band": 1.0}},
    rates={"coarse": 3e-3, "codes": 5e-3, "fine": 2e-3, "grid": 1e-2},
)
"""Everything from the first step, as in the Compact-SDF paper."""
DEEPSDF = Stage(
    name="deepsdf",
    share=1.0,
    losses={"sdf": {"near": 0.94, "uniform": 0.06}},
    rates={"network": 5e-4, "codes": 1e-3},
)
"""DeepSDF's released rates and sample mix."""
