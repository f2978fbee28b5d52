"""The verb that morphs one shape of a space into another (interpolate)."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from .arguments import Result, check_folder, named_space, write_mesh
from .progress import Bar, say


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
