"""The space that a page shows, with its index and file; requests on several threads share it under one lock."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ..core.names import class_of
from ..space.file_info import check_finished, space_info
from ..space.index import Index
from ..space.space import LatentSpace
from ..space.store import load
from .shape_facts import tags_of


class Collection:
    """A space and what is computed of all its shapes.

    Args:
        space: shapes to show.
        path: the file that holds them; None where there is none.
        edit: whether the file may be changed.

    Attributes:
        lock: held while the space is changed or looked at.
        work: held while a fine mesh is made, so that one is made after the other and previews come between.
        version: rises with each change.

    Raises:
        ValueError: no shapes, or edits without a file or of an unfinished training run.
    """

    def __init__(self, space: LatentSpace, path: str | Path | None = None, edit: bool = False):
        if edit and path is None:
            raise ValueError("edits are written to a file; give the path of the space too")
        if edit and path is not None:
            check_finished(path, space_info(path).unfinished)
        self.lock: threading.RLock = threading.RLock()
        self.work: threading.Lock = threading.Lock()
        self.path: Path | None = None if path is None else Path(path)
        self.edit = edit
        self.version = 0
        self.show(space)

    def show(self, space: LatentSpace) -> None:
        """Show another space, such as the same one after an edit."""
        with self.lock:
            self.index: Index = Index(space)
            self.space = space
            self.version += 1
            self.stamp: tuple[int, int] | None = self._stamp()

    def refresh(self) -> None:
        """Read the file again where another program has changed it.

        Raises:
            FileNotFoundError, ValueError: as `load`.
        """
        if self.path is None:
            return
        with self.lock:
            if self._stamp() != self.stamp:
                self.show(load(self.path))

    def summary(self) -> dict[str, Any]:
        """Names, classes and sizes, as JSON values."""
        with self.lock:
            space = self.space
            return {
                "source": space.source,
                "version": self.version,
                "edit": self.edit,
                "names": list(space.names),
                "classes": [class_of(name) for name in space.names],
                "tags": {name: tags for name in space.names if (tags := tags_of(space[name]))},
                "modes": [space[name].mode for name in space.names],
                "decoder": space.decoder.kind,
                "code_size": space.code_size,
                "file_bytes": self.path.stat().st_size if self.path is not None and self.path.exists() else None,
                "metric": self.index.metric,
            }

    def _stamp(self) -> tuple[int, int] | None:
        if self.path is None or not self.path.exists():
            return None
        state = self.path.stat()
        return state.st_mtime_ns, state.st_size
