"""A scan alone to a signed distance function by one linear solve: seconds where a descent takes minutes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import numpy as np

from ..core.optimize import Stop
from ..scan.neighbourhoods import neighbour_distances, noise_level
from ..scan.outliers import outlier_fraction, remove_outliers, require_solid
from ..scan.scan import Scan
from ..solver.galerkin import SolveConfig, SolveStop, solve
from .descent import LEAST_POINTS, Fitted

SOLVED = "splines"
"""The kind of network that a solve says it has."""
COARSEST, FINEST = 32, 256
"""Cells an axis that are chosen without being asked for."""
CELLS = 1.5
"""Cells to the distance from a point to its sixth neighbour."""
NOISE = 5.0
"""A cell is not chosen smaller than this many standard deviations of the noise."""


def solve_scan(
    scan: Scan,
    config: SolveConfig | None = None,
    *,
    points: int = 200_000,
    seed: int = 0,
    on_level: Callable[[float], object] | None = None,
) -> Fitted:
    """Find the surface of a scan without a latent space, by one linear solve (`solver.solve`).

    Points are weighed by their learned reliability where more than one in a hundred looks like a stray.

    Args:
        scan: points in their own units; normals help but are not needed.
        config: of the solve; None takes the defaults at `fitting_resolution`, and weighs points as said above.
        points: kept; a larger scan is subsampled.
        seed: of everything random.
        on_level: called with the share of the unknowns that are solved for.

    Returns:
        The field and what is known of it: `steps` are iterations of conjugate gradients, and there is no trace.

    Raises:
        ValueError: too few distinct points, or all of them in one plane or on one line.

    Example:
        >>> found = solve_scan(Scan.load("scan.ply"))
        >>> found.mesh(256).export("shape.ply")
    """
    began = monotonic()
    ready = require_solid(remove_outliers(scan, points, 0.0, LEAST_POINTS, seed))
    frame = ready.frame()
    unit = ready.transformed(frame)
    notes = ready.notes
    if config is None:
        config = SolveConfig(resolution=fitting_resolution(unit))
        share = outlier_fraction(unit, seed)
        if share:
            config = replace(config, robust="learned")
            notes = (*notes, f"{share:.0%} of the points look like strays and hardly count")
    solution = solve(unit, config=config, on_level=on_level)
    notes = (*notes, f"{config.resolution} cells an axis, {solution.unknowns:,} unknowns")
    if solution.stop is SolveStop.EXHAUSTED:
        notes = (*notes, f"the solve ended at a residual of {solution.residual:.1g}: {solution.stop.value}")
    return Fitted(
        sdf=solution.sdf,
        frame=frame,
        stop=Stop.FINISHED,
        trace=(),
        steps=sum(solution.iterations),
        seconds=monotonic() - began,
        preset="",
        network=SOLVED,
        notes=notes,
    )


def fitting_resolution(unit: Scan) -> int:
    """Cells an axis that a scan in the unit frame has points for, and not so many that its noise is fitted.

    Returns:
        A power of two from 32 to 256.
    """
    width = max(float(np.median(neighbour_distances(unit.points))) / CELLS, NOISE * noise_level(unit.points), 1e-6)
    return min(max(2 ** round(math.log2(2.0 / width)), COARSEST), FINEST)
