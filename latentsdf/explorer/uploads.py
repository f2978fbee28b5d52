"""Meshes and scans that a page sends: searched by, then encoded or reconstructed, one after the other on a thread."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from ..core.optimize import Step
from ..inference.code_fitting import EncodeConfig
from ..inference.encoding import encode_all
from ..mesh.endings import MESH_ENDINGS, SCAN_ENDINGS
from ..mesh.load import NotAMesh, load_mesh
from ..mesh.repair import repair_mesh
from ..reconstruction.reconstruction import Reconstruction, reconstruct
from ..scan.scan import Scan
from ..scan.scan_record import record_of_scan
from ..space.index import Query
from ..space.shape import Shape
from .collection import Collection

LARGEST = 256 << 20
"""Bytes of an upload at most."""
WAITING = 4
"""Uploads that may wait for their turn."""
KEPT = 8
"""Uploads that are kept; the oldest are dropped."""
NEAREST = 8
"""Shapes found for an upload."""


class Ended(Exception):
    """The upload was cancelled."""


@dataclass(eq=False)
class Upload:
    """A mesh or scan, and how far its encoding is.

    Attributes:
        key: of the upload.
        name: of its file.
        path: of the file in the temporary folder, or where it was given.
        kind: `auto` until it is read, then `mesh` or `scan`.
        state: `waiting`, `searching`, `fitting`, `done`, `failed` or `cancelled`.
        progress: of the fit, 0 to 1.
        matches: nearest shapes by name and distance.
        note: a sentence where it failed.
    """

    key: str
    name: str
    path: Path
    kind: str = "auto"
    state: str = "waiting"
    progress: float = 0.0
    matches: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    mesh: trimesh.Trimesh | None = None
    scan: Scan | None = None
    shape: Shape | None = None
    reconstruction: Reconstruction | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("done", "failed", "cancelled")

    def summary(self) -> dict[str, Any]:
        """State as JSON values."""
        found = self.reconstruction
        return {
            "key": self.key,
            "name": self.name,
            "kind": self.kind,
            "state": self.state,
            "progress": self.progress,
            "matches": self.matches,
            "note": self.note,
            "points": None if self.scan is None else len(self.scan),
            "residual_mean": None if found is None else found.residual_mean,
            "notes": [] if found is None else list(found.notes),
        }

    def shape_or_fail(self) -> Shape:
        """The shape; ValueError where it is not known yet."""
        if self.shape is None:
            text = f"{self.state}: {self.note}" if self.note else self.state
            raise ValueError(f"{self.name} is not encoded ({text})")
        return self.shape

    def guess(self, mesh: trimesh.Trimesh) -> Any:
        """How far vertices (V,) are from the scan: 0 within its own spacing, 1 from a tenth of the frame beyond it.

        None for a mesh.
        """
        if self.reconstruction is None or self.shape is None:
            return None
        spacing = float(np.median(self.reconstruction.fit.scan.neighbour_distances))
        beyond = self.reconstruction.scan_distance(mesh.vertices) - spacing
        return np.clip(beyond / (0.1 * self.shape.frame.scale), 0.0, 1.0)


class Uploads:
    """Uploads of all pages of a server, in a temporary folder that ends with it.

    Args:
        collection: whose space encodes them.
    """

    def __init__(self, collection: Collection):
        self.collection = collection
        self.folder: Path = Path(tempfile.mkdtemp(prefix="latentsdf-"))
        self._all: dict[str, Upload] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._queue: queue.Queue[Upload | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __getitem__(self, key: str) -> Upload:
        """An upload by its key; KeyError where there is none."""
        with self._lock:
            if key not in self._all:
                raise KeyError(f"no upload {key!r}; it may have been dropped, send the file again")
            return self._all[key]

    def receive(self, filename: str, data: bytes, kind: str = "auto") -> Upload:
        """Keep the bytes of a file under a name of our own, and queue it; its ending alone is taken over.

        Raises:
            ValueError: an ending that is not read, no bytes, or another kind than `auto`, `mesh` and `scan`.
            BlockingIOError: too many are waiting.
        """
        name = Path(filename.replace("\\", "/")).name or "upload"
        ending = Path(name).suffix.lower()
        check_ending(name)
        if not data:
            raise ValueError(f"{name} is empty")
        with self._lock:
            self._count += 1
            path = self.folder / f"{self._count}{ending}"
        path.write_bytes(data)
        return self.open(path, name, kind)

    def open(self, path: Path, name: str, kind: str = "auto") -> Upload:
        """Queue a file where it lies.

        Raises:
            ValueError: another kind than `auto`, `mesh` and `scan`.
            BlockingIOError: too many are waiting.
        """
        if kind not in ("auto", "mesh", "scan"):
            raise ValueError(f"an upload is read as auto, mesh or scan, not {kind!r}")
        with self._lock:
            if sum(not upload.over for upload in self._all.values()) > WAITING:
                raise BlockingIOError("too many files wait to be encoded; wait until some are done")
            key = f"{len(self._all)}-{np.random.default_rng().integers(1 << 62):x}"
            upload = self._all[key] = Upload(key, name, path, kind)
            for old in [item for item in self._all.values() if item.over][: max(0, len(self._all) - KEPT)]:
                self._drop(old)
        self._queue.put(upload)
        return upload

    def cancel(self, key: str) -> Upload:
        """End an upload at its next step; KeyError where there is none."""
        upload = self[key]
        if not upload.over:
            upload.state = "cancelled"
        return upload

    def close(self, seconds: float = 20.0) -> None:
        """End the thread, for which so many seconds are waited at most, and remove the folder."""
        with self._lock:
            for upload in self._all.values():
                if not upload.over:
                    upload.state = "cancelled"
        self._queue.put(None)
        self._thread.join(seconds)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _drop(self, upload: Upload) -> None:
        del self._all[upload.key]
        if upload.path.parent == self.folder:
            upload.path.unlink(missing_ok=True)

    def _work(self) -> None:
        while (upload := self._queue.get()) is not None:
            try:
                if not upload.over:
                    _process(upload, self.collection)
            except Ended:
                upload.state = "cancelled"
            except Exception as error:
                upload.note = " ".join(str(error).split()) or type(error).__name__
                upload.state = "failed"


def check_ending(name: str) -> None:
    """Refuse a file that is neither a mesh nor a scan by its ending, with a ValueError that lists those that are."""
    known = dict.fromkeys((*MESH_ENDINGS, *SCAN_ENDINGS))
    if Path(name).suffix.lower() not in known:
        raise ValueError(f"{name} has no ending of a mesh or scan; known are {', '.join(known)}")


def _process(upload: Upload, collection: Collection) -> None:
    """Read an upload, search by it, and fit its code."""
    _turn(upload, "searching")
    if upload.kind == "scan":
        upload.scan = Scan.load(upload.path)
    else:
        try:
            upload.mesh, upload.kind = load_mesh(upload.path), "mesh"
        except NotAMesh:
            if upload.kind == "mesh":
                raise
            upload.scan, upload.kind = Scan.load(upload.path), "scan"
    with collection.lock:
        space, index = collection.space, collection.index
    if index.metric == "record":
        partial = upload.scan is not None
        query: Query = record_of_scan(upload.scan) if upload.scan is not None else repair_mesh(_given(upload.mesh))[0]
        upload.matches = _rows(lambda: index.search(query, NEAREST, partial=partial))
    _turn(upload, "fitting")

    def on_step(step: Step) -> None:
        upload.progress = step.progress
        if upload.state == "cancelled":
            raise Ended

    name = Path(upload.name).stem
    if upload.scan is not None:
        upload.reconstruction = reconstruct(space, upload.scan, on_step=on_step)
        upload.shape = upload.reconstruction.shape
    else:
        shapes = encode_all(space, [(name, _given(upload.mesh))], config=EncodeConfig(pose="free"), on_step=on_step)
        upload.shape = shapes[0]
    if index.metric == "code":
        found = upload.shape
        upload.matches = _rows(lambda: index.search(found, NEAREST))
    _turn(upload, "done")


def _turn(upload: Upload, state: str) -> None:
    if upload.state == "cancelled":
        raise Ended
    upload.state = state


def _rows(search: Callable[[], list[Any]]) -> list[dict[str, Any]]:
    return [{"name": match.name, "distance": match.distance} for match in search()]


def _given(mesh: trimesh.Trimesh | None) -> trimesh.Trimesh:
    if mesh is None:
        raise ValueError("the upload holds no mesh")
    return mesh
