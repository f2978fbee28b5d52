"""`latentsdf plot KIND`: pictures of a space as files: map, sheet, morph, slice, losses, rate."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..core.hdf5 import atomic_replace
from ..mesh.endings import check_mesh_folder
from ..mesh.folder import find_meshes
from ..space.stored_figures import StoredFigures, stored_figures
from .arguments import Result, check_out_file, named_space
from .progress import Bar, say

if TYPE_CHECKING:
    import trimesh
    from PIL import Image

    from ..plot.drawing import Drawing
    from ..space.shape import Shape

PIXELS, DIAGRAM = (".png",), (".png", ".svg")
"""Endings of rendered pictures, and of charts."""
_SHEET_WIDTH = 1400


def plot(options: Namespace) -> Result:
    """Run `latentsdf plot KIND`; raises ValueError, ImportError and the other errors of `verbs.run`."""
    began = monotonic()
    kinds = {"map": _map, "sheet": _sheet, "morph": _morph, "slice": _slice, "losses": _losses, "rate": _rate}
    result = kinds[options.kind](options)
    if options.kind == "map":
        return {"kind": "map", **result}
    return {
        "kind": options.kind,
        "space": str(options.space),
        "path": options.out,
        **result,
        "seconds": monotonic() - began,
    }


def _map(options: Namespace) -> Result:
    from .map import map as draw_map

    check_out_file(options.out, PIXELS)
    return draw_map(options)


def _sheet(options: Namespace) -> Result:
    out = check_out_file(options.out, PIXELS)
    info = named_space(options.space, options.names)
    files = _originals(options.meshes)
    if not info.names:
        raise ValueError(f"{Path(options.space).name} holds no shapes; add some with `latentsdf encode`")
    from ..plot.sheet import ORIGINAL, Cell, class_colours, draw_sheet, sample_names
    from ..space.store import load

    names = options.names or sample_names(info.names, options.most, options.seed)
    figures = {row.name: row for row in stored_figures(options.space)}
    space, colours, cells = load(options.space), class_colours(sorted(info.names)), []
    missing: list[str] = []
    with Bar("sheet", options.quiet, 2 * len(names)) as bar:
        for done, name in enumerate(names, 1):
            shape = space[name]
            made = Cell(_surface(shape, options.resolution), _caption(name, figures[name]), colours[shape.class_name])
            if options.meshes is not None:
                original = _original(files, name, missing)
                cells.append(Cell(original, (name, "original"), ORIGINAL))
                made = made._replace(lines=made.lines[1:])
            cells.append(made)
            bar.update(done, name)
        per = 1 if options.meshes is None else 2
        columns = options.columns or max(1, min(len(names), round(_SHEET_WIDTH / options.size / per)))
        each = len(cells) / len(names)
        picture = draw_sheet(
            cells, per * columns, options.size, "", lambda count: bar.update(len(names) + count / each, "pictures")
        )
    _save(picture, out)
    say(f"{out}  {len(names)} shapes, {picture.width} x {picture.height} pixels")
    for name in missing:
        say(f"no original of {name} in {options.meshes}")
    return {"names": list(names), "missing": missing, "width": picture.width, "height": picture.height}


def _morph(options: Namespace) -> Result:
    out = check_out_file(options.out, PIXELS)
    named_space(options.space, (options.a, options.b))
    import numpy as np

    from ..plot.sheet import ALBEDOS, Cell, draw_sheet, row_frames
    from ..space.store import load

    space, meshes, places = load(options.space), [], np.linspace(0.0, 1.0, options.steps)
    with Bar("morph", options.quiet, 2 * options.steps) as bar:
        for t in places:
            meshes.append(_surface(space.interpolate(options.a, options.b, float(t)), options.resolution))
            bar.update(len(meshes), f"t = {t:.2f}")
        frames = row_frames([None if mesh is None else np.asarray(mesh.vertices) for mesh in meshes])
        ends = {0.0: options.a, 1.0: options.b}
        cells = [
            Cell(mesh, (ends.get(float(t), f"{t:.2f}"),), _mixed(ALBEDOS[0], ALBEDOS[2], float(t)), frame)
            for mesh, t, frame in zip(meshes, places, frames, strict=True)
        ]
        picture = draw_sheet(
            cells, options.columns or len(cells), options.size, "", lambda count: bar.update(options.steps + count)
        )
    _save(picture, out)
    say(f"{out}  {options.a} to {options.b} in {options.steps} steps, {picture.width} x {picture.height} pixels")
    return {"a": options.a, "b": options.b, "steps": options.steps, "width": picture.width, "height": picture.height}


def _slice(options: Namespace) -> Result:
    out = check_out_file(options.out, DIAGRAM)
    named_space(options.space, (options.name,))
    from ..plot.slice import AXES, draw_slice, slice_field
    from ..space.store import load

    shape = load(options.space)[options.name]
    with Bar("slice", options.quiet) as bar:
        field = slice_field(shape, shape.frame, AXES.index(options.axis), options.at)
        bar.update(1.0)
    _save(draw_slice(field, options.name), out)
    inside = float((field.values < 0).mean())
    say(f"{out}  {options.name} at {options.axis} = {field.at:.4g}, {inside:.1%} of the picture inside")
    return {
        "name": options.name,
        "axis": options.axis,
        "at": field.at,
        "inside": inside,
        "least": float(field.values.min()),
        "largest": float(field.values.max()),
    }


def _losses(options: Namespace) -> Result:
    out = check_out_file(options.out, DIAGRAM)
    info = named_space(options.space)
    from ..plot.losses import draw_losses

    _save(draw_losses(info.history, Path(options.space).name), out)
    log = info.history["log"]
    say(f"{out}  {log[-1]['step']:,} steps, loss {log[-1]['loss']:.3g}")
    return {"steps": log[-1]["step"], "loss": log[-1]["loss"]}


def _rate(options: Namespace) -> Result:
    out = check_out_file(options.out, DIAGRAM)
    info, rows = named_space(options.space), stored_figures(options.space)
    from ..plot.rate import draw_rate, rate_parts

    _save(draw_rate(info, rows, Path(options.space).name), out)
    parts, scored = rate_parts(info, rows), sum(row.f_score is not None for row in rows)
    say(f"{out}  {sum(parts.values()):,.0f} bytes a shape, {scored} of {len(rows)} with a stored F-score")
    return {"bytes_by_part": parts, "shapes": len(rows), "shapes_with_f_score": scored}


def _save(picture: Image.Image | Drawing, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    from ..plot.drawing import Drawing

    if isinstance(picture, Drawing):
        picture.save(out)
        return
    with atomic_replace(out) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def _originals(folder: str | None) -> dict[str, Path]:
    if folder is None:
        return {}
    check_mesh_folder(Path(folder))
    return dict(find_meshes(Path(folder))[0])


def _original(files: dict[str, Path], name: str, missing: list[str]) -> trimesh.Trimesh | None:
    from ..mesh.load import load_mesh

    if name not in files:
        missing.append(name)
        return None
    return load_mesh(files[name])


def _surface(shape: Shape, resolution: int) -> trimesh.Trimesh | None:
    try:
        return shape.mesh(resolution)
    except ValueError:
        return None


def _caption(name: str, figures: StoredFigures) -> tuple[str, str]:
    text = f"{figures.nbytes:,} bytes"
    if figures.f_score is not None:
        text += f", F {figures.f_score:.2f}"
    return name, text


def _mixed(a: tuple[float, ...], b: tuple[float, ...], t: float) -> tuple[float, float, float]:
    x, y, z = (first + t * (last - first) for first, last in zip(a, b, strict=True))
    return x, y, z
