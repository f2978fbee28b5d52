"""Verbs that write shapes of a space as meshes: mesh, interpolate."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from time import monotonic

from ..space.file_info import SpaceInfo
from .arguments import Result, check_folder, is_mesh_file, named_space, write_mesh
from .progress import Bar, say


def mesh(options: Namespace) -> Result:
    """Run `latentsdf mesh`; raises ValueError and the other errors of `verbs.run`."""
    info = named_space(options.space, options.names)
    size = _code_size(options, info)
    out = Path(options.out)
    single = is_mesh_file(options.out)
    if single and len(options.names) > 1:
        raise ValueError(f"{out} is one file, but {len(options.names)} shapes are asked for; give a folder")
    from ..space.store import load

    space, meshes = load(options.space), []
    with Bar("mesh", options.quiet, len(options.names)) as bar:
        for done, name in enumerate(options.names, 1):
            began = monotonic()
            target = out if single else out / f"{name}.{options.format}"
            surface = (space[name] if size is None else space[name].truncated(size)).mesh(options.resolution)
            write_mesh(surface, target)
            seconds = monotonic() - began
            meshes.append({"name": name, "path": str(target), "faces": len(surface.faces), "seconds": seconds})
            bar.update(done, name)
    for item in meshes:
        say(f"{item['path']}  {item['faces']:,} faces  {item['seconds']:.1f} s")
    return {"meshes": meshes}


def interpolate(options: Namespace) -> Result:
    """Run `latentsdf interpolate`; raises ValueError and the other errors of `verbs.run`."""
    check_folder(options.out)
    named_space(options.space, (options.a, options.b))
    from ..space.store import load

    space, meshes = load(options.space), []
    with Bar("interpolate", options.quiet, options.steps) as bar:
        for i in range(options.steps):
            t = i / (options.steps - 1) if options.steps > 1 else 0.5
            target = Path(options.out) / f"{i:03d}.ply"
            surface = space.interpolate(options.a, options.b, t).mesh(options.resolution)
            write_mesh(surface, target)
            meshes.append({"t": t, "path": str(target), "faces": len(surface.faces)})
            bar.update(i + 1, f"t = {t:.2f}")
    for item in meshes:
        say(f"{item['path']}  t = {item['t']:.2f}  {item['faces']:,} faces")
    return {"a": options.a, "b": options.b, "meshes": meshes}


def _code_size(options: Namespace, info: SpaceInfo) -> int | None:
    """The prefix of the codes that `--code-size` asks for; None where it is the whole code."""
    size = options.code_size
    if size is None or size == info.code_size:
        return None
    if size not in info.prefix_sizes:
        known = ", ".join(str(length) for length in (*info.prefix_sizes, info.code_size))
        raise ValueError(
            f"{Path(options.space).name} was not trained to be read at {size} of {info.code_size} numbers; it can be "
            f"at {known} (train with --nested {size} for more)"
        )
    return size
