"""`latentsdf map`: the shapes of a space in the plane by the likeness of their records, as a picture or as JSON."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..core.hdf5 import atomic_replace
from ..core.names import class_of
from .arguments import Result, check_out_file, named_space
from .progress import Bar, say

if TYPE_CHECKING:
    import trimesh

    from ..mesh.record import Record
    from ..space.shape import Shape
    from ..space.space import LatentSpace

ENDINGS = (".png", ".json")
LEAST = 3
"""Fewest shapes that have a map, as in `space.layout`, whose import loads numeric libraries."""
CELLS = 96
"""Lattice cells per axis of the meshes that thumbnails show, where none was made for the record."""

Pictures = dict[str, NDArray[np.uint8] | None]


def map(options: Namespace) -> Result:
    """Run `latentsdf map`; raises ImportError, ValueError and the other errors of `verbs.run`."""
    out = check_out_file(options.out, ENDINGS)
    info = named_space(options.space)
    _check_count(len(info.names), options.space)
    from ..space.clustering import clusters, purity
    from ..space.layout import check_method, default_method, layout, trustworthiness
    from ..space.store import load

    check_method(options.method)
    began, space, pictures = monotonic(), load(options.space), Pictures()
    missing = sum(shape.record is None for shape in space.values())
    records = _records(space, pictures, missing, options)
    _check_count(len(records), options.space)
    names, values = list(records), list(records.values())
    method = options.method or default_method(len(names))
    with Bar("layout", options.quiet) as bar:
        points = layout(values, method, options.seed, lambda share: bar.update(0.9 * share))
        labels = clusters(values)
        bar.update(1.0)
    classes = [class_of(name) for name in names]
    rows = [
        {"name": name, "class": kind, "x": round(x, 6), "y": round(y, 6), "cluster": label}
        for name, kind, (x, y), label in zip(names, classes, points.tolist(), labels.tolist(), strict=True)
    ]
    result: Result = {
        "space": str(options.space),
        "path": str(out),
        "method": method,
        "shapes": rows,
        "clusters": int(labels.max()) + 1,
        "trustworthiness": trustworthiness(values, points),
        "class_purity": purity(labels, classes) if any(classes) else None,
        "records_made": missing - (len(space) - len(records)),
        "skipped": [{"name": name, "reason": "no surface"} for name in space if name not in records],
        "seconds": monotonic() - began,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".png":
        _write_picture(out, space, result, pictures, options)
        result["seconds"] = monotonic() - began
    else:
        with atomic_replace(out) as temporary:
            temporary.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _report(result)
    return result


def _check_count(count: int, space: str) -> None:
    if count < LEAST:
        raise ValueError(
            f"a map needs at least {LEAST} shapes with a surface, {Path(space).name} has {count}; encode more into it"
        )


def _records(space: LatentSpace, pictures: Pictures, missing: int, options: Namespace) -> dict[str, Record]:
    """Records by name; thumbnails of the shapes that are meshed for theirs are kept in `pictures`."""
    from ..space.shape_records import shape_records

    wanted, made = Path(options.out).suffix.lower() == ".png", 0
    with Bar("records", options.quiet or not missing, max(1, missing)) as bar:

        def on_shape(shape: Shape, mesh: trimesh.Trimesh | None) -> None:
            nonlocal made
            if shape.record is None:
                made += 1
                bar.update(made, shape.name)
                if wanted and mesh is not None:
                    pictures[shape.name] = _thumbnail(mesh)

        return shape_records(space.values(), on_shape)


def _write_picture(out: Path, space: LatentSpace, result: Result, pictures: Pictures, options: Namespace) -> None:
    from ..space.map_picture import MapData, draw_map
    from ..space.shape_records import surface

    rows = result["shapes"]
    data = MapData(
        np.array([(row["x"], row["y"]) for row in rows]),
        np.array([row["cluster"] for row in rows]),
        [row["class"] for row in rows],
    )
    total, done = min(options.thumbnails, len(rows)), 0
    with Bar("thumbnails", options.quiet, total) as bar:

        def thumbnail(row: int) -> NDArray[np.uint8] | None:
            nonlocal done
            name = rows[row]["name"]
            if name not in pictures:
                mesh = surface(space[name], CELLS)
                pictures[name] = None if mesh is None else _thumbnail(mesh)
            done += 1
            bar.update(done, name)
            return pictures[name]

        note = f"{len(rows)} shapes, {result['clusters']} clusters; dots are shapes without a thumbnail"
        picture = draw_map(data, thumbnail, options.thumbnails, note)
        if done < total:
            bar.update(total)
    with atomic_replace(out) as temporary:
        picture.save(temporary, format="PNG")


def _thumbnail(mesh: trimesh.Trimesh) -> NDArray[np.uint8]:
    from ..mesh.render import render
    from ..space.map_picture import SIZES

    return render(mesh, SIZES[1])


def _report(result: Result) -> None:
    for item in result["skipped"]:
        say(f"skipped {item['name']}: {item['reason']}")
    figures = f"{result['clusters']} clusters, trustworthiness {result['trustworthiness']:.3f}"
    if result["class_purity"] is not None:
        figures += f", class purity {result['class_purity']:.2f}"
    say(f"{result['path']}  {len(result['shapes'])} shapes by {result['method']}, {figures}, {result['seconds']:.1f} s")
