"""Inverted indices kept beside a space file, in `SPACE.h5.index`: made from it, and made anew when it has changed."""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from ..core.file_lock import exclusive_writer
from ..core.hdf5 import atomic_write, copy_contents, open_checked
from .inverted_index import InvertedIndex, Vectors

FORMAT = "latentsdf-index"
VERSION = 1
MOST_NEW = 0.1
"""Share of vectors that came after an index was built, above which it is built anew; they are searched beside it."""


@dataclass(frozen=True)
class KeptIndex:
    """The place of an index.

    Attributes:
        space: path of the space file.
        key: what is indexed: `code`, `record`, or `code-D` for a prefix of D numbers.
    """

    space: Path
    key: str

    @property
    def path(self) -> Path:
        """Of the file of the indices of the space."""
        return self.space.with_name(f"{self.space.name}.index")

    def read(self, vectors: Vectors) -> InvertedIndex | None:
        """The index of vectors, or of those that came first; None where none holds."""
        try:
            with open_checked(self.path, FORMAT, VERSION) as file:
                item = file[self.key]
                count = int(item.attrs["count"])
                if not (1 - MOST_NEW) * len(vectors) <= count <= len(vectors):
                    return None
                data = item[:]
                if item.attrs["vectors"] != _digest(vectors[:count]) or item.attrs["index"] != _digest(data):
                    return None
                lists, shortlist = int(item.attrs["lists"]), int(item.attrs["shortlist"])
                recall = float(item.attrs["recall"])
            faiss: Any = importlib.import_module("faiss")
            return InvertedIndex(faiss.deserialize_index(data), count, lists, shortlist, recall)
        except (OSError, KeyError, TypeError, ValueError, RuntimeError):
            return None

    def write(self, index: InvertedIndex, vectors: Vectors) -> None:
        """Keep an index of vectors; where the disk refuses, it is built anew the next time."""
        faiss: Any = importlib.import_module("faiss")
        with contextlib.suppress(OSError), exclusive_writer(self.path), atomic_write(self.path) as file:
            file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
            with contextlib.suppress(OSError, ValueError), open_checked(self.path, FORMAT, VERSION) as earlier:
                copy_contents(earlier, file, without=(self.key,))
            data = faiss.serialize_index(index.index)
            item = file.create_dataset(self.key, data=data)
            item.attrs["vectors"], item.attrs["index"] = _digest(vectors[: index.count]), _digest(data)
            for name in ("count", "lists", "shortlist", "recall"):
                item.attrs[name] = getattr(index, name)


def _digest(array: np.ndarray[Any, Any]) -> str:
    return blake2b(np.ascontiguousarray(array).view(np.uint8).data, digest_size=16).hexdigest()
