"""Datasets: query samples of many shapes, sampled in batches; `file` describes how they are stored."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..core.cube_rotations import rotate_lattice
from ..core.frame import Frame
from ..core.hdf5 import one_line, open_checked
from ..mesh.audit import Audit
from ..mesh.search_record import stored_search_record
from .file import DAMAGE
from .file_info import FORMAT, VERSION
from .sampling import SamplingConfig

_PER_SHAPE = ("names", "classes", "sources", "fingerprints", "audits", "frames", "records")


class Dataset:
    """Query samples of many shapes, sampled in batches.

    Args:
        path: a file that `prepare` wrote.
        memory: GiB of samples held in memory; a larger dataset is read from the file slice by slice, slower.

    Attributes:
        names, classes, sources, fingerprints, audits, frames, records: one entry a shape, see `file`; a record is None
            in files of earlier releases.
        config: how the meshes were sampled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not HDF5, not a dataset, of a later version, or damaged; the text says which.
    """

    def __init__(self, path: str | Path, *, memory: float = 4.0):
        self.path = Path(path)
        self._resources = contextlib.ExitStack()
        file = self._resources.enter_context(open_checked(self.path, FORMAT, VERSION))
        self._file: Any = file
        self._flat: dict[str, tuple[Tensor, Tensor]] = {}
        try:
            self.config = SamplingConfig(**json.loads(file.attrs["config"])["sampling"])
            self._keys = tuple(sorted(file["shapes"]))
            records = [dict(file["shapes"][key].attrs) for key in self._keys]
            self.names = tuple(str(record["name"]) for record in records)
            self.classes = tuple(str(record["class"]) for record in records)
            self.sources = tuple(str(record["source"]) for record in records)
            self.fingerprints = tuple(str(record["fingerprint"]) for record in records)
            self.audits = tuple(Audit.from_dict(json.loads(record["audit"])) for record in records)
            self.frames = tuple(Frame(r["rotation"], float(r["scale"]), r["center"]) for r in records)
            self.records = tuple(stored_search_record(record.get("record")) for record in records)
            self._sizes = _group_sizes(file, self._keys)
            rows = sum(int(sizes.sum()) for sizes in self._sizes.values())
            if rows * 8 <= memory * 2**30:
                self._flat = {name: _read_group(file, self._keys, name, self._sizes[name]) for name in self._sizes}
        except DAMAGE as error:
            self.close()
            raise ValueError(f"{self.path} is a damaged dataset ({one_line(error)}); prepare it again") from error
        except BaseException:
            self.close()
            raise
        self._starts = {name: np.concatenate([[0], np.cumsum(sizes)]) for name, sizes in self._sizes.items()}
        self._members = np.arange(len(self._keys))
        self._stored_fingerprints = self.fingerprints
        self._rotations: Tensor | None = None
        if self._flat:
            self.close()

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the sample groups."""
        return tuple(self._sizes)

    @property
    def truncation(self) -> float:
        """The distance at which the lattices are clipped, in the unit frame."""
        return self.config.truncation

    def __len__(self) -> int:
        return len(self._members)

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}, {len(self)} shapes, groups {', '.join(self.groups)})"

    def sample(
        self, rows: Tensor | Sequence[int], counts: Mapping[str, int], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Random samples of some shapes: of each shape and group one run of its shuffled samples.

        A run starts anywhere and wraps around, so a count above the group's size repeats samples.

        Args:
            rows: (S,) positions in this dataset.
            counts: samples of each group; N is their sum, the groups follow each other in this order.
            generator: the only source of randomness.

        Returns:
            points (S, N, 3) and distances (S, N), float32, unit frame.

        Raises:
            ValueError: a group that the dataset or one of the shapes lacks.
        """
        form = {"dtype": torch.float64, "device": generator.device, "generator": generator}
        return self.sample_at(rows, counts, torch.rand(len(rows), len(counts), **form))

    def sample_at(
        self, rows: Tensor | Sequence[int], counts: Mapping[str, int], offsets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `sample`, with runs that begin at given offsets (S, groups), parts of each group's size in [0, 1)."""
        shapes = self._members[_positions(rows)].tolist()
        runs: list[tuple[str, int, int, int]] = []
        for shape, row in zip(shapes, offsets.tolist(), strict=True):
            for (group, count), offset in zip(counts.items(), row, strict=True):
                size = self._size(group, shape, count)
                start, left = int(offset * size), count
                while left > 0:
                    taken = min(left, size - start)
                    runs.append((group, shape, start, start + taken))
                    start, left = 0, left - taken
        pieces = [self._read_run(*run) for run in runs]
        total = sum(counts.values())
        if not pieces:
            return torch.zeros(len(shapes), total, 3), torch.zeros(len(shapes), total)
        points = torch.cat([piece[0] for piece in pieces]).float()
        distances = torch.cat([piece[1] for piece in pieces]).float()
        points = points.view(len(shapes), total, 3)
        if self._rotations is not None:
            points = points @ self._rotations[shapes].mT
        return points, distances.view(len(shapes), total)

    def lattices(self, rows: Tensor | Sequence[int] | None = None, resolution: int | None = None) -> Tensor:
        """Truncated distance lattices, read from the file.

        Args:
            rows: (S,) positions in this dataset; None takes all.
            resolution: R, points per axis that the lattices are resampled to (trilinear); None keeps the stored ones.

        Returns:
            (S, R, R, R) float32, axes x, y, z.

        Raises:
            ValueError: prepared without lattices, or the file was replaced since it was opened.
        """
        stored = self.config.lattice
        if not stored:
            raise ValueError(f"{self.path} was prepared without lattices; prepare it again with lattice > 0")
        shapes = self._members if rows is None else self._members[_positions(rows)]
        out = np.empty((len(shapes), stored, stored, stored), dtype=np.float32)
        with open_checked(self.path, FORMAT, VERSION) if self._flat else contextlib.nullcontext(self._file) as file:
            for row, shape in enumerate(shapes):
                group = file["shapes"].get(self._keys[shape])
                if group is None or group.attrs["fingerprint"] != self._stored_fingerprints[shape]:
                    raise ValueError(f"{self.path} was replaced since it was opened; open it again")
                out[row] = group["lattice"][()]
        lattices = torch.from_numpy(out)
        if self._rotations is not None:
            for row, shape in enumerate(shapes):
                lattices[row] = rotate_lattice(lattices[row], self._rotations[shape])
        if resolution in (None, stored):
            return lattices
        size = (resolution,) * 3
        return functional.interpolate(lattices[:, None], size=size, mode="trilinear", align_corners=True)[:, 0]

    def subset(self, rows: Tensor | Sequence[int]) -> Dataset:
        """A view of some shapes (S,), in the order given; the samples are shared, not copied."""
        chosen = _positions(rows)
        per_shape = {name: tuple(getattr(self, name)[row] for row in chosen) for name in _PER_SHAPE}
        return self._view(_members=self._members[chosen], **per_shape)

    def rotated(self, rotations: Tensor) -> Dataset:
        """A view with every shape rotated; samples, lattices and frames rotate with it.

        Args:
            rotations: (S, 3, 3) of `core.cube_rotations.cube_rotations`, one for each shape.
        """
        total = torch.eye(3).repeat(len(self._keys), 1, 1) if self._rotations is None else self._rotations.clone()
        members = torch.from_numpy(self._members)
        total[members] = rotations @ total[members]
        frames = tuple(
            Frame(rotation.double().numpy(), 1.0, np.zeros(3)) @ frame
            for rotation, frame in zip(rotations, self.frames, strict=True)
        )
        return self._view(_rotations=total, frames=frames)

    def close(self) -> None:
        """Close the file (of this dataset and its views); samples held in memory stay available."""
        self._resources.close()

    def _view(self, **changes: Any) -> Dataset:
        """A dataset over the same samples, some of its attributes changed."""
        view = copy.copy(self)
        vars(view).update(changes)
        return view

    def _size(self, group: str, shape: int, count: int) -> int:
        if group not in self._sizes:
            raise ValueError(f"{self.path} has no sample group {group!r}; it has {', '.join(self.groups)}")
        size = int(self._sizes[group][shape])
        if count and not size:
            raise ValueError(f"shape {self._keys[shape]} of {self.path} has no {group!r} samples; draw none of them")
        return size

    def _read_run(self, group: str, shape: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        if self._flat:
            points, distances = self._flat[group]
            offset = int(self._starts[group][shape])
            return points[offset + start : offset + stop], distances[offset + start : offset + stop]
        stored = self._file[f"shapes/{self._keys[shape]}/{group}"]
        return torch.from_numpy(stored["points"][start:stop]), torch.from_numpy(stored["distances"][start:stop])


def _positions(rows: Tensor | Sequence[int]) -> NDArray[np.int64]:
    return torch.as_tensor(rows, dtype=torch.int64).cpu().numpy()


def _group_sizes(file: Any, keys: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Samples of every shape, (S,) by group; 0 where a shape lacks the group."""
    sizes: dict[str, NDArray[np.int64]] = {}
    for row, key in enumerate(keys):
        group = file["shapes"][key]
        for name in group:
            if name != "lattice":
                of_group = sizes.setdefault(name, np.zeros(len(keys), dtype=np.int64))
                of_group[row] = len(group[f"{name}/distances"])
    return sizes


def _read_group(file: Any, keys: Sequence[str], group: str, sizes: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """All samples of a group, shape after shape: points (N, 3) and distances (N,), float16."""
    points = np.empty((int(sizes.sum()), 3), dtype=np.float16)
    distances = np.empty(int(sizes.sum()), dtype=np.float16)
    start = 0
    for key, size in zip(keys, sizes.tolist(), strict=True):
        if size:
            stored = file["shapes"][key][group]
            stored["points"].read_direct(points, dest_sel=np.s_[start : start + size])
            stored["distances"].read_direct(distances, dest_sel=np.s_[start : start + size])
        start += size
    return torch.from_numpy(points), torch.from_numpy(distances)
