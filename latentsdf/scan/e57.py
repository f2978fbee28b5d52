"""Point clouds of terrestrial scanners: E57 (ASTM E2807), read with pye57."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from .point_table import PointTable, eight_bit_colors

MISSING = "reading .e57 needs the package pye57: pip install 'latentsdf[e57]'"


def read_e57(path: Path) -> PointTable:
    """Read all scans of an E57 file in its common coordinates, with colours where all of them have some.

    Where every scan states its pose, the sensor of each point is the position of its scan; since such files often hold
    a part that was cut out, the sensor may have missed what it faced.

    Raises:
        ImportError: pye57 is not installed.
        ValueError: damaged.
    """
    try:
        pye57: Any = importlib.import_module("pye57")
    except ImportError as error:
        raise ImportError(f"{path.name}: {MISSING}") from error
    file = pye57.E57(str(path))
    try:
        scans = [_read_scan(file, number) for number in range(file.scan_count)]
    finally:
        file.close()
    if not scans:
        return PointTable(np.empty((0, 3)))
    points = np.concatenate([scan.points for scan in scans])
    sensors = [np.broadcast_to(scan.sensor, scan.points.shape) for scan in scans if scan.sensor is not None]
    colors = [scan.colors for scan in scans if scan.colors is not None]
    return PointTable(
        points,
        colors=np.concatenate(colors) if len(colors) == len(scans) else None,
        sensor=np.concatenate(sensors) if len(sensors) == len(scans) else None,
        cropped=len(sensors) == len(scans),
    )


def _read_scan(file: Any, number: int) -> PointTable:
    header = file.get_header(number)
    colored = all(name in header.point_fields for name in ("colorRed", "colorGreen", "colorBlue"))
    data = file.read_scan(number, colors=colored, ignore_missing_fields=True, transform=True)
    points = np.stack([data[f"cartesian{axis}"] for axis in "XYZ"], axis=1)
    colors = None
    if colored:
        colors = eight_bit_colors(np.stack([data[f"color{name}"] for name in ("Red", "Green", "Blue")], axis=1))
    sensor = np.asarray(header.translation, dtype=np.float64) if header.has_pose() else None
    return PointTable(points, colors=colors, sensor=sensor)
