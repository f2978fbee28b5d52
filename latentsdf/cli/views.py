"""The scan of `latentsdf reconstruct`: one file, several views with their sensors, or a folder of depth images."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..mesh.endings import check_scan_file
from .arguments import load_scan
from .progress import Bar

if TYPE_CHECKING:
    from ..scan.scan import Scan

DEPTH_POINTS = 200_000
"""Points that depth images give together; a reconstruction uses no more."""
View = tuple[Path, tuple[float, float, float] | None]
"""A file and the position that it was seen from."""


def check_views(options: Namespace) -> None:
    """Refuse scans that are not there, and options that do not fit them, before PyTorch is loaded.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no scan, or options that exclude each other.
    """
    views, several = named_views(options), len(options.scan) > 1
    if bool(views) == (options.poses is not None):
        raise ValueError("give a SCAN, several views VIEW@X,Y,Z, or --poses FILE" + (", not both" if views else ""))
    if options.sensor is not None and (options.poses is not None or any(place is not None for _, place in views)):
        raise ValueError("the views have sensors of their own; leave --sensor out")
    for path, place in views:
        if several and (place is None or path.is_dir()):
            raise ValueError(
                f"{path} is one of several views, without a sensor; write {path}@X,Y,Z, with where it was seen from"
            )
        if path.is_dir() and (place is not None or options.sensor is not None):
            raise ValueError(f"{path} is a folder of depth images, which have poses; leave the sensor out")
        if not path.is_dir():
            check_scan_file(path)
    if options.poses is not None and not Path(options.poses).is_file():
        raise FileNotFoundError(f"no such file: {options.poses}")
    if not any(path.is_dir() for path, _ in views):
        for name in ("intrinsics", "depth_scale", "frames"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name.replace('_', '-')} is of a folder of depth images; leave it out")


def named_views(options: Namespace) -> list[View]:
    """The files of SCAN..., each with the sensor behind its last @, if there is one.

    Raises:
        ValueError: what stands behind the @ of a file that does not exist is no position.
    """
    return [_view(text) for text in options.scan]


def _view(text: str) -> View:
    file, at, place = text.rpartition("@")
    if not at or Path(text).exists():
        return Path(text), None
    try:
        x, y, z = (float(word) for word in place.split(","))
    except ValueError:
        raise ValueError(f"{text}: behind the @ stands where the view was seen from, X,Y,Z; got {place!r}") from None
    if not all(math.isfinite(value) for value in (x, y, z)):
        raise ValueError(f"{text}: the position behind the @ must be finite")
    return Path(file), (x, y, z)


def load_views(options: Namespace) -> Scan:
    """Read the scan of `check_views`; several views become one scan, each point with its sensor.

    Raises:
        FileNotFoundError, ImportError, ValueError: a file that cannot be read.
    """
    views = named_views(options)
    if len(views) == 1 and not views[0][0].is_dir():
        path, place = views[0]
        given = options.sensor if place is None else list(place)
        return load_scan(path, Namespace(**{**vars(options), "sensor": given}))
    from ..scan.merge import join_views

    loaded, notes = _several(views, options)
    joined = join_views(loaded)
    return replace(joined, cropped=joined.cropped or options.cropped, notes=(*notes, *joined.notes))


def _several(views: list[View], options: Namespace) -> tuple[list[Scan], tuple[str, ...]]:
    from ..scan.rgbd_folder import POSES

    if options.poses is not None:
        return _posed(Path(options.poses), options), ()
    folder = views[0][0]
    if folder.is_dir():
        if (folder / POSES).is_file():
            return _posed(folder / POSES, options), ()
        return _depth_folder(folder, options)
    import numpy as np

    from ..scan.scan import Scan

    return [replace(Scan.load(path, seed=options.seed), sensor=np.array(place)) for path, place in views], ()


def _posed(path: Path, options: Namespace) -> list[Scan]:
    from ..scan.posed_views import load_posed_views

    for name in ("intrinsics", "depth_scale", "frames"):
        if getattr(options, name) is not None:
            raise ValueError(f"{path} says which images there are and of which camera; leave --{name} out")
    return load_posed_views(path, DEPTH_POINTS, options.seed)


def _depth_folder(folder: Path, options: Namespace) -> tuple[list[Scan], tuple[str, ...]]:
    from ..scan.depth_image import depth_views
    from ..scan.rgbd_folder import rgbd_frames

    frames, notes = rgbd_frames(folder, options.frames or 50, options.intrinsics, options.depth_scale)
    with Bar("read", options.quiet, len(frames)) as bar:
        loaded = depth_views(frames, DEPTH_POINTS, options.seed, on_view=bar.update)
    return loaded, notes
