"""Samples of a dataset file: all of them in memory, or read from the disk run by run, ahead of their use."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Sizes = dict[str, NDArray[np.int64]]
"""Samples (S,) of each shape, by group."""
Piece = tuple[Tensor, Tensor]
"""Points (N, 3) and distances (N,), float16."""
SAMPLE_BYTES = 8
_POSITIONED = hasattr(os, "preadv")


class Run(NamedTuple):
    """Samples `start` to `stop` of a group of a shape."""

    group: str
    shape: int
    start: int
    stop: int


class HeldSamples:
    """All samples of a file in memory.

    Args:
        file: opened by h5py.
        keys: of the shapes.
        sizes: of the groups.
    """

    def __init__(self, file: Any, keys: Sequence[str], sizes: Sizes):
        self._flat = {name: _read_group(file, keys, name, sizes[name]) for name in sizes}
        self._starts = {name: np.concatenate([[0], np.cumsum(sizes[name])]) for name in sizes}

    def read(self, run: Run) -> Piece:
        """The samples of a run, as views."""
        points, distances = self._flat[run.group]
        offset = int(self._starts[run.group][run.shape])
        return points[offset + run.start : offset + run.stop], distances[offset + run.start : offset + run.stop]


class StoredSamples:
    """Samples of a file that are read when they are wanted: by their places in the file, or through h5py.

    Args:
        path: of the file.
        file: the same, opened by h5py.
        keys: of the shapes.
        sizes: of the groups.
        memory: bytes that a `prefetch.Prefetch` may hold.
    """

    def __init__(self, path: Path, file: Any, keys: Sequence[str], sizes: Sizes, memory: float):
        self.memory = memory
        self._path, self._file, self._keys = path, file, keys
        self._handles: dict[str, int] = {}
        self._lock = threading.Lock()
        self._places = {name: np.full((len(keys), 3), -1, dtype=np.int64) for name in sizes}
        for name, of_group in sizes.items():
            for row in np.flatnonzero(of_group).tolist():
                self._places[name][row] = self._places_of(file[f"shapes/{keys[row]}/{name}"])

    def close(self) -> None:
        """Close the handles that runs are read through."""
        while self._handles:
            os.close(self._handles.popitem()[1])

    def place(self, run: Run) -> tuple[int, int]:
        """The file of a run and the place of its points there, in bytes."""
        handle, points_at, _ = self._places[run.group][run.shape].tolist()
        return handle, points_at + 6 * run.start

    def read(self, run: Run) -> Piece:
        """The samples of a run.

        Raises:
            ValueError: the file is shorter than it was.
            OSError: the disk cannot be read.
        """
        handle, points_at, distances_at = self._places[run.group][run.shape].tolist()
        if handle < 0:
            stored = self._file[f"shapes/{self._keys[run.shape]}/{run.group}"]
            points, distances = (stored[name][run.start : run.stop] for name in ("points", "distances"))
            return torch.from_numpy(points), torch.from_numpy(distances)
        points = self._bytes(handle, points_at + 6 * run.start, 6 * (run.stop - run.start))
        distances = self._bytes(handle, distances_at + 2 * run.start, 2 * (run.stop - run.start))
        return torch.frombuffer(points, dtype=torch.float16).view(-1, 3), torch.frombuffer(
            distances, dtype=torch.float16
        )

    def _bytes(self, handle: int, place: int, count: int) -> bytearray:
        data = bytearray(count)
        if _POSITIONED:
            found = os.preadv(handle, [data], place)
        else:
            with self._lock:
                os.lseek(handle, place, os.SEEK_SET)
                data[:] = os.read(handle, count)
                found = len(data)
        if found != count:
            raise ValueError(
                f"{self._path} is damaged or was replaced: {found} of {count} bytes at {place}; open it again"
            )
        return data

    def _places_of(self, stored: Any) -> tuple[int, int, int]:
        """Handle of the file of a group, and places of points and distances there; -1 where they are not plain."""
        columns: list[Any] = [stored[name] for name in ("points", "distances")]
        offsets: list[Any] = [column.id.get_offset() if column.dtype == np.dtype("<f2") else None for column in columns]
        if any(offset is None for offset in offsets):
            return -1, -1, -1
        name = columns[0].file.filename
        if name not in self._handles:
            self._handles[name] = os.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return self._handles[name], int(offsets[0]), int(offsets[1])


def group_sizes(file: Any, keys: Sequence[str]) -> Sizes:
    """Samples (S,) of each shape of an opened file, by group."""
    sizes: Sizes = {}
    for row, key in enumerate(keys):
        group = file["shapes"][key]
        for name in group:
            if name != "lattice":
                of_group = sizes.setdefault(name, np.zeros(len(keys), dtype=np.int64))
                of_group[row] = len(group[f"{name}/distances"])
    return sizes


def _read_group(file: Any, keys: Sequence[str], group: str, sizes: NDArray[np.int64]) -> Piece:
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
