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

DECODER = "volumes"
"""Decoder where none is asked for."""
CODE_SIZES = {"volumes": 256, "dual": 64, "dual-mlp": 64, "deepsdf": 256, "linear": 256}
"""Code size of each decoder where none is asked for."""
BYTES_PER_NUMBER = 0.425
"""Bytes of a code per number of it at which unseen shapes come closest: more numbers are rounded too coarsely, fewer
say less: of bases restricted to 64 to 256 numbers, 68 bytes each, 160 came closest (`benchmarks/code_lengths.py`)."""
NESTED = (16, 32, 64)
"""Prefix sizes below the whole code that spaces of the dual decoder can be read at."""

REHEARSAL = 0.125
"""Part of a batch of a dual decoder that begins from the base space which is given to shapes of that."""


def named_config(name: str = DECODER, code_size: int | None = None, seed: int = 0, joint: bool = False) -> TrainConfig:
    """The training config of a decoder by its command-line name.

    Args:
        name: `volumes` (volumes linear in the code), `dual` (the same as the coarse branch, a fine branch over a shared
            grid beside it, nested codes, warm start from the base space), `dual-mlp` (the published kind of coarse
            branch), `deepsdf` (released network, loss and start, with batches that a CPU can step through), or
            `linear`.
        code_size: D; None is the decoder's own.
        seed: of the run.
        joint: one joint stage instead of generalize then overfit; for the dual decoders.

    Raises:
        ValueError: unknown name, or `joint` for a decoder that has no such schedule.
    """
    if joint and name in ("volumes", "deepsdf", "linear"):
        raise ValueError(f"the joint schedule is one of the dual decoders; the {name} decoder has its own")
    if name not in CODE_SIZES:
        raise ValueError(f"unknown decoder {name!r}; choose one of {', '.join(CODE_SIZES)}")
    code_size = CODE_SIZES[name] if code_size is None else code_size
    stages = (JOINT,) if joint else None
    if name == "volumes":
        return TrainConfig(decoder=VolumesConfig(code_size=code_size), align=False, seed=seed)
    if name == "dual":
        nested = tuple(size for size in NESTED if size < code_size)
        dual = DualConfig(code_size=code_size)
        start = "components" if joint else "base"
        return TrainConfig(decoder=dual, stages=stages, seed=seed, start=start, nested=nested, rehearsal=REHEARSAL)
    if name == "dual-mlp":
        dual = DualConfig(code_size=code_size, coarse=CoarseMLP())
        return TrainConfig(decoder=dual, stages=stages, seed=seed)
    if name == "deepsdf":
        decoder = DeepSDFConfig(code_size=code_size)
        loss: dict[str, Any] = {"truncate": "clamp", "far_weight": 0.0, "tail": 0.0}
        batch = {"shapes_per_batch": 8, "points_per_shape": 1024}
        return TrainConfig(decoder=decoder, start="random", refit=False, seed=seed, **batch, **loss)
    return TrainConfig(decoder=LinearConfig(code_size=code_size), seed=seed)


def code_size_of_bytes(size: float) -> int:
    """Numbers of a code of the volumes decoder that suit so many bytes, at most its own."""
    return max(1, min(CODE_SIZES["volumes"], round(size / BYTES_PER_NUMBER)))
