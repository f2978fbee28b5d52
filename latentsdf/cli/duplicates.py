"""`latentsdf duplicates`: shapes of a folder or a space that are the same up to pose, scale, mirroring and holes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..core.hdf5 import atomic_replace
from ..core.interrupt import poll_interrupt
from ..mesh.folder import find_meshes
from .arguments import Result, check_out_file, named_space
from .progress import Bar, say

if TYPE_CHECKING:
    from ..mesh.duplicates import Duplicates, Item

TOLERANCES = (0.01, 0.03)
"""Default tolerance of meshes, and that of decoded surfaces, whose error it has to exceed."""
CELLS = 96
"""Lattice cells per axis of decoded meshes."""
SHOWN = 60
"""Groups and pairs of the contact sheet, at most."""

Stop = Callable[[], bool]


def duplicates(options: Namespace) -> Result:
    """Run `latentsdf duplicates`.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: no mesh in the folder, none that can be read, a file that is no space, or a wrong path of the sheet.
        OSError: an output that cannot be written.
    """
    source = Path(options.source)
    sheet = None if options.sheet is None else check_out_file(options.sheet, (".png",))
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    folder = source.is_dir()
    files, nameless = find_meshes(source) if folder else ([], [])
    if not folder:
        named_space(options.source)
    began = monotonic()
    tolerance = options.tolerance or TOLERANCES[0 if folder else 1]
    with poll_interrupt() as stop:
        items, skipped = _folder_items(files, options, stop) if folder else _space_items(options, stop)
        skipped = [{"name": name, "reason": reason} for name, reason in nameless] + skipped
        if not items and not stop():
            first = f"; the first: {skipped[0]['name']}: {skipped[0]['reason']}" if skipped else ""
            raise ValueError(f"no shape of {source} has a surface that can be compared{first}")
        found = _search(items, tolerance, options, stop)
    values = found.to_dict()
    result: Result = {
        "source": str(source),
        "tolerance": tolerance,
        "shapes": len(items),
        "groups": [
            {"names": names, "relations": [item.to_dict() for item in found.relations if item.a in names]}
            for names in map(list, found.groups)
        ],
        "variants": values["variants"],
        "compared": found.compared,
        "skipped": skipped + values["failed"],
        "interrupted": found.interrupted,
    }
    shown = sheet is not None and bool(found.groups or found.variants) and not found.interrupted
    if sheet is not None and shown:
        _write_sheet(sheet, found, {item.name: item for item in items}, options)
    result |= {"sheet": str(sheet) if shown else None, "seconds": monotonic() - began}
    _report(result, found)
    return result


def _folder_items(
    files: list[tuple[str, Path]], options: Namespace, stop: Stop
) -> tuple[list[Item], list[dict[str, str]]]:
    """Meshes of a folder with their records, made in worker processes, and those without one with the reason."""
    import contextlib

    from ..core.processes import LostTask, core_count, run_pool
    from ..mesh.duplicates import Item
    from .mesh_records import LIMITS, MeshTask, mesh_record

    tasks, made, skipped = [MeshTask(name, file) for name, file in files], dict[str, Item](), list[dict[str, str]]()
    with Bar("records", options.quiet, len(tasks)) as bar:
        pool = run_pool(mesh_record, tasks, options.workers or core_count(), LIMITS)
        with contextlib.closing(pool):
            for task, answer in pool:
                if isinstance(answer, LostTask):
                    answer = answer.reason
                if isinstance(answer, str):
                    skipped.append({"name": task.name, "reason": answer})
                else:
                    made[task.name] = Item(task.name, answer, task.load)
                bar.update(len(made) + len(skipped), task.name)
                if stop():
                    break
    return [made[name] for name, _ in files if name in made], sorted(skipped, key=lambda row: row["name"])


def _space_items(options: Namespace, stop: Stop) -> tuple[list[Item], list[dict[str, str]]]:
    """Shapes of a space with their records; missing records are those of decoded meshes."""
    from ..mesh.duplicates import Item
    from ..space.shape_records import shape_records
    from ..space.store import load

    space = load(options.source)
    records: dict[str, Any] = {}
    missing = sum(shape.record is None for shape in space.values())
    with Bar("records", options.quiet or not missing, max(1, len(space))) as bar:
        for done, shape in enumerate(space.values(), 1):
            records |= shape_records([shape])
            bar.update(done, shape.name)
            if stop():
                break
    skipped = [{"name": name, "reason": "no surface"} for name in space if name not in records and not stop()]
    items = [
        Item(name, record, lambda name=name: space[name].mesh(CELLS))  # type: ignore[misc]
        for name, record in records.items()
    ]
    return items, skipped


def _search(items: list[Item], tolerance: float, options: Namespace, stop: Stop) -> Duplicates:
    from ..mesh.duplicates import find_duplicates

    with Bar("compare", options.quiet) as bar:

        def on_row(share: float) -> bool:
            bar.update(share)
            return not stop()

        return find_duplicates(items, tolerance, options.variants, on_row)


def _write_sheet(out: Path, found: Duplicates, items: dict[str, Item], options: Namespace) -> None:
    from ..mesh.group_sheet import draw_groups, sheet_rows

    rows = sheet_rows(found)
    with Bar("pictures", options.quiet, min(SHOWN, len(rows))) as bar:
        note = f"{len(found.groups)} groups, {len(found.variants)} pairs of variants"
        if len(rows) > SHOWN:
            note += f"; the first {SHOWN} of them"
        picture = draw_groups(rows[:SHOWN], lambda name: items[name].mesh(), note, bar.update)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_replace(out) as temporary:
        picture.save(temporary, format="PNG")


def _report(result: Result, found: Duplicates) -> None:
    for item in result["skipped"]:
        say(f"skipped {item['name']}: {item['reason']}")
    for names in found.groups:
        members = set(names)
        say(f"{len(names)} shapes: {', '.join(names)}")
        for relation in found.relations:
            if relation.a in members:
                say(f"  {relation.a} -> {relation.b}: {relation}")
    for relation in found.variants:
        say(f"{relation.a} -> {relation.b}: {relation}")
    grouped = sum(map(len, found.groups))
    text = f"{result['shapes']} shapes, {grouped} of them in {len(found.groups)} groups"
    text += f", {len(found.variants)} pairs of variants" if found.variants else ""
    text += f", {len(result['skipped'])} skipped" if result["skipped"] else ""
    figures = f"tolerance {result['tolerance']:g}, {result['seconds']:.1f} s"
    say(f"{text}, {found.compared} pairs compared, {figures}")
    if result["sheet"]:
        say(result["sheet"])
