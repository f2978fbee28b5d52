"""Where the surface of a prior lies, and which of it stays when points correct it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ..core.field import SDF, Jet, evaluate
from ..core.lattice import cell_centres

_CELLS = 48
"""Cells an axis of the lattice that the surface is looked for with."""
_NEIGHBORS = 16
"""Points that say how far the prior is off at a place."""


class PriorError(NamedTuple):
    """How far a prior is off.

    Attributes:
        points: (N, 3) of a scan.
        off: (N,) from each to the prior's surface.
    """

    points: NDArray[np.float64]
    off: NDArray[np.float64]


def surface_of(prior: SDF, held: SDF | None, width: float) -> NDArray[np.float64]:
    """Places (K, 3) of a prior's surface in the cube.

    Args:
        prior: in the unit frame, with derivatives.
        held: the prior as far as points let it be (`Bounded`): what it moves by half a width is left out.
        width: places are on the surface to a tenth of it, in the unit frame.
    """
    places = cell_centres(_CELLS)
    places = places[evaluate(prior, places).abs() < 2.0 / _CELLS]
    for _ in range(2):
        places = torch.cat([Jet(prior, part).project().detach() for part in places.split(20_000)])
    surface = places[(places.abs() <= 1).all(1) & (evaluate(prior, places).abs() < 0.1 * width)]
    if held is not None:
        surface = surface[evaluate(held, surface).abs() < 0.5 * width]
    return surface.double().cpu().numpy()


def fixed_surface(surface: NDArray[np.float64], known: PriorError, reach: float, width: float) -> NDArray[np.float64]:
    """Places (K, 3) of a prior's surface that points do not speak of.

    Where the prior is right at the points, what it says next to them is right as well; where it is off, the surface
    must be free to follow them, three times as far as it is off and no farther than the reach.

    Args:
        surface: (N, 3), see `surface_of`.
        known: how far the prior is off at the points.
        reach: in the unit frame.
        width: of a cell of the correction; closer than two of them to a point nothing is settled.
    """
    distance, nearest = (np.asarray(part) for part in KDTree(known.points).query(surface, _NEIGHBORS))
    free = np.clip(3.0 * np.median(known.off[nearest], 1), 2.0 * width, max(reach, 2.0 * width))
    return surface[distance[:, 0] > free]
