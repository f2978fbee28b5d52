"""Training configurations by the names of the command line."""

from __future__ import annotations

from typing import Any

from ..decoder.coarse import CoarseMLP
from ..decoder.deepsdf import DeepSDFConfig
from ..decoder.dual import DualConfig
from ..decoder.linear import LinearConfig
from .config import TrainConfig
from .stages import JOINT

NESTED = (16, 32)
"""Prefix sizes below the whole code that spaces of the default decoder can be read at."""


def named_config(name: str, code_size: int, seed: int = 0, joint: bool = False) -> TrainConfig:
    """The training config of a decoder by its command-line name.

    Args:
        name: `dual` (coarse branch of volumes, warm start from the base space, nested codes), `dual-mlp` (the published
            kind of coarse branch), `deepsdf` (released network, loss and start, with batches that a CPU can step
            through), or `linear`.
        code_size: D.
        seed: of the run.
        joint: one joint stage instead of generalize then overfit; for the dual decoders.

    Raises:
        ValueError: unknown name, or `joint` for a decoder that has no such schedule.
    """
    if joint and name in ("deepsdf", "linear"):
        raise ValueError(f"the joint schedule is one of the dual decoders; the {name} decoder has its own")
    stages = (JOINT,) if joint else None
    if name == "dual":
        dual, nested = DualConfig(code_size=code_size), tuple(size for size in NESTED if size < code_size)
        start = "components" if joint else "base"
        return TrainConfig(decoder=dual, stages=stages, seed=seed, start=start, nested=nested)
    if name == "dual-mlp":
        dual = DualConfig(code_size=code_size, coarse=CoarseMLP())
        return TrainConfig(decoder=dual, stages=stages, seed=seed)
    if name == "deepsdf":
        decoder = DeepSDFConfig(code_size=code_size)
        loss: dict[str, Any] = {"truncate": "clamp", "far_weight": 0.0}
        return TrainConfig(decoder=decoder, start="random", shapes_per_batch=8, seed=seed, **loss)
    if name == "linear":
        return TrainConfig(decoder=LinearConfig(code_size=code_size), seed=seed)
    raise ValueError(f"unknown decoder {name!r}; choose one of dual, dual-mlp, linear, deepsdf")
