"""Folders of depth images with poses, in the layouts of TUM, of 7-Scenes, 3DMatch and Redwood, and of ScanNet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..core.arrays import Array
from .depth_image import Camera, DepthFrame
from .posed_views import rigid_pose

POSES = "poses.json"
"""Name of the file that lists the views of a folder of another layout (`posed_views`)."""
_INTRINSICS = (
    "camera-intrinsics.txt",
    "intrinsics.txt",
    "camera.txt",
    "intrinsic/intrinsic_depth.txt",
    "intrinsic_depth.txt",
    "intrinsic/intrinsic_color.txt",
)
_TUM_CAMERA, _SEVEN_SCENES_CAMERA = ((525.0, 525.0), (319.5, 239.5)), ((585.0, 585.0), (320.0, 240.0))
"""Cameras that the authors name for images without a calibration, of 640 x 480 pixels."""
_TUM_SCALE, _MILLIMETRES = 5000.0, 1000.0
_APART = 0.02
"""Seconds that an image and its pose may be apart (the TUM benchmark's own limit)."""


def rgbd_frames(
    folder: Path, most: int, camera: Sequence[float] | None = None, depth_scale: float | None = None
) -> tuple[list[DepthFrame], tuple[str, ...]]:
    """Find the depth images of a folder and their poses.

    - TUM: `depth.txt` and `groundtruth.txt` (time, position, quaternion), depths of 5000 a metre, colours by `rgb.txt`.
    - 7-Scenes, 3DMatch: `NAME.depth.png` beside `NAME.pose.txt`, camera to world, in millimetres.
    - ScanNet: `depth/N.png` and `pose/N.txt`, camera to world, in millimetres.

    Intrinsics are read from a file of `fx fy cx cy` or of a matrix (`camera-intrinsics.txt`, `intrinsics.txt`,
    `intrinsic/intrinsic_depth.txt`), in the folder or the one above it. TUM and 7-Scenes have none; then it is the
    camera that their authors name, and a note says so.

    Args:
        folder: with one of these layouts.
        most: frames; more are thinned out evenly.
        camera: fx, fy, cx, cy in pixels, in place of the folder's own.
        depth_scale: numbers of the image for one unit of length, in place of the layout's own.

    Returns:
        The frames, and notes.

    Raises:
        ValueError: none of these layouts, no frame with a pose, or no intrinsics.
    """
    if (folder / "depth.txt").is_file() and (folder / "groundtruth.txt").is_file():
        found, usual, scale = _tum_frames(folder), _TUM_CAMERA, _TUM_SCALE
    elif (folder / "depth").is_dir() and (folder / "pose").is_dir():
        found, usual, scale = _numbered_frames(folder), None, _MILLIMETRES
    else:
        found, usual, scale = _beside_frames(folder), _SEVEN_SCENES_CAMERA, _MILLIMETRES
    if not found:
        raise ValueError(
            f"{folder} holds no depth images with poses: wanted are depth.txt and groundtruth.txt (TUM), "
            f"NAME.depth.png and NAME.pose.txt (7-Scenes, 3DMatch), depth/ and pose/ (ScanNet), or {POSES}"
        )
    posed = [(depth, pose, color) for depth, pose, color in found if pose is not None]
    notes = [] if len(posed) == len(found) else [f"{len(found) - len(posed)} of {len(found)} images have no pose"]
    if not posed:
        raise ValueError(f"{folder}: none of its {len(found)} depth images has a pose")
    if len(posed) > most:
        notes.append(f"{most} of {len(posed)} images used")
        posed = [posed[row] for row in np.linspace(0, len(posed) - 1, most).round().astype(int)]
    pinhole, note = _intrinsics(folder, camera, usual)
    lens = Camera((pinhole[0], pinhole[1]), (pinhole[2], pinhole[3]), depth_scale or scale)
    return [DepthFrame(depth, pose, lens, color) for depth, pose, color in posed], (*notes, *note)


def _tum_frames(folder: Path) -> list[tuple[Path, Array | None, Path | None]]:
    poses = np.loadtxt(folder / "groundtruth.txt", ndmin=2)
    if poses.shape[1] != 8:
        raise ValueError(f"{folder / 'groundtruth.txt'}: rows of 8 numbers are wanted, time, position and quaternion")
    colors = _timed_files(folder / "rgb.txt") if (folder / "rgb.txt").is_file() else []
    times = np.array([time for time, _ in colors])
    found = []
    for time, file in _timed_files(folder / "depth.txt"):
        row = int(np.abs(poses[:, 0] - time).argmin())
        near = abs(poses[row, 0] - time) <= _APART
        color = int(np.abs(times - time).argmin()) if len(times) else -1
        shown = colors[color][1] if color >= 0 and abs(times[color] - time) <= _APART else None
        found.append((file, _from_quaternion(poses[row, 1:]) if near else None, shown))
    return found


def _timed_files(path: Path) -> list[tuple[float, Path]]:
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return [(float(row[0]), path.parent / row[1]) for row in rows if len(row) >= 2 and not row[0].startswith("#")]


def _from_quaternion(values: Array) -> Array:
    """The pose (4, 4) of a position (3,) and a quaternion (4,), its scalar last."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_quat(values[3:]).as_matrix(), values[:3]
    return pose


def _beside_frames(folder: Path) -> list[tuple[Path, Array | None, Path | None]]:
    found = []
    for depth in sorted(folder.glob("*.depth.png")):
        pose = depth.with_name(depth.name.removesuffix(".depth.png") + ".pose.txt")
        found.append((depth, _read_pose(pose), None))
    return found


def _numbered_frames(folder: Path) -> list[tuple[Path, Array | None, Path | None]]:
    files = sorted((folder / "depth").glob("*.png"), key=lambda path: (len(path.stem), path.stem))
    return [(depth, _read_pose(folder / "pose" / f"{depth.stem}.txt"), None) for depth in files]


def _read_pose(path: Path) -> Array | None:
    """The pose in a text file; None where there is none, or where tracking was lost (infinite numbers)."""
    if not path.is_file():
        return None
    values = np.loadtxt(path)
    return rigid_pose(values, str(path)) if np.isfinite(values).all() else None


def _intrinsics(
    folder: Path, camera: Sequence[float] | None, usual: tuple[tuple[float, float], tuple[float, float]] | None
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    if camera is not None:
        return tuple(camera), ()
    for place in (folder, folder.parent):
        for name in _INTRINSICS:
            if (place / name).is_file():
                return _read_intrinsics(place / name), ()
    if usual is None:
        raise ValueError(f"{folder} has no intrinsics; give --intrinsics FX FY CX CY, or a file {_INTRINSICS[1]}")
    numbers = (*usual[0], *usual[1])
    text = " ".join(f"{number:g}" for number in numbers)
    return numbers, (f"no intrinsics in {folder.name}: {text} taken, the usual ones; --intrinsics gives others",)


def _read_intrinsics(path: Path) -> tuple[float, ...]:
    """The numbers fx, fy, cx, cy of a text file of these four, or of a matrix of 3 x 3 or 4 x 4."""
    values = np.loadtxt(path)
    if values.size == 4:
        return tuple(values.ravel().tolist())
    if values.size in (9, 16):
        matrix = values.reshape(3, 3) if values.size == 9 else values.reshape(4, 4)
        return float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])
    raise ValueError(f"{path}: wanted are fx fy cx cy, or a matrix of 3 x 3 or 4 x 4; it has {values.size} numbers")
