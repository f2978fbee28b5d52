"""Checks and names that verbs share; those of files and names load no numeric library but numpy and h5py."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from ..core.cluster import open_cluster
from ..core.names import UnknownShape
from ..mesh.endings import MESH_ENDINGS
from ..space.file_info import SpaceInfo, space_info

if TYPE_CHECKING:
    import torch
    import trimesh

    from ..core.pose import PoseFreedom
    from ..scan.scan import Scan

Result = dict[str, Any]
"""JSON-ready result of a verb."""


def shape_name(mesh: Path) -> str:
    """The name of a mesh: its path from the working folder without its ending, or its stem when it lies elsewhere."""
    try:
        return mesh.resolve().relative_to(Path.cwd()).with_suffix("").as_posix()
    except ValueError:
        return mesh.stem


def named_space(path: str, names: Sequence[str] = ()) -> SpaceInfo:
    """Facts of a space file that holds the given names.

    Raises:
        FileNotFoundError, ValueError: as `space_info`.
        UnknownShape: a name that the file does not hold; the text suggests a similar one.
    """
    info = space_info(path)
    for name in names:
        if name not in info.names:
            raise UnknownShape(name, info.names, Path(path).name)
    return info


def load_scan(path: str | Path, options: Namespace) -> Scan:
    """Read a scan, with the sensor that `--sensor` gives.

    Raises:
        FileNotFoundError, ValueError: as `Scan.load`; `--cropped` without `--sensor`.
    """
    if options.sensor is None and options.cropped:
        raise ValueError("--cropped says what a sensor may have missed; give --sensor X Y Z too, or leave it out")
    import numpy as np

    from ..scan.scan import Scan

    scan = Scan.load(path, seed=options.seed)
    if options.sensor is None:
        return scan
    sensor, notes = np.array(options.sensor), scan.notes
    if ((scan.points.min(0) < sensor) & (sensor < scan.points.max(0))).all():
        notes = (*notes, "the sensor lies amid the points; --sensor is where they were seen from, in the scan's units")
    return replace(scan, sensor=sensor, cropped=options.cropped, notes=notes)


def given_pose(options: Namespace, default: PoseFreedom) -> Result:
    """Settings of a fit that `--pose`, `--up` and `--space-up` give: `pose`, `up` and `space_up`.

    Raises:
        ValueError: a direction of up where the pose is not upright.
    """
    given = [f"--{name}" for name in ("up", "space-up") if getattr(options, name.replace("-", "_")) is not None]
    if given and options.pose != "upright":
        verb = "say" if len(given) > 1 else "says"
        raise ValueError(f"{' and '.join(given)} {verb} where up is; give --pose upright too, or leave it out")
    return {"pose": options.pose or default, "up": options.up or "z", "space_up": options.space_up}


def given_terms(options: Namespace) -> str | dict[str, float] | None:
    """The objective that `--preset` or `--term` give; None where neither is given.

    Raises:
        ValueError: both, or a term twice.
    """
    if options.preset and options.term:
        raise ValueError("--preset and --term are two ways to say what to fit; give one of them")
    names = [name for name, _ in options.term or ()]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--term {name} is given twice; give it one weight")
    return dict(options.term) if options.term else options.preset


def given_executor(cluster: str | None) -> AbstractContextManager[Executor | None]:
    """The executor of the cluster that `--cluster` names; None where it is left out.

    Raises:
        ValueError, ImportError, ConnectionError: as `core.cluster.open_cluster`.
    """
    return nullcontext() if cluster is None else open_cluster(cluster)


def write_mesh(surface: trimesh.Trimesh, target: Path, normals: bool | None = None) -> None:
    """Write a mesh in one step, making its folder, as `mesh.mesh_file.write_meshes` does.

    Raises:
        ValueError: an ending that cannot be written.
        OSError: the disk refused.
    """
    from ..mesh.mesh_file import write_meshes

    check_mesh_ending(target)
    write_meshes({target.stem: [surface]}, target, normals)


def usable_device(name: str) -> torch.device:
    """A device by its name, tried with one number.

    Raises:
        ValueError: PyTorch does not know it or cannot use it here.
    """
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = shorten(str(error), 120)
        raise ValueError(f"device {name!r} cannot be used ({reason}); use --device cpu") from None
    return device


def is_mesh_file(out: str) -> bool:
    """Whether `-o` names a mesh file rather than a folder.

    Raises:
        ValueError: an ending that cannot be written, or a file where a folder is named.
    """
    path = Path(out)
    known = path.suffix.lower() in MESH_ENDINGS
    if path.is_dir() or out.endswith(("/", "\\")) or not (known or path.suffix[1:2].isalpha()):
        check_folder(out)
        return False
    check_mesh_ending(path, "; end the name of a folder with /")
    return True


def check_mesh_ending(path: Path, hint: str = "") -> None:
    """Refuse a path whose ending is not that of a mesh format, with a ValueError that lists those that are."""
    if path.suffix.lower() not in MESH_ENDINGS:
        raise ValueError(f"cannot write {path.name}: its ending must be one of {', '.join(MESH_ENDINGS)}{hint}")


def check_out_file(out: str, endings: Sequence[str]) -> Path:
    """The path of a file to be written.

    Raises:
        ValueError: an ending that is none of those given, a folder, or a file where a folder should be.
    """
    path = Path(out)
    if path.suffix.lower() not in endings:
        raise ValueError(f"cannot write {path.name}: its ending must be one of {', '.join(endings)}")
    if path.is_dir():
        raise ValueError(f"{out} is a folder, a file is wanted")
    if path.parent.exists() and not path.parent.is_dir():
        raise ValueError(f"cannot write {out}: {path.parent} is a file, a folder is wanted")
    return path


def check_folder(out: str) -> None:
    """Refuse a file where a folder is named, with a ValueError."""
    if Path(out).is_file():
        raise ValueError(f"{out} is a file, a folder is wanted")
