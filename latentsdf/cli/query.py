"""Verbs that use a space: mesh, interpolate, search, reconstruct, view."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np

from ..core.optimize import Stop
from ..inference.code_fitting import EncodeConfig
from ..inference.encoding import encode_all
from ..mesh.load import MESH_ENDINGS, load_mesh
from ..reconstruction.reconstruction import ReconstructConfig
from ..reconstruction.reconstruction import reconstruct as reconstruct_scan
from ..reconstruction.scan_fitting import ScanFitConfig
from ..scan.scan import Scan
from ..space.index import Index
from ..space.shape import Shape
from ..space.space import LatentSpace
from ..space.store import append, load
from .arguments import Result, check_folder, check_mesh_ending, is_mesh_file, load_scan, write_mesh
from .progress import Bar, say
from .reconstruct import fitted, objective_of


def mesh(options: Namespace) -> Result:
    """`latentsdf mesh`."""
    space = load(options.space)
    shapes = [_shortened(space, space[name], options.code_size) for name in options.names]
    out = Path(options.out)
    single = is_mesh_file(options.out)
    if single and len(shapes) > 1:
        raise ValueError(f"{out} is one file, but {len(shapes)} shapes are asked for; give a folder")
    targets = [out] if single else [out / f"{shape.name}.{options.format}" for shape in shapes]
    made = []
    with Bar("mesh", options.quiet, len(shapes)) as bar:
        for done, (shape, target) in enumerate(zip(shapes, targets, strict=True), 1):
            began = monotonic()
            surface = shape.mesh(options.resolution)
            write_mesh(surface, target)
            made.append(
                {
                    "name": shape.name,
                    "path": str(target),
                    "faces": len(surface.faces),
                    "seconds": monotonic() - began,
                }
            )
            bar.update(done, shape.name)
    for item in made:
        say(f"{item['path']}  {item['faces']:,} faces  {item['seconds']:.1f} s")
    return {"meshes": made}


def interpolate(options: Namespace) -> Result:
    """`latentsdf interpolate`."""
    check_folder(options.out)
    space = load(options.space)
    first, last = space[options.a], space[options.b]
    made = []
    with Bar("interpolate", options.quiet, options.steps) as bar:
        for i in range(options.steps):
            t = i / (options.steps - 1) if options.steps > 1 else 0.5
            target = Path(options.out) / f"{i:03d}.ply"
            surface = space.interpolate(first, last, t).mesh(options.resolution)
            write_mesh(surface, target)
            made.append({"t": t, "path": str(target), "faces": len(surface.faces)})
            bar.update(i + 1, f"t = {t:.2f}")
    for item in made:
        say(f"{item['path']}  t = {item['t']:.2f}  {item['faces']:,} faces")
    return {"a": first.name, "b": last.name, "meshes": made}


def search(options: Namespace) -> Result:
    """`latentsdf search`."""
    space = load(options.space)
    query = _query(space, options)
    if isinstance(query, Scan):
        fit = ScanFitConfig(pose=options.pose or "placed", seed=options.seed)
        found = reconstruct_scan(space, query, config=ReconstructConfig(fit=fit, refine=False))
        if found.stop is Stop.INTERRUPTED:
            raise KeyboardInterrupt
        query = found.shape
    elif options.sensor is not None or options.cropped:
        raise ValueError(f"{options.query} is no point cloud, so no sensor saw it; leave --sensor and --cropped out")
    matches = Index(space).search(query, k=options.k)
    for match in matches:
        say(f"{match.distance:.5f}  {match.name}")
    return {
        "query": options.query,
        "matches": [{"name": match.name, "distance": match.distance} for match in matches],
    }


def reconstruct(options: Namespace) -> Result:
    """`latentsdf reconstruct`."""
    if options.space is None:
        return fitted(options)
    given = [f"--{name}" for name in ("network", "minutes") if getattr(options, name) is not None]
    if given:
        raise ValueError(f"{' and '.join(given)} fit a scan without a space; leave --space out, or leave them out")
    terms = objective_of(options)
    if terms is not None and options.code_only:
        raise ValueError(
            "--code-only leaves the shape as its code has it; leave --preset and --term out, or leave it out"
        )
    check_mesh_ending(Path(options.out))
    space = load(options.space)
    began = monotonic()
    config = ReconstructConfig(
        fit=ScanFitConfig(pose=options.pose or "placed", seed=options.seed), refine=not options.code_only
    )
    scan = load_scan(options.scan, options)
    if options.add is not None and options.add in space:
        raise ValueError(f"{options.space} already holds a shape named {options.add!r}; use another name")
    with Bar("reconstruct", options.quiet) as bar:
        found = reconstruct_scan(
            space, scan, terms, config=config, on_step=lambda step: bar.update(0.5 * step.progress)
        )
        for note in found.notes:
            bar.line(note)
    try:
        surface = found.mesh(options.resolution)
    except ValueError:
        raise ValueError(
            f"{options.scan}: what explains this scan best has no surface in the space's cube; it may hold several "
            "things, or nothing like it is in the space; give one shape a scan, or leave --space out"
        ) from None
    write_mesh(surface, Path(options.out))
    if options.add is not None and found.stop is not Stop.INTERRUPTED:
        append(options.space, [replace(found.shape, name=options.add)])
    matches = Index(space).search(found.shape, k=3)
    say(f"{options.out}  {len(surface.faces):,} faces; mean distance of the scan to it {found.residual_mean:.5g}")
    say("nearest: " + ", ".join(match.name for match in matches))
    support = surface.vertex_attributes["support"]
    return {
        "path": str(options.out),
        "faces": len(surface.faces),
        "residual_mean": found.residual_mean,
        "residual_p90": found.residual_p90,
        "support_p90": float(np.quantile(support, 0.9)),
        "deviation_mean": float(surface.vertex_attributes["deviation"].mean()),
        "units": "the scan's own",
        "frame": {
            "rotation": found.shape.frame.rotation.tolist(),
            "scale": found.shape.frame.scale,
            "center": found.shape.frame.center.tolist(),
        },
        "code": found.shape.code.tolist(),
        "correction_bytes": 0 if found.shape.correction is None else found.shape.correction.nbytes,
        "surprise": found.code_zscore,
        "openness": found.openness,
        "notes": list(found.notes),
        "stop": found.stop.value,
        "interrupted": found.stop is Stop.INTERRUPTED,
        "seconds": monotonic() - began,
        "matches": [{"name": match.name, "distance": match.distance} for match in matches],
    }


def view(options: Namespace) -> Result:
    """`latentsdf view`."""
    from ..space.viewer import view as view_space

    view_space(load(options.space), port=options.port, on_ready=say)
    return {"space": str(options.space)}


def _shortened(space: LatentSpace, shape: Shape, size: int | None) -> Shape:
    if size is None or size == space.code_size:
        return shape
    if size not in space.prefix_sizes:
        known = ", ".join(str(length) for length in (*space.prefix_sizes, space.code_size))
        raise ValueError(
            f"{space.source} was not trained to be read at {size} of {space.code_size} numbers; it can be at {known} "
            f"(train with --nested {size} for more)"
        )
    return shape.truncated(size)


def _query(space: LatentSpace, options: Namespace) -> Shape | Scan:
    """A stored shape, the shape of a mesh, or a scan as it is."""
    path = Path(options.query)
    if options.query in space or not path.is_file():
        return space[options.query]
    try:
        surface = load_mesh(path)
    except ValueError as error:
        if "point cloud" not in str(error) and path.suffix.lower() in MESH_ENDINGS:
            raise
        return load_scan(path, options)
    return encode_all(space, [(path.stem, surface)], config=EncodeConfig(seed=options.seed))[0]
