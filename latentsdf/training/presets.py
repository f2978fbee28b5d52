"""Training configurations by the names of the command line."""

from __future__ import annotations

from typing import Any

from ..decoder.coarse import CoarseMLP
from ..decoder.deepsdf import DeepSDFConfig
from ..decoder.dual import DualConfig
from ..decoder.linear import LinearConfig
from ..decoder.volumes import VolumesConfig
from .config import TrainConfig
from .stages import JOINT

DECODER, CODE_SIZE = "volumes", 128
"""Decoder and code size where none is asked for."""
NESTED = (16, 32, 64)
"""Prefix sizes below the whole code that spaces of volumes can be read at."""


def named_config(name: str = DECODER, code_size: int = CODE_SIZE, seed: int = 0, joint: bool = False) -> TrainConfig:
    """The training config of a decoder by its command-line name.

    Args:
        name: `volumes` (volumes linear in the code, nested codes), `dual` (the same as the coarse branch, a fine branch
            over a shared grid beside it, warm start from the base space), `dual-mlp` (the published kind of coarse
            branch), `deepsdf` (released network, loss and start, with batches that a CPU can step through), or
            `linear`.
        code_size: D.
        seed: of the run.
        joint: one joint stage instead of generalize then overfit; for the dual decoders.

    Raises:
        ValueError: unknown name, or `joint` for a decoder that has no such schedule.
    """
    if joint and name in ("volumes", "deepsdf", "linear"):
        raise ValueError(f"the joint schedule is one of the dual decoders; the {name} decoder has its own")
    stages = (JOINT,) if joint else None
    nested = tuple(size for size in NESTED if size < code_size)
    if name == "volumes":
        return TrainConfig(decoder=VolumesConfig(code_size=code_size), seed=seed, nested=nested)
    if name == "dual":
        dual = DualConfig(code_size=code_size)
        start = "components" if joint else "base"
        return TrainConfig(decoder=dual, stages=stages, seed=seed, start=start, nested=nested)
    if name == "dual-mlp":
        dual = DualConfig(code_size=code_size, coarse=CoarseMLP())
        return TrainConfig(decoder=dual, stages=stages, seed=seed)
    if name == "deepsdf":
        decoder = DeepSDFConfig(code_size=code_size)
        loss: dict[str, Any] = {"truncate": "clamp", "far_weight": 0.0, "tail": 0.0}
        batch = {"shapes_per_batch": 8, "points_per_shape": 1024}
        return TrainConfig(decoder=decoder, start="random", seed=seed, **batch, **loss)
    if name == "linear":
        return TrainConfig(decoder=LinearConfig(code_size=code_size), seed=seed)
    raise ValueError(f"unknown decoder {name!r}; choose one of volumes, dual, dual-mlp, linear, deepsdf")
