"""`latentsdf view`: a space in the browser, served on this machine or written as static files."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..mesh.endings import MESH_ENDINGS, SCAN_ENDINGS, check_mesh_folder
from ..space.file_info import check_finished
from .arguments import Result, check_folder, named_space
from .progress import Bar, say

_SERVED = ("scan", "port", "host", "edit", "meshes")
_PORT = 8080


def view(options: Namespace) -> Result:
    """Run `latentsdf view`; raises ValueError and the other errors of `verbs.run`."""
    info = named_space(options.space)
    if not info.names:
        raise ValueError(f"{options.space} holds no shapes to show; train it or encode meshes into it first")
    if options.static is not None:
        return _export(options)
    if options.title is not None:
        raise ValueError("--title is of a page written with --static; give --static OUT too, or leave it out")
    if options.scan is not None:
        _check_scan(Path(options.scan))
    if options.meshes is not None:
        check_mesh_folder(Path(options.meshes))
    if options.edit:
        check_finished(options.space, info.unfinished)
    from ..explorer.page_server import ViewConfig
    from ..explorer.page_server import view as view_space
    from ..space.store import load

    config = ViewConfig(
        host=options.host or "127.0.0.1",
        path=options.space,
        edit=options.edit,
        meshes=options.meshes,
        scan=options.scan,
        up=options.up,
    )
    view_space(load(options.space), port=options.port or _PORT, on_ready=say, config=config)
    return {"space": str(options.space)}


def _check_scan(path: Path) -> None:
    known = dict.fromkeys((*MESH_ENDINGS, *SCAN_ENDINGS))
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.suffix.lower() not in known:
        raise ValueError(f"{path.name} has no ending of a mesh or scan; known are {', '.join(known)}")


def _export(options: Namespace) -> Result:
    """Write the page as files."""
    given = [f"--{name}" if name != "scan" else "SCAN" for name in _SERVED if getattr(options, name)]
    if given:
        raise ValueError(f"{' and '.join(given)} are of a served page; leave them out with --static")
    check_folder(options.static)
    from ..explorer.static_page import export_page
    from ..space.store import load

    with Bar("page", options.quiet) as bar:
        space = load(options.space)
        page = export_page(space, options.static, title=options.title, up=options.up, on_progress=bar.update)
    say(f"{page.folder}: {page.shapes} shapes in {page.total_bytes:,} bytes, {page.first_bytes:,} to open the page")
    say(f"look at it with: python -m http.server -d {page.folder}")
    return {
        "space": str(options.space),
        "path": str(page.folder),
        "shapes": page.shapes,
        "form": page.form,
        "bytes": page.total_bytes,
        "first_bytes": page.first_bytes,
    }
