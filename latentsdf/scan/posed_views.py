"""Views with poses in a JSON file: point clouds and depth images, each with its sensor.

The file is a list of views, or an object with the list under `views`, and with `intrinsics` and `depth_scale` for all
depth images:

    {"intrinsics": {"fx": 525, "fy": 525, "cx": 319.5, "cy": 239.5}, "depth_scale": 1000,
     "views": [{"file": "front.ply", "sensor": [0, 0, 3]},
               {"file": "back.ply", "camera_to_world": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]},
               {"file": "depth_0.png", "camera_to_world": [...], "color": "color_0.png"}]}

With `sensor` the points are in the common frame already; with `camera_to_world` they are in that of the camera, which
is the sensor. Files are relative to the folder of the JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.arrays import Array
from .depth_image import Camera, DepthFrame, depth_views
from .scan import Scan

IMAGE_ENDINGS = (".png", ".tif", ".tiff", ".pgm")
_TOP = {"views", "intrinsics", "depth_scale"}
_VIEW = {"file", "sensor", "camera_to_world", "color", "intrinsics", "depth_scale"}
_SLACK = 1e-2
"""Deviation of a rotation from orthogonality that rounding in text explains."""


def load_posed_views(
    path: Path, points: int, seed: int = 0, on_view: Callable[[int], None] | None = None
) -> list[Scan]:
    """Read the views that a JSON file lists, in one frame, each with its sensor.

    Args:
        path: of the JSON file.
        points: of all depth images together, at most.
        seed: of the draw of their pixels.
        on_view: called with the number of depth images read.

    Raises:
        FileNotFoundError: no such file, or one that it names.
        ValueError: not of the form above, or a file that cannot be read.
    """
    views, shared = _read(path)
    scans, frames = [], []
    for number, view in enumerate(views):
        label = f"{path.name}: view {number}"
        file, pose, sensor = _placed(view, path.parent, label)
        if file.suffix.lower() in IMAGE_ENDINGS:
            if pose is None:
                raise ValueError(f"{label} is a depth image and needs camera_to_world, 4 rows of 4 numbers")
            color = None if view.get("color") is None else path.parent / str(view["color"])
            frames.append(DepthFrame(file, pose, _camera({**shared, **view}, label), color))
            continue
        scan = Scan.load(file, seed=seed)
        if pose is not None:
            normals = None if scan.normals is None else scan.normals @ pose[:3, :3].T
            scan = replace(scan, points=scan.points @ pose[:3, :3].T + pose[:3, 3], normals=normals)
            sensor = pose[:3, 3]
        scans.append(replace(scan, sensor=sensor))
    return scans + (depth_views(frames, points, seed, on_view) if frames else [])


def rigid_pose(values: Any, label: str) -> Array:
    """A camera-to-world matrix (4, 4), from 3 or 4 rows of 4 numbers or as many in one row.

    Args:
        values: as read.
        label: of the view, for messages.

    Raises:
        ValueError: of another shape, not finite, or more than a rotation and a translation.
    """
    try:
        pose = np.array(values, dtype=np.float64)
    except (ValueError, TypeError):
        pose = np.empty(0)
    if pose.size not in (12, 16):
        raise ValueError(f"{label}: a pose is 4 rows of 4 numbers, camera to world; got {str(values)[:80]}")
    full = np.eye(4)
    full[: pose.size // 4] = pose.reshape(-1, 4)
    turn = full[:3, :3]
    if not np.isfinite(full).all():
        raise ValueError(f"{label}: its pose has numbers that are not finite")
    if np.abs(turn @ turn.T - np.eye(3)).max() > _SLACK or np.linalg.det(turn) < 0:
        raise ValueError(
            f"{label}: the first 3 x 3 numbers of its pose are no rotation (scaled, mirrored or transposed?)"
        )
    return full


def _read(path: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no such file: {path}") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name}: not a readable JSON file ({error})") from error
    top = {"views": plain} if isinstance(plain, list) else plain
    if not isinstance(top, dict) or not isinstance(top.get("views"), list) or not top["views"]:
        raise ValueError(f'{path.name}: wanted is a list of views, or an object with such a list under "views"')
    _check_keys(top, _TOP, path.name)
    for number, view in enumerate(top["views"]):
        if not isinstance(view, dict):
            raise ValueError(f"{path.name}: view {number} is no object with a file and its sensor or pose")
        _check_keys(view, _VIEW, f"{path.name}: view {number}")
    return top["views"], {key: value for key, value in top.items() if key != "views"}


def _check_keys(found: dict[str, Any], known: set[str], label: str) -> None:
    unknown = sorted(set(found) - known)
    if unknown:
        raise ValueError(f"{label}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _placed(view: dict[str, Any], folder: Path, label: str) -> tuple[Path, Array | None, Array | None]:
    """The file of a view, and its pose or its sensor."""
    if not isinstance(view.get("file"), str):
        raise ValueError(f"{label} names no file")
    file = folder / view["file"]
    if not file.is_file():
        raise FileNotFoundError(f"{label}: no such file: {file}")
    if ("sensor" in view) == ("camera_to_world" in view):
        raise ValueError(f"{label} needs either its sensor, 3 numbers, or camera_to_world, 4 rows of 4")
    if "camera_to_world" in view:
        return file, rigid_pose(view["camera_to_world"], label), None
    try:
        sensor = np.array(view["sensor"], dtype=np.float64)
    except (ValueError, TypeError):
        sensor = np.empty(0)
    if sensor.shape != (3,) or not np.isfinite(sensor).all():
        raise ValueError(f"{label}: a sensor is 3 finite numbers, got {view['sensor']}")
    return file, None, sensor


def _camera(entries: dict[str, Any], label: str) -> Camera:
    given = entries.get("intrinsics")
    if not isinstance(given, dict) or set(given) - {"width", "height"} != {"fx", "fy", "cx", "cy"}:
        raise ValueError(f"{label} is a depth image and needs intrinsics: fx, fy, cx and cy, in pixels")
    try:
        fx, fy, cx, cy = (float(given[name]) for name in ("fx", "fy", "cx", "cy"))
        return Camera((fx, fy), (cx, cy), float(entries.get("depth_scale", 1000.0)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{label}: {error}") from error
