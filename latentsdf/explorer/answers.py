"""Answers to the requests of the page: JSON, packets of meshes and fields, and files to keep."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import trimesh

from ..core.frame import Frame
from ..mesh.metrics import compare
from .byte_cache import ByteCache
from .collection import Collection
from .field_sections import section_packet
from .originals import Originals
from .pair_morphs import PairMorphs
from .plane_map import PlaneMap
from .preview_mesh import LARGEST, preview_mesh
from .query_values import Answer, Query, as_json, cells_of, number, one
from .shaded_mesh import mesh_packet, points_packet
from .shape_facts import shape_facts
from .space_edits import add_shape, delete_shape, rename_shape, tag_shape
from .subjects import Subject, subject_of
from .uploads import Upload, Uploads

FORMATS = {"glb": "model/gltf-binary", "stl": "model/stl", "ply": "application/octet-stream"}
"""Endings of files to download, and their types."""
CACHED = 256 << 20
"""Bytes of packets kept in memory."""
NEAREST = 8
"""Neighbours shown of a shape."""
SCAN_POINTS = 60_000
"""Points of a scan that are shown at most."""
_PATIENCE = 20.0
_COMPARE_CELLS, _RECORD_CELLS, _DOWNLOAD_CELLS = 96, 64, 192


class Answers:
    """What the server answers about a collection.

    Args:
        collection: that is shown.
        originals: source meshes of its shapes.
        up: axis of the meshes that points up.

    Attributes:
        get: answers to queries by path.
        post: answers to changes by path, of a query and the body.
    """

    def __init__(self, collection: Collection, originals: Originals, up: str = "z"):
        self.collection, self.originals, self.uploads = collection, originals, Uploads(collection)
        self.cache, self.morphs = ByteCache(CACHED), PairMorphs()
        self.up = up
        self.opened: str | None = None
        self._map: tuple[int, PlaneMap] | None = None
        self._map_lock = threading.Lock()
        self.get: dict[str, Callable[[Query], Answer]] = {
            "space": self._space,
            "map": self._plane,
            "facts": self._facts,
            "neighbours": self._neighbours,
            "mesh": self._mesh,
            "original": self._original,
            "compare": self._compare,
            "section": self._section,
            "upload": lambda query: as_json(self.uploads[one(query, "upload")].summary()),
            "points": self._points,
            "download": self._download,
        }
        self.post: dict[str, Callable[[Query, bytes], Answer]] = {
            "upload": self._receive,
            "cancel": lambda query, _: as_json(self.uploads.cancel(one(query, "upload")).summary()),
            "delete": self._delete,
            "rename": self._rename,
            "tag": self._tag,
            "add": self._add,
        }

    def open(self, path: Path) -> None:
        """Open a file where it lies; pages show it first."""
        self.opened = self.uploads.open(path, path.name).key

    def close(self) -> None:
        """End the threads and remove the uploads."""
        self.uploads.close(_PATIENCE)
        self.morphs.close(_PATIENCE)
        if self._map is not None:
            self._map[1].end(_PATIENCE)

    def _space(self, query: Query) -> Answer:
        self.collection.refresh()
        return as_json({**self.collection.summary(), "opened": self.opened, "upright": self.up})

    def _plane(self, query: Query) -> Answer:
        with self._map_lock:
            with self.collection.lock:
                version, space = self.collection.version, self.collection.space
            if self._map is None or self._map[0] != version:
                if self._map is not None:
                    self._map[1].end()
                self._map = version, PlaneMap(space)
        return as_json({"version": version, **self._map[1].state()})

    def _subject(self, query: Query) -> Subject:
        return subject_of(query, self.collection, self.uploads, self.morphs)

    def _facts(self, query: Query) -> Answer:
        subject = self._subject(query)
        facts = shape_facts(subject.shape, self.collection.space.code_format)
        if "mix" in query:
            facts |= {"class": "", "mode": "mixture" if subject.pair is None else "morph", "bytes": None}
        facts["original"] = self.originals.file_of(subject.shape) is not None
        if subject.upload is not None:
            facts["upload"] = self.uploads[subject.upload].summary()
            facts["original"] = self.uploads[subject.upload].mesh is not None
        return as_json(facts)

    def _neighbours(self, query: Query) -> Answer:
        """The nearest shapes; of a shape without a stored record that of a coarse mesh is taken."""
        subject, index = self._subject(query), self.collection.index
        if subject.upload is not None:
            return as_json({"matches": self.uploads[subject.upload].matches})
        shape = subject.shape
        if index.metric == "code":
            found = index.search(shape, NEAREST + 1)
        elif shape.record is not None:
            found = index.search(shape.record, NEAREST + 1)
        else:
            found = index.search(surface(subject, _RECORD_CELLS), NEAREST + 1)
        matches = [asdict(match) for match in found if match.name != shape.name][:NEAREST]
        return as_json({"matches": matches, "metric": index.metric})

    def _mesh(self, query: Query) -> Answer:
        """A mesh; of a morph that is not registered yet that of the mixed codes, marked as such and not kept."""
        subject, cells = self._subject(query), cells_of(query)
        form = "shape"
        if subject.pair is not None:
            if cells > LARGEST:
                subject.pair[0].wait()
            form = "morph" if subject.pair[0].ready else "codes"

        def make() -> bytes:
            mesh = surface(subject, cells)
            guess = None if subject.upload is None else self.uploads[subject.upload].guess(mesh)
            facts = {"name": subject.shape.name, "cells": cells, "form": form}
            return mesh_packet(mesh, subject.shape.frame, facts, guess)

        return self._cached(("mesh", form, subject.key, cells), make, at_once=cells <= LARGEST)

    def _original(self, query: Query) -> Answer:
        subject = self._subject(query)

        def make() -> bytes:
            mesh = self._source_mesh(subject)
            return mesh_packet(mesh, subject.shape.frame, {"name": subject.shape.name, "cells": None})

        return self._cached(("original", subject.key), make)

    def _compare(self, query: Query) -> Answer:
        """Figures of a shape against its source mesh, as `evaluate` measures them."""
        subject = self._subject(query)

        def make() -> bytes:
            truth = self._source_mesh(subject)
            found = compare(surface(subject, _COMPARE_CELLS), truth, samples=5_000)
            scale = Frame.around(truth.vertices).scale
            return as_json({**found.to_dict(), "scale": scale, "cells": _COMPARE_CELLS}).body

        return Answer(self._cached(("compare", subject.key), make).body, "application/json; charset=utf-8")

    def _section(self, query: Query) -> Answer:
        subject = self._subject(query)
        axis, cells = int(number(query, "axis", 0)), int(number(query, "cells", 96))
        offset = round(number(query, "offset", 0.0), 4)
        key = ("section", subject.key, axis, offset, cells)
        shape = subject.shape
        if subject.pair is not None:
            subject.pair[0].wait()
            shape = subject.pair[0].at(subject.pair[1])
        return self._cached(key, lambda: section_packet(shape, axis, offset, cells), at_once=True)

    def _points(self, query: Query) -> Answer:
        upload = self.uploads[one(query, "upload")]
        if upload.scan is None:
            raise ValueError(f"{upload.name} is a mesh, it has no scan points")
        frame = upload.shape_or_fail().frame
        return Answer(points_packet(upload.scan.subsampled(SCAN_POINTS, 0).points, frame))

    def _download(self, query: Query) -> Answer:
        subject, ending = self._subject(query), one(query, "format")
        if ending not in FORMATS:
            raise ValueError(f"no download as {ending!r}; choose {', '.join(FORMATS)}")
        cells = cells_of(query, _DOWNLOAD_CELLS)
        if subject.pair is not None:
            subject.pair[0].wait()
        with self.collection.work:
            mesh = surface(subject, cells)
        data = mesh.export(file_type=ending)
        body = data.encode() if isinstance(data, str) else bytes(data)
        name = subject.shape.name.split("/")[-1]
        return Answer(body, FORMATS[ending], quote(f"{name}.{ending}", safe=" +.-_~"))

    def _receive(self, query: Query, body: bytes) -> Answer:
        kind = query.get("kind", ["auto"])[0]
        return as_json(self.uploads.receive(one(query, "filename"), body, kind).summary())

    def _delete(self, query: Query, body: bytes) -> Answer:
        delete_shape(self.collection, one(query, "name"))
        return as_json(self.collection.summary())

    def _rename(self, query: Query, body: bytes) -> Answer:
        rename_shape(self.collection, one(query, "name"), one(query, "new"))
        return as_json(self.collection.summary())

    def _tag(self, query: Query, body: bytes) -> Answer:
        tag_shape(self.collection, one(query, "name"), query.get("tag", []))
        return as_json(self.collection.summary())

    def _add(self, query: Query, body: bytes) -> Answer:
        """Add the shape of an upload; one that a scan was fitted to gains its search record first."""
        shape = self.uploads[one(query, "upload")].shape_or_fail()
        add_shape(self.collection, shape, one(query, "new"))
        return as_json(self.collection.summary())

    def _source_mesh(self, subject: Subject) -> trimesh.Trimesh:
        if subject.upload is not None:
            mesh: Upload = self.uploads[subject.upload]
            if mesh.mesh is None:
                raise ValueError(f"{mesh.name} is a scan, there is no mesh to compare with")
            return mesh.mesh
        return self.originals.mesh_of(subject.shape)

    def _cached(self, key: Any, make: Callable[[], bytes], at_once: bool = False) -> Answer:
        """Bytes of a key; where they are not there yet they are made, one after the other unless they are cheap."""
        data = self.cache.get(key)
        if data is None:
            with contextlib.nullcontext() if at_once else self.collection.work:
                data = self.cache.get(key) or make()
                self.cache.put(key, data)
        return Answer(data)


def surface(subject: Subject, cells: int) -> trimesh.Trimesh:
    """Mesh a subject in source units, up to `preview_mesh.LARGEST` cells per axis coarsely and at once.

    Raises:
        ValueError: no surface.
    """
    if subject.pair is not None:
        morph, t = subject.pair
        if cells > LARGEST:
            return morph.at(t).mesh(cells)
        found = morph.preview(t)
        if found is not None:
            return found
    return preview_mesh(subject.shape, cells) if cells <= LARGEST else subject.shape.mesh(cells)
