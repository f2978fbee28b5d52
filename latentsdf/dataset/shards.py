"""Large datasets in several files: shards of finished shapes, and a file that links to them in the order of the names.

A dataset of more samples than one file may hold is `<target>`, whose groups `shapes/<8 digits>` are HDF5 external links
to those of the datasets `<target>.shards/<5 digits>.h5`. Readers follow the links without knowing. Shapes that are
added go to new shards: the files that are there stay as they are, but for shards of little content, which are taken
into the new one so that their number stays small.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import h5py

from ..core.hdf5 import atomic_write
from .file import StoredShape, assemble, write_header
from .sample_store import SAMPLE_BYTES
from .sampling import SamplingConfig

_SMALL = 1 / 8
"""A shard with less than this part of the limit in use is copied into a new one."""


class ShardPlan:
    """The files of a dataset that is to be written.

    Args:
        target: the dataset file.
        shapes: finished shapes in the order of their names; each lies in a part, in a shard, or in the target.
        limit: bytes of samples of one file.

    Attributes:
        copied: the shapes that have to be written; the others stay where they are.
    """

    def __init__(self, target: Path, shapes: Sequence[StoredShape], limit: float):
        self._target, self._shapes, self._limit = target, list(shapes), limit
        self._folder = target.with_name(f"{target.name}.shards")
        self._divided = sum(map(_size, self._shapes)) > limit
        in_use: dict[Path, int] = {}
        for shape in self._shapes:
            in_use[shape.file] = in_use.get(shape.file, 0) + _size(shape)
        kept = {file for file, size in in_use.items() if size >= _SMALL * limit and self._stays(file)}
        self._kept = kept if self._divided else set()
        self.copied: list[StoredShape] = [shape for shape in self._shapes if shape.file not in self._kept]

    def write(self, config: SamplingConfig, seed: int) -> None:
        """Write the shards that are new, then the target in one step, and remove shards that nothing links to.

        Raises:
            OSError: the disk refused; the target is as it was.
        """
        if not self._divided:
            assemble(self._target, self._shapes, config, seed)
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        self._folder.mkdir(exist_ok=True)
        homes = {file: self._home(file) for file in sorted(self._kept)}
        places = {shape.name: (homes[shape.file], shape.key) for shape in self._shapes if shape.file in homes}
        for part in self._parts():
            shard = self._free_name()
            assemble(shard, part, config, seed)
            places |= {shape.name: (shard, f"{row:08d}") for row, shape in enumerate(part)}
        with atomic_write(self._target) as file:
            write_header(file, config, seed)
            group = file.create_group("shapes")
            for row, shape in enumerate(self._shapes):
                shard, key = places[shape.name]
                group[f"{row:08d}"] = h5py.ExternalLink(f"{self._folder.name}/{shard.name}", f"/shapes/{key}")
        used = {shard for shard, _ in places.values()}
        for shard in self._folder.glob("*.h5"):
            if shard not in used:
                shard.unlink()

    def _stays(self, file: Path) -> bool:
        """Whether a file is a shard, or the target, which can become one."""
        return file.parent == self._folder or file == self._target

    def _home(self, file: Path) -> Path:
        """The shard that a file is; a target of one file becomes one by a second name, its bytes untouched."""
        if file != self._target:
            return file
        shard = self._free_name()
        try:
            os.link(file, shard)
        except OSError:  # a file system without second names
            shutil.copyfile(file, shard)
        return shard

    def _free_name(self) -> Path:
        numbers = [int(path.stem) for path in self._folder.glob("*.h5") if path.stem.isdigit()]
        return self._folder / f"{max(numbers, default=-1) + 1:05d}.h5"

    def _parts(self) -> list[list[StoredShape]]:
        """The shapes to write, in lists of no more than the limit."""
        parts: list[list[StoredShape]] = []
        size = 0
        for shape in self.copied:
            if not parts or size + _size(shape) > self._limit:
                parts.append([])
                size = 0
            parts[-1].append(shape)
            size += _size(shape)
        return parts


def _size(shape: StoredShape) -> int:
    """Bytes of the samples of a shape."""
    return SAMPLE_BYTES * shape.samples
