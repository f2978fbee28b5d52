"""Plane sections of a field, for its level sets."""

from __future__ import annotations

import numpy as np
import torch

from ..core.field import evaluate
from ..space.shape import Shape
from .packets import pack_packet

SIDE = 1.05
"""Half width of a section in the view frame (`shaded_mesh`); shapes lie within the unit sphere."""
CELLS = (8, 256)
"""Range of the samples per side."""


def section_packet(shape: Shape, axis: int, offset: float, cells: int) -> bytes:
    """Sample a field on a plane across one axis of the view frame.

    Args:
        shape: whose field is sampled, its correction included.
        axis: 0, 1 or 2, across the plane.
        offset: of the plane on that axis, view frame.
        cells: samples per side.

    Returns:
        A packet with `values` (cells, cells) float32, signed distances in the unit frame, rows along the later and
        columns along the earlier of the other two axes, from -`SIDE` to `SIDE`; outside the cube of the unit frame the
        values at its border.

    Raises:
        ValueError: an axis, offset or number of samples out of range.
    """
    if axis not in (0, 1, 2) or not CELLS[0] <= cells <= CELLS[1] or not abs(offset) <= SIDE:
        raise ValueError(
            f"a section has an axis of 0 to 2, an offset within {SIDE} and {CELLS[0]} to {CELLS[1]} samples a side, "
            f"got {axis}, {offset} and {cells}"
        )
    ticks = np.linspace(-SIDE, SIDE, cells)
    rows, columns = np.meshgrid(ticks, ticks, indexing="ij")
    view = np.insert(np.stack([columns.ravel(), rows.ravel()], 1), axis, offset, axis=1)
    unit = torch.from_numpy(view @ shape.frame.rotation.T).to(shape.code).clamp(-1.0, 1.0)
    values = evaluate(shape.sdf, unit).detach().cpu().numpy().astype(np.float32)
    facts = {"axis": axis, "offset": offset, "side": SIDE, "cells": cells, "scale": shape.frame.scale}
    return pack_packet(facts, {"values": values.reshape(cells, cells)})
