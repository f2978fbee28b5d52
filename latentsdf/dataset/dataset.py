"""Datasets: query samples of many shapes, sampled in batches; `file` describes how they are stored."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..core.cube_rotations import rotate_lattice
from ..core.frame import Frame
from ..core.hdf5 import open_checked
from ..mesh.audit import Audit
from ..mesh.search_record import SearchRecord, stored_search_record
from .file import DAMAGE
from .file_info import FORMAT, VERSION, damage
from .prefetch import Prefetch
from .sample_store import SAMPLE_BYTES, HeldSamples, Run, StoredSamples, group_sizes
from .sampling import SamplingConfig

Draw = tuple[Tensor, Mapping[str, int], Tensor]
"""Arguments of a call of `Dataset.sample_at`: rows (S,), counts of the groups, offsets (S, groups)."""
_PER_SHAPE = ("names", "classes", "sources", "fingerprints", "audits", "frames", "records")


class Dataset:
    """Query samples of many shapes, sampled in batches.

    Args:
        path: a file that `prepare` wrote.
        memory: GiB of samples held in memory. A larger dataset is read from the disk as `prefetched` says, and holds no
            more samples than that either; names, frames, audits and records, about 5 KB a shape, are always held.

    Attributes:
        names, classes, sources, fingerprints, audits, frames, records: one entry a shape, see `file`; a record is None
            in files of earlier releases.
        config: how the meshes were sampled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not HDF5, not a dataset, of a later version, or damaged; the text says which.
    """

    def __init__(self, path: str | Path, *, memory: float = 4.0):
        self.path: Path = Path(path)
        self._resources = contextlib.ExitStack()
        file = self._resources.enter_context(open_checked(self.path, FORMAT, VERSION))
        self._file: Any = file
        self._prefetch: Prefetch | None = None
        try:
            self.config: SamplingConfig = SamplingConfig(**json.loads(file.attrs["config"])["sampling"])
            self._keys = tuple(sorted(file["shapes"]))
            records = [dict(file["shapes"][key].attrs) for key in self._keys]
            self.names: tuple[str, ...] = tuple(str(record["name"]) for record in records)
            self.classes: tuple[str, ...] = tuple(str(record["class"]) for record in records)
            self.sources: tuple[str, ...] = tuple(str(record["source"]) for record in records)
            self.fingerprints: tuple[str, ...] = tuple(str(record["fingerprint"]) for record in records)
            self.audits: tuple[Audit, ...] = tuple(Audit.from_dict(json.loads(record["audit"])) for record in records)
            frames = (Frame(r["rotation"], float(r["scale"]), r["center"]) for r in records)
            self.frames: tuple[Frame, ...] = tuple(frames)
            stored = (stored_search_record(record.get("record")) for record in records)
            self.records: tuple[SearchRecord | None, ...] = tuple(stored)
            self._sizes = group_sizes(file, self._keys)
            total = sum(int(sizes.sum()) for sizes in self._sizes.values()) * SAMPLE_BYTES
            self._samples: HeldSamples | StoredSamples
            if total <= memory * 2**30:
                self._samples = HeldSamples(file, self._keys, self._sizes)
            else:
                self._samples = StoredSamples(self.path, file, self._keys, self._sizes, memory * 2**30)
                self._resources.callback(self._samples.close)
        except DAMAGE as error:
            reason = damage(file, error)
            self.close()
            raise ValueError(f"{self.path} is a damaged dataset ({reason}); prepare it again") from error
        except BaseException:
            self.close()
            raise
        self._members = np.arange(len(self._keys))
        self._stored_fingerprints = self.fingerprints
        self._rotations: Tensor | None = None
        if isinstance(self._samples, HeldSamples):
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
        runs = self._runs(rows, counts, offsets)
        read = self._samples.read if self._prefetch is None else self._prefetch.take
        pieces = [read(run) for run in runs]
        total = sum(counts.values())
        if not pieces:
            return torch.zeros(len(rows), total, 3), torch.zeros(len(rows), total)
        points = torch.cat([piece[0] for piece in pieces]).float()
        distances = torch.cat([piece[1] for piece in pieces]).float()
        points = points.view(len(rows), total, 3)
        if self._rotations is not None:
            points = points @ self._rotations[self._members[_positions(rows)]].mT
        return points, distances.view(len(rows), total)

    @contextlib.contextmanager
    def prefetched(self, plan: Callable[[int], Iterable[Draw]], first: int) -> Iterator[Callable[[int], None]]:
        """Read the samples of the steps to come in the background, in the order of the file, within the memory limit.

        They are the same as without. Two steps are held where the limit is smaller than that; nothing is read ahead of
        samples that are all in memory.

        Args:
            plan: step -> the calls of `sample_at` that it makes; called in another thread.
            first: the first step.

        Yields:
            A function to call with the number of each step before its samples are drawn; it waits for them.
        """
        if isinstance(self._samples, HeldSamples):
            yield lambda step: None
            return
        self._prefetch = Prefetch(
            self._samples, lambda step: [r for draw in plan(step) for r in self._runs(*draw)], first
        )
        try:
            yield self._prefetch.wait
        finally:
            self._prefetch.close()
            self._prefetch = None

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
        size = (resolution or stored,) * 3
        out = torch.empty(len(shapes), *size)
        held = isinstance(self._samples, HeldSamples)
        with open_checked(self.path, FORMAT, VERSION) if held else contextlib.nullcontext(self._file) as file:
            for row, shape in enumerate(shapes):
                group = file["shapes"].get(self._keys[shape])
                if group is None or group.attrs["fingerprint"] != self._stored_fingerprints[shape]:
                    raise ValueError(f"{self.path} was replaced since it was opened; open it again")
                lattice = torch.from_numpy(group["lattice"][()].astype(np.float32))
                if self._rotations is not None:
                    lattice = rotate_lattice(lattice, self._rotations[shape])
                if resolution not in (None, stored):
                    finer = functional.interpolate(lattice[None, None], size=size, mode="trilinear", align_corners=True)
                    lattice = finer[0, 0]
                out[row] = lattice
        return out

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

    def _runs(self, rows: Tensor | Sequence[int], counts: Mapping[str, int], offsets: Tensor) -> list[Run]:
        """The runs that a call of `sample_at` reads."""
        shapes = self._members[_positions(rows)].tolist()
        runs: list[Run] = []
        for shape, row in zip(shapes, offsets.tolist(), strict=True):
            for (group, count), offset in zip(counts.items(), row, strict=True):
                size = self._size(group, shape, count)
                start, left = int(offset * size), count
                while left > 0:
                    taken = min(left, size - start)
                    runs.append(Run(group, shape, start, start + taken))
                    start, left = 0, left - taken
        return runs


def _positions(rows: Tensor | Sequence[int]) -> NDArray[np.int64]:
    return torch.as_tensor(rows, dtype=torch.int64).cpu().numpy()
