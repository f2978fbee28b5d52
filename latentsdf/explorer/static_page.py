"""The page of a collection as files: any web server can publish them, and browsers decode the codes themselves."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..core.hdf5 import atomic_replace
from ..core.names import class_of
from ..space.index import Index
from ..space.shape import Shape
from ..space.space import LatentSpace
from .packets import pack_packet
from .page_requests import web_files
from .plane_map import map_vectors, neighbour_plane, principal_plane
from .preview_mesh import preview_mesh
from .shaded_mesh import to_view
from .shape_facts import shape_facts
from .static_decoder import code_arrays, decoder_packet, decodes_in_browser

NEAREST = 8
"""Neighbours listed of each shape."""
CELLS = 64
"""Cells per axis of the meshes of shapes that the page does not decode."""
_LEAST = 4
_LEVEL = 9


class StaticPage(NamedTuple):
    """An exported page.

    Attributes:
        folder: of its files; `index.html` is the page.
        shapes: shown.
        form: `decoder` where all codes are decoded in the browser, `meshes` where none is, else `mixed`.
        first_bytes: loaded before everything can be shown, meshes of single shapes left out.
        total_bytes: of all files.
    """

    folder: Path
    shapes: int
    form: str
    first_bytes: int
    total_bytes: int


def export_page(
    space: LatentSpace,
    folder: str | Path,
    *,
    title: str | None = None,
    up: str = "z",
    on_progress: Callable[[float, str], None] | None = None,
) -> StaticPage:
    """Write a page that needs no program of ours on the server.

    Shapes that are codes of a volumes decoder are decoded in the browser. All others (of other decoders, and with
    corrections) are written as one compressed mesh each, which is loaded when the shape is looked at, as is that of the
    first shape, which is then there at once.

    Args:
        space: at least one shape.
        folder: for the files; those of an earlier page there are replaced, others stay.
        title: of the page; None is the name of the space.
        up: axis of the meshes that points up, `y` or `z`, until it is changed on the page.
        on_progress: called with the share of the work done and a note.

    Returns:
        Its files and sizes.

    Raises:
        ValueError: the space holds no shapes.
        OSError: a file cannot be written.
    """
    note = on_progress or (lambda share, text: None)
    folder, shapes = Path(folder), list(space.values())
    index = Index(space)  # refuses a space without shapes
    decoded = decodes_in_browser(space.decoder)
    meshed = [row for row, shape in enumerate(shapes) if not decoded or not shape.by_code or row == 0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meshes").mkdir(exist_ok=True)
    first = 0
    for file in web_files():
        data = file.read_bytes().replace(b'<html lang="en">', b'<html lang="en" data-source="static">')
        first += _write(folder / file.name, data)
    note(0.02, "map")
    _, vectors = map_vectors(space)
    points = principal_plane(vectors) if len(shapes) < _LEAST else neighbour_plane(vectors)
    note(0.2, "neighbours")
    near, distances = _neighbours(index, shapes)
    header, arrays = _collection(space, shapes, set(meshed))
    header |= {"title": title or space.source, "upright": up}
    arrays |= {"points": points.astype(np.float32), "near": near, "distances": distances}
    if decoded:
        arrays |= code_arrays(space.codes(), space.code_format)
        arrays["levels"] = np.array([shape.level for shape in shapes], dtype=np.float32)
        note(0.3, "decoder")
        first += _write(folder / "decoder.bin", _compressed(decoder_packet(space.decoder, space.weight_format)))
    first += _write(folder / "collection.bin", _compressed(pack_packet(header, arrays)))
    for done, row in enumerate(meshed, 1):
        size = _write(folder / "meshes" / f"{row}.bin", _compressed(_mesh(shapes[row])))
        first += size if row == 0 else 0
        note(0.4 + 0.6 * done / len(meshed), shapes[row].name)
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    form = "meshes" if not decoded else "decoder" if len(meshed) == 1 else "mixed"
    return StaticPage(folder, len(shapes), form, first, total)


def _neighbours(index: Index, shapes: list[Shape]) -> tuple[NDArray[np.uint16 | np.uint32], NDArray[np.float32]]:
    """Rows (S, K) of the nearest shapes to each, and their distances (S, K)."""
    count = min(NEAREST, len(shapes) - 1)
    rows = {name: row for row, name in enumerate(index.names)}
    near, distances = np.zeros((len(shapes), count), np.int64), np.zeros((len(shapes), count), np.float32)
    if count:
        for row, found in enumerate(index.search_all(list(index.names), count + 1)):
            others = [match for match in found if rows[match.name] != row][:count]
            near[row] = [rows[match.name] for match in others]
            distances[row] = [match.distance for match in others]
    return near.astype(np.uint16 if len(shapes) < 1 << 16 else np.uint32), distances


def _collection(
    space: LatentSpace, shapes: list[Shape], meshed: set[int]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Names, facts and frames of all shapes."""
    facts = [shape_facts(shape, space.code_format) for shape in shapes]
    extents = [(fact["audit"] or {}).get("extents") or [0.0, 0.0, 0.0] for fact in facts]
    header = {
        "source": space.source,
        "names": [shape.name for shape in shapes],
        "classes": [class_of(shape.name) for shape in shapes],
        "tags": {fact["name"]: fact["tags"] for fact in facts if fact["tags"]},
        "bytes": [fact["bytes"] for fact in facts],
        "modes": {shape.name: shape.mode for shape in shapes if shape.mode != "code"},
        "meshed": sorted(meshed),
        "decoder": space.decoder.kind if decodes_in_browser(space.decoder) else None,
    }
    frames = {
        "scales": np.array([shape.frame.scale for shape in shapes], dtype=np.float32),
        "centers": np.array([shape.frame.center for shape in shapes], dtype=np.float32),
        "turns": Rotation.from_matrix([shape.frame.rotation for shape in shapes]).as_quat().astype(np.float32),
        "extents": np.array(extents, dtype=np.float32),
    }
    return header, frames


def _mesh(shape: Shape) -> bytes:
    """The mesh of a shape in the view frame, positions in 16 bits; empty where it has no surface."""
    try:
        mesh = preview_mesh(shape, CELLS)
    except ValueError:
        return pack_packet({"name": shape.name, "cells": 0}, {})
    steps = np.rint(to_view(mesh.vertices, shape.frame).clip(-2, 2) * 16_000).astype(np.int16)
    wide = len(steps) >= 1 << 16
    faces = np.asarray(mesh.faces).astype(np.uint32 if wide else np.uint16)
    return pack_packet({"name": shape.name, "cells": CELLS, "step": 1 / 16_000}, {"steps": steps, "faces": faces})


def _compressed(data: bytes) -> bytes:
    return gzip.compress(data, _LEVEL, mtime=0)


def _write(path: Path, data: bytes) -> int:
    with atomic_replace(path) as temporary:
        temporary.write_bytes(data)
    return len(data)
