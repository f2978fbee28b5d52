"""Training configurations by the names of the command line."""

from __future__ import annotations

from collections.abc import Callable

from ..decoder.coarse import CoarseMLP
from ..decoder.deepsdf import DeepSDFConfig
from ..decoder.dual import DualConfig
from ..decoder.kinds import DecoderConfig
from ..decoder.linear import LinearConfig
from .config import TrainConfig
from .stages import JOINT

NESTED = (16, 32)
"""Code lengths below the whole one that spaces of the default decoder can be read at."""


def named_config(name: str, code_size: int, seed: int = 0, joint: bool = False) -> TrainConfig:
    """The training config of a decoder by its command-line name.

    Args:
        name: `dual` (coarse branch of volumes, started from the base space, nested codes), `dual-mlp` (the published
            kind of coarse branch), `deepsdf` (released network, loss and start, with batches that a CPU can step
            through), or `linear`.
        code_size: D.
        seed: of the run.
        joint: one joint stage instead of generalize then overfit; for the dual decoders.

    Raises:
        ValueError: unknown name, or `joint` for a decoder that has no such schedule.
    """
    stages = (JOINT,) if joint else None
    start = "base" if name == "dual" and not joint else "components"
    if joint and name in ("deepsdf", "linear"):
        raise ValueError(f"the joint schedule is one of the dual decoders; the {name} decoder has its own")
    if name == "deepsdf":
        return TrainConfig(
            decoder=DeepSDFConfig(code_size=code_size),
            truncate="clamp",
            far_weight=0.0,
            start="random",
            shapes_per_batch=8,
            points_per_shape=1024,
            seed=seed,
        )
    decoders: dict[str, Callable[[], DecoderConfig]] = {
        "dual": lambda: DualConfig(code_size=code_size),
        "dual-mlp": lambda: DualConfig(code_size=code_size, coarse=CoarseMLP()),
        "linear": lambda: LinearConfig(code_size=code_size),
    }
    if name not in decoders:
        raise ValueError(f"unknown decoder {name!r}; choose one of {', '.join(decoders)}, deepsdf")
    nested = tuple(size for size in NESTED if size < code_size) if name == "dual" else ()
    return TrainConfig(decoder=decoders[name](), stages=stages, seed=seed, start=start, nested=nested)
