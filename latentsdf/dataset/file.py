"""Dataset files: query samples of many shapes in one HDF5 file, written and listed shape by shape.

Format (version 1). Root attributes: `format` = "latentsdf-dataset", `version` = 1, `library` (who wrote it),
`config` (JSON: {"sampling": SamplingConfig, "seed": int}). One group `shapes/<8 digits>` a shape, in the
order of the names, or an external link to one of another dataset file (see `shards`):

    attributes  name         path of the mesh below its folder, posix, without its ending
                source       the same with its ending
                class        first folder of the name, "" when it has none
                fingerprint  hex digest of the mesh's bytes and of all settings that its samples depend on
                audit        JSON, `mesh.Audit.to_dict`
                record       (704,) int8, `mesh.search_record` of the repaired mesh; absent from files before it
                rotation (3, 3), scale, center (3,)    float64, source = scale * rotation.T @ unit + center
    <group>/points     (N, 3) float16, unit frame; <group> is near, uniform or band, stored already shuffled
    <group>/distances  (N,)   float16, signed, exact for the rounded points above
    lattice            (R, R, R) float16, gzip: distances clipped to +-truncation at linspace(-1, 1, R) along
                       x, y and z; absent when the config asks for none
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ..core.hdf5 import atomic_write, library_version, open_checked
from ..core.names import class_of
from ..mesh.audit import Audit
from .file_info import FORMAT, VERSION, damage
from .mesh_samples import MeshSamples
from .sampling import SamplingConfig

DAMAGE = (KeyError, OSError, RuntimeError, TypeError, AttributeError, json.JSONDecodeError)
"""Errors that reading a damaged file raises."""


class ShapeSamples(NamedTuple):
    """One shape of a dataset file: name, source, fingerprint (see the module) and samples."""

    name: str
    source: str
    fingerprint: str
    samples: MeshSamples


@dataclass(frozen=True, kw_only=True)
class StoredShape:
    """A finished shape in a dataset file: the file, the key of its group, and what a report says of it."""

    file: Path
    key: str
    name: str
    fingerprint: str
    samples: int
    audit: Audit


def write_part(path: Path, shape: ShapeSamples, config: SamplingConfig, seed: int) -> None:
    """Write a dataset file of one shape atomically; config and seed go to its header.

    Raises:
        OSError: the disk refused.
    """
    audit, frame, groups, lattice, _, record = shape.samples
    with atomic_write(path) as file:
        write_header(file, config, seed)
        group = file.create_group("shapes/00000000")
        group.attrs.update(name=shape.name, source=shape.source, fingerprint=shape.fingerprint)
        group.attrs.update({"class": class_of(shape.name), "audit": json.dumps(audit.to_dict())})
        group.attrs.update(rotation=frame.rotation, scale=frame.scale, center=frame.center, record=record)
        for name, samples in groups.items():
            group[f"{name}/points"] = np.asarray(samples.points, dtype=np.float16)
            group[f"{name}/distances"] = np.asarray(samples.distances, dtype=np.float16)
        if lattice is not None:
            group.create_dataset("lattice", data=lattice, compression="gzip", compression_opts=4, shuffle=True)


def assemble(target: Path, shapes: Iterable[StoredShape], config: SamplingConfig, seed: int) -> None:
    """Copy finished shapes, in their order, into one dataset file that replaces the target atomically.

    Raises:
        OSError: the disk refused; the target is as it was.
    """
    with atomic_write(target) as file, contextlib.ExitStack() as sources:
        write_header(file, config, seed)
        group = file.create_group("shapes")
        source: Any = None
        for row, shape in enumerate(shapes):
            if source is None or source.filename != str(shape.file):
                sources.close()
                source = sources.enter_context(h5py.File(str(shape.file), "r"))
            source.copy(f"shapes/{shape.key}", group, name=f"{row:08d}")


def stored_shapes(path: Path, *, thorough: bool = False) -> dict[str, StoredShape]:
    """The shapes of a dataset file, by name.

    Args:
        path: the file.
        thorough: read every sample once, so that damage anywhere in the file is noticed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a dataset, of a later version, or damaged.
    """
    with open_checked(path, FORMAT, VERSION) as file:
        try:
            shapes = [
                StoredShape(
                    file=path.parent / Path(group.file.filename).relative_to(path.parent),
                    key=group.name.rsplit("/", 1)[-1],
                    name=str(group.attrs["name"]),
                    fingerprint=str(group.attrs["fingerprint"]),
                    samples=sum(len(group[f"{name}/distances"]) for name in group if name != "lattice"),
                    audit=Audit.from_dict(json.loads(group.attrs["audit"])),
                )
                for _, group in sorted(file["shapes"].items())
            ]
            if thorough:
                file["shapes"].visititems(_read_through)
        except DAMAGE as error:
            raise ValueError(f"{path} is a damaged dataset ({damage(file, error)})") from error
    return {shape.name: shape for shape in shapes}


def write_header(file: Any, config: SamplingConfig, seed: int) -> None:
    """Write the root attributes of a dataset file."""
    file.attrs["format"] = FORMAT
    file.attrs["version"] = VERSION
    file.attrs["library"] = library_version()
    file.attrs["config"] = json.dumps({"sampling": asdict(config), "seed": seed})


def _read_through(_: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset):
        item[()]
