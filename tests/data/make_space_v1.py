"""How space_v1.h5 was made, once, by format version 1. The committed file is the promise: never make it anew."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from latentsdf.core.frame import Frame
from latentsdf.decoder import CoarseMLP, DualConfig, build_decoder
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import save


def main(target: Path) -> None:
    """Write a space of three shapes with fixed random weights."""
    torch.manual_seed(0)
    config = DualConfig(
        code_size=4,
        coarse=CoarseMLP(width=8, depth=2, octaves=1),
        grid_resolution=4,
        grid_channels=2,
        fine_width=8,
        fine_depth=1,
        residual=False,
    )
    decoder = build_decoder(config).eval().requires_grad_(False)
    grid = decoder.get_parameter("grid")
    grid.copy_(torch.randn_like(grid))
    shapes = []
    for i, name in enumerate(("ball/0", "ball/1", "box/0")):
        frame = Frame(np.eye(3), 1.5 + i, np.array([1.0, 2.0, 3.0]) * i)
        shapes.append(Shape(name, torch.linspace(-1, 1, 4) * (i + 1), frame, decoder, {"source": f"{name}.ply"}))
    save(LatentSpace(decoder, shapes, {"stop": "made by hand"}), target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
