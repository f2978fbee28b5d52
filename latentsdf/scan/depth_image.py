"""Depth images of a pinhole camera as points, and frames of several of them as views with sensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..core.arrays import Array
from .scan import Scan

INVALID = (0, 65535)
"""Depths of pixels that measured nothing."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion; x to the right, y down, z forward.

    Attributes:
        focal: focal lengths (2,) along x and y, in pixels.
        principal: principal point (2,), in pixels; the centre of the first pixel is (0, 0).
        depth_scale: depth of one unit of length in the numbers of the image: 1000 for millimetres and metres.

    Raises:
        ValueError: a number that is not finite, or a focal length or scale that is not positive.
    """

    focal: tuple[float, float]
    principal: tuple[float, float]
    depth_scale: float = 1000.0

    def __post_init__(self) -> None:
        positive = np.array([*self.focal, self.depth_scale], dtype=np.float64)
        if not (np.isfinite([*positive, *self.principal]).all() and (positive > 0).all()):
            raise ValueError(f"focal lengths and depth scale must be positive and finite, got {self}")

    def unproject(self, depth: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any]) -> Array:
        """Points (N, 3) in the camera's frame of depths (N,) in pixels of rows (N,) and columns (N,)."""
        z = depth / self.depth_scale
        x = (columns - self.principal[0]) * z / self.focal[0]
        y = (rows - self.principal[1]) * z / self.focal[1]
        return np.stack([x, y, z], axis=1)


@dataclass(frozen=True)
class DepthFrame:
    """A depth image, its pose, and the colour image that is registered to it.

    Attributes:
        depth: file of 16-bit depths along the optical axis; 0 and 65535 are no measurement.
        pose: (4, 4) camera to world.
        camera: of the image.
        color: file of an image of the same size, or None.
    """

    depth: Path
    pose: Array
    camera: Camera
    color: Path | None = None


def depth_views(
    frames: Sequence[DepthFrame], points: int, seed: int = 0, on_view: Callable[[int], None] | None = None
) -> list[Scan]:
    """Read depth images as views in world coordinates, each with its camera as the sensor.

    Args:
        frames: in one world frame.
        points: of all views together, at most; pixels are drawn at random.
        seed: of the draw.
        on_view: called with the number of views read.

    Returns:
        A scan for each image that measured something.

    Raises:
        FileNotFoundError: no such image.
        ValueError: an image that is not of 16-bit depths, or one of colours of another size.
    """
    generator, views = np.random.default_rng(seed), []
    for number, frame in enumerate(frames, 1):
        depth = read_depth(frame.depth)
        rows, columns = np.nonzero(~np.isin(depth, INVALID))
        most = points // len(frames)
        if len(rows) > most:
            kept = generator.choice(len(rows), most, replace=False)
            rows, columns = rows[kept], columns[kept]
        if len(rows):
            local = frame.camera.unproject(depth[rows, columns].astype(np.float64), rows, columns)
            colors = None if frame.color is None else _read_colors(frame.color, depth.shape)[rows, columns]
            world = local @ frame.pose[:3, :3].T + frame.pose[:3, 3]
            views.append(Scan(world, None, frame.pose[:3, 3], frame.depth.stem, colors=colors))
        if on_view is not None:
            on_view(number)
    if not views:
        raise ValueError(f"none of the {len(frames)} depth images measured anything: all their pixels are 0 or 65535")
    return views


def read_depth(path: Path) -> NDArray[np.uint16]:
    """Read an image (H, W) of 16-bit depths.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image of one channel of integers of 16 bits.
    """
    with _opened(path) as image:
        values = np.asarray(image)
    if values.ndim != 2 or values.dtype.kind not in "ui" or values.dtype.itemsize < 2:
        raise ValueError(
            f"{path.name} is no depth image: wanted is one channel of 16 bits, it has shape {values.shape} of "
            f"{values.dtype}"
        )
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"{path.name}: depths must lie from 0 to 65535, it has {values.min()} to {values.max()}")
    return values.astype(np.uint16)


def _read_colors(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    with _opened(path) as image:
        values = np.asarray(image.convert("RGB"))
    if values.shape[:2] != shape:
        raise ValueError(
            f"{path.name} has {values.shape[:2]} pixels, its depth image {shape}; register one to the other"
        )
    return values


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no such image: {path}") from None
    except OSError as error:
        raise ValueError(f"{path.name}: not a readable image ({error})") from error
