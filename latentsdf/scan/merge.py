"""Registered views of one object in one scan, each point with the sensor of its view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..core.arrays import Array
from .normals import estimate_normals
from .orientation import orient_normals
from .scan import Scan


def merge_views(views: Sequence[Scan], neighbours: int = 16) -> Scan:
    """Merge views of one object, each with its own sensor, into one scan with normals.

    Planes are fitted to the points of all views together, and each normal faces the sensor that saw its point: no
    orientation has to be guessed. Normals that the views have are not used.

    Args:
        views: scans in one frame and unit, each with its sensor.
        neighbours: as for `estimate_normals`.

    Returns:
        All points in the order of the views, with normals, the sensor of each point, and colours where all views have
        them; cropped if a view is.

    Raises:
        ValueError: no view, or one without a sensor.

    Example:
        >>> whole = merge_views([virtual_scan(mesh, views=1, seed=seed) for seed in range(4)])
    """
    joined = join_views(views)
    assert joined.sensor is not None
    directions, around = estimate_normals(joined.points, neighbours)
    return replace(joined, normals=orient_normals(joined.points, directions, around, joined.sensor))


def join_views(views: Sequence[Scan]) -> Scan:
    """Join views of one object, each with its own sensor, into one scan without normals.

    A reconstruction then estimates normals, of as many neighbours as the noise asks for, and faces them to the sensors.

    Args:
        views: scans in one frame and unit, each with its sensor.

    Returns:
        All points in the order of the views, with the sensor of each point, and colours where all views have them;
        cropped if a view is.

    Raises:
        ValueError: no view, or one without a sensor.
    """
    if not views:
        raise ValueError("there is no view to merge")
    sensors: list[Array] = []
    for number, view in enumerate(views):
        if view.sensor is None:
            raise ValueError(f"view {number} ({view.name or 'no name'}) has no sensor; give it where it was seen from")
        sensors.append(np.broadcast_to(view.sensor, view.points.shape))
    colors = [view.colors for view in views if view.colors is not None]
    return Scan(
        np.concatenate([view.points for view in views]),
        sensor=np.concatenate(sensors),
        name=views[0].name,
        notes=tuple(note for view in views for note in view.notes),
        cropped=any(view.cropped for view in views),
        colors=np.concatenate(colors) if len(colors) == len(views) else None,
    )
