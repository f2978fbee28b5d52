"""Fit of a scan without a latent space by one linear solve: seconds where a descent takes minutes."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

import numpy as np

from ..core.optimize import Stop
from ..scan.outliers import outlier_fraction, remove_outliers, require_solid
from ..scan.scan import Scan
from ..solver.galerkin import SolveConfig, SolveStop, solve
from ..solver.smoothing import noise_bending
from .fitted_field import MINIMUM_POINTS, FitMethod, Fitted

COARSEST, FINEST = 32, 256
"""Bounds of the number of cells per axis that is chosen by default."""
CELLS = 1.5
"""Cells per distance from a point to its sixth neighbour."""
NOISE = 3.5
"""Lower bound of the width of a cell, in standard deviations of the noise."""


def solve_scan(
    scan: Scan,
    config: SolveConfig | None = None,
    *,
    points: int = 200_000,
    seed: int = 0,
    on_level: Callable[[float], object] | None = None,
) -> Fitted:
    """Fit a field to a scan alone by one linear solve (`solver.solve`).

    Points are weighted by their learned reliability where more than one in a hundred looks like an outlier.

    Args:
        scan: points in their own units; normals help but are not needed.
        config: of the solve; None takes that of `fitting_config`.
        points: upper bound; a larger scan is subsampled.
        seed: of all sampling.
        on_level: called after each level with the fraction of the unknowns that is solved for.

    Returns:
        The field and facts of the solve: `steps` counts iterations of conjugate gradients, and there is no trace.

    Raises:
        ValueError: too few distinct points, or all of them in one plane or on one line.

    Example:
        >>> result = solve_scan(Scan.load("scan.ply"))
        >>> result.mesh(256).export("shape.ply")
    """
    began = monotonic()
    solid = require_solid(remove_outliers(scan, points, 0.0, MINIMUM_POINTS, seed))
    frame = solid.frame()
    unit = solid.transformed(frame)
    notes = solid.notes
    if config is None:
        config, more = fitting_config(unit, seed, estimated=unit.normals is None)
        notes = (*notes, *more)
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
        network="splines",
        notes=notes,
        method=FitMethod.SOLVE,
    )


def fitting_config(
    unit: Scan, seed: int = 0, *, estimated: bool = True, noise: float | None = None, finest: int = FINEST
) -> tuple[SolveConfig, tuple[str, ...]]:
    """Settings of a solve for a scan in the unit frame, and notes on them.

    Cells follow the density of the points (`fitting_resolution`) and, where normals are estimated from noisy points,
    smoothness follows the noise (`noise_bending`); normals that were measured are smooth by themselves. Points are
    weighted by their learned reliability where there are outliers.

    Args:
        unit: the scan.
        seed: of the sample that outliers are looked for in.
        estimated: whether its normals are estimates, or will be.
        noise: standard deviation across the surface, unit frame; None estimates it.
        finest: the most cells per axis.
    """
    resolution = min(fitting_resolution(unit), finest)
    bending = SolveConfig.bending
    if estimated:
        spacing = float(np.median(unit.neighbour_distances))
        bending = noise_bending(unit.noise if noise is None else noise, spacing, 2.0 / resolution)
    fraction = outlier_fraction(unit, seed)
    if not fraction:
        return SolveConfig(resolution=resolution, bending=bending), ()
    config = SolveConfig(resolution=resolution, bending=bending, robust="learned")
    return config, (f"{fraction:.0%} of the points look like outliers and hardly count",)


def fitting_resolution(unit: Scan) -> int:
    """Cells per axis, 2 / max(median d6 / CELLS, NOISE sigma) rounded to a power of two, for a scan in the unit frame.

    d6 is the distance to the sixth neighbour, sigma the noise of the points: cells follow the density of the points but
    do not resolve their noise.

    Returns:
        A power of two from 32 to 256.
    """
    width = max(float(np.median(unit.neighbour_distances)) / CELLS, NOISE * unit.noise, 1e-6)
    return min(max(2 ** round(math.log2(2.0 / width)), COARSEST), FINEST)
