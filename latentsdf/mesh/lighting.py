"""Light on rendered surfaces: a broad lamp and a sky, with the shadows of a shape on itself and on the ground."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from ..core.arrays import Array
from .soft_shadows import Occluder, Receivers, cone, seen_share

Floats = NDArray[np.float32]

LAMP = (-0.55, 0.62, 0.56)
"""Direction to the lamp: right, up, towards the viewer. It moves with the camera: pictures are lit alike."""
_LAMP_SIZE, _LAMP_DIRECTIONS, _LAMP_STRENGTH, _WRAP = 15.0, 16, 0.95, 0.08
_SKY_SIZE, _SKY_DIRECTIONS, _SKY_STRENGTH, _BOUNCE = 72.0, 40, 0.34, 0.1
_FILL, _FILL_STRENGTH = (0.85, 0.0, 0.5), 0.06
_SHADOW, _SKY_SHADOW, _FADE, _BLUR = 0.24, 0.72, (0.55, 1.0), 0.009
_LEAST = 0.14
"""Share of the light of the sky that reaches every hollow, by reflection in it."""
_HAZE = 0.07
"""Share of the sky about which a shape may hide from the ground without being noticed: shadows end near the shape."""


class Light(NamedTuple):
    """Light from the lamp and from everywhere else.

    Attributes:
        lamp: any shape.
        sky: the same shape.
    """

    lamp: Array
    sky: Array


class Shares(NamedTuple):
    """Shares of the light that reach surface points.

    Attributes:
        lamp: (P,).
        sky: (P,).
    """

    lamp: Floats
    sky: Floats


def unshaded(normals: Array, up: Array) -> Light:
    """Light on surfaces of unit normals (..., 3) that nothing shades.

    Lambert's law for the lamp, wrapped a little past the edge of its shadow; (1 + n . up) / 2 of the sky, and of the
    ground below the rest; and a weak second lamp without shadows.

    Args:
        normals: camera axes.
        up: (3,) of the world, in camera axes.
    """
    lamp = ((normals @ _unit(LAMP) + _WRAP) / (1 + _WRAP)).clip(0)
    height = normals @ up
    sky = _SKY_STRENGTH * (1 + height) / 2 + _BOUNCE * (1 - height) / 2
    return Light(_LAMP_STRENGTH * lamp, sky + _FILL_STRENGTH * (normals @ _unit(_FILL)).clip(0))


def arriving(
    surface: Receivers, blocker: Occluder, up: Array, size: int, height: float | None
) -> tuple[Shares, Floats]:
    """Light that reaches a surface, and the brightness of the white plane that it stands on.

    The plane is lit at every second pixel, and its shadows are blurred by less than the steps between directions.

    Args:
        surface: what is seen of the occluder, (P,) points in camera axes.
        blocker: all of it.
        up: (3,) of the world, in camera axes.
        size: pixels of the picture's side (H).
        height: of the plane along `up`, the third of which must be positive; None for no plane.

    Returns:
        Shares (P,) of lamp and sky; and (H, H), 1 at the edges of the picture.
    """
    half = -(-size // 2)
    steps = ((np.arange(half, dtype=np.float32) * 2 + 1) / size * 2 - 1).clip(-1, 1)
    x, y = (part.ravel() for part in np.meshgrid(steps, -steps))
    receivers = [surface]
    if height is not None:
        depth = (np.float32(height) - x * np.float32(up[0]) - y * np.float32(up[1])) / np.float32(up[2])
        normals = np.broadcast_to(up.astype(np.float32), (half * half, 3))
        receivers.append(Receivers(np.stack([x, y, depth], axis=1), normals, 0.2))
    lamp = seen_share(receivers, blocker, cone(_unit(LAMP), _LAMP_SIZE, _LAMP_DIRECTIONS))
    sky = seen_share(receivers, blocker, cone(up, _SKY_SIZE, _SKY_DIRECTIONS), soft=False)
    share = Shares(lamp[0], _LEAST + (1 - _LEAST) * sky[0])
    if height is None:
        return share, np.ones((size, size), dtype=np.float32)
    edge = ((_FADE[1] - np.maximum(np.abs(x), np.abs(y))) / (_FADE[1] - _FADE[0])).clip(0, 1)
    hidden = 1 - sky[1]
    hidden *= hidden / (hidden + _HAZE)
    dark = edge * edge * (3 - 2 * edge) * (_SHADOW * (1 - lamp[1]) + _SKY_SHADOW * hidden)
    blurred = gaussian_filter(dark.reshape(half, half), _BLUR * half)
    ground = 1 - np.asarray(zoom(blurred, 2, order=1, grid_mode=True, mode="nearest"), dtype=np.float32)
    return share, ground[:size, :size]


def _unit(direction: tuple[float, float, float]) -> Array:
    return np.array(direction) / np.linalg.norm(direction)
