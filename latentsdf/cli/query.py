"""Verbs that query a space: mesh, interpolate, search, view."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..core.names import UnknownShape
from ..space.file_info import SpaceInfo
from .arguments import Result, check_folder, is_mesh_file, load_scan, named_space, write_mesh
from .progress import Bar, say

if TYPE_CHECKING:
    from ..space.shape import Shape
    from ..space.space import LatentSpace


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


def search(options: Namespace) -> Result:
    """Run `latentsdf search`; raises UnknownShape, ValueError and the other errors of `verbs.run`."""
    info = named_space(options.space)
    if options.query not in info.names and not Path(options.query).is_file():
        raise UnknownShape(options.query, info.names, Path(options.space).name)
    from ..space.index import Index
    from ..space.store import load

    space = load(options.space)
    matches = Index(space).search(_query(space, options), k=options.k)
    for match in matches:
        say(f"{match.distance:.5f}  {match.name}")
    return {"query": options.query, "matches": [asdict(match) for match in matches]}


def view(options: Namespace) -> Result:
    """Run `latentsdf view`; raises ValueError and the other errors of `verbs.run`."""
    named_space(options.space)
    from ..space.store import load
    from ..space.viewer import view as view_space

    view_space(load(options.space), port=options.port, on_ready=say)
    return {"space": str(options.space)}


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


def _query(space: LatentSpace, options: Namespace) -> Shape:
    """A stored shape, or the shape that a mesh or a scan is encoded to."""
    from ..mesh.load import NotAMesh, load_mesh

    surface, path = None, Path(options.query)
    if options.query not in space:
        try:
            surface = load_mesh(path)
        except NotAMesh:
            return _scanned(space, options)
    if options.sensor is not None or options.cropped:
        raise ValueError(f"{options.query} is no point cloud, so no sensor saw it; leave --sensor and --cropped out")
    if surface is None:
        return space[options.query]
    from ..inference.code_fitting import EncodeConfig
    from ..inference.encoding import encode_all

    return encode_all(space, [(path.stem, surface)], config=EncodeConfig(seed=options.seed))[0]


def _scanned(space: LatentSpace, options: Namespace) -> Shape:
    """The shape that explains a scan, by its code alone."""
    from ..core.optimize import Stop
    from ..reconstruction.reconstruction import ReconstructConfig, reconstruct
    from ..reconstruction.scan_fitting import ScanFitConfig

    fit = ScanFitConfig(pose=options.pose or "placed", seed=options.seed)
    result = reconstruct(space, load_scan(options.query, options), config=ReconstructConfig(fit=fit, refine=False))
    if result.stop is Stop.INTERRUPTED:
        raise KeyboardInterrupt
    return result.shape
