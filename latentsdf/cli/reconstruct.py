"""`latentsdf reconstruct`: by a code of a space and its refinement, or by a field of the scan alone."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from .arguments import Result, check_mesh_ending, given_pose, given_terms, named_space, write_mesh
from .progress import Bar, say
from .views import check_views, load_views

if TYPE_CHECKING:
    import trimesh

    from ..core.optimize import Step
    from ..fitting.fitted_field import Fitted
    from ..reconstruction.reconstruction import Reconstruction
    from ..scan.color_source import ColorSource
    from ..scan.scan import Scan
    from ..space.shape import Shape
    from ..space.space import LatentSpace

RESIDUAL_POINTS = 20_000
"""Points of a scan at which its residual is measured."""
STORED_SCORE = 0.98
"""F-score of the stored surface against the reconstruction that counts as reaching a tolerance."""
STORED_CELLS = 128
"""Cells per axis of the mesh of the reconstruction that residuals are fitted to."""
_NOT_TERMS = ("progress", "seconds", "loss")


def reconstruct(options: Namespace) -> Result:
    """Run `latentsdf reconstruct`; raises ValueError and the other errors of `verbs.run`."""
    terms, pose = _objective(options), given_pose(options, "placed")
    check_mesh_ending(Path(options.out))
    if options.space is not None:
        info = named_space(options.space)
        if options.add is not None and options.add in info.names:
            raise ValueError(f"{options.space} already holds a shape named {options.add!r}; use another name")
    check_views(options)
    began = monotonic()
    result = _alone(options, terms) if options.space is None else _with_space(options, terms, pose)
    return {**result, "seconds": monotonic() - began}


def _objective(options: Namespace) -> str | dict[str, float] | None:
    """The objective that `--preset` or `--term` give; None where neither is given.

    Raises:
        ValueError: options that exclude each other.
    """
    if options.space is None:
        needing = ("pose", "up", "space-up", "add", "code-only", "tolerance", "bytes")
        given = [f"--{name}" for name in needing if getattr(options, name.replace("-", "_"))]
        if given:
            raise ValueError(f"{' and '.join(given)} need a space; give --space, or leave them out")
    else:
        given = [f"--{name}" for name in ("network", "minutes") if getattr(options, name) is not None]
        if given:
            raise ValueError(f"{' and '.join(given)} fit a scan without a space; leave --space out, or leave them out")
        if (options.tolerance or options.bytes) and options.add is None:
            raise ValueError("--tolerance and --bytes say how to store the shape; give --add NAME, or leave them out")
    terms = given_terms(options)
    if terms is not None and options.code_only:
        raise ValueError(
            "--code-only leaves the shape as its code has it; leave --preset and --term out, or leave it out"
        )
    return terms


def _with_space(options: Namespace, terms: str | dict[str, float] | None, pose: Result) -> Result:
    """Fit code and pose to the scan, refine the shape, write the mesh."""
    import numpy as np

    from ..core.optimize import Stop
    from ..mesh.search_record import search_record
    from ..reconstruction.reconstruction import ReconstructConfig
    from ..reconstruction.reconstruction import reconstruct as reconstruct_scan
    from ..reconstruction.refinement import RefineConfig
    from ..reconstruction.scan_fitting import ScanFitConfig
    from ..space.index import Index
    from ..space.store import append, load

    space, seed = load(options.space), options.seed
    fit, refinement = ScanFitConfig(**pose, seed=seed), RefineConfig(seed=seed)
    config = ReconstructConfig(fit=fit, refine=not options.code_only, refinement=refinement)
    scan = load_views(options)
    source = _color_source(options, scan)
    with Bar("reconstruct", options.quiet) as bar:
        result = reconstruct_scan(
            space, scan, terms, config=config, on_step=lambda step: bar.update(0.5 * step.progress)
        )
        for note in result.notes:
            bar.line(note)
    try:
        surface = result.mesh(options.resolution)
    except ValueError:
        raise ValueError(
            f"{scan.name}: what explains this scan best has no surface in the space's cube; it may hold several "
            "things, or nothing like it is in the space; give one shape a scan, or leave --space out"
        ) from None
    painted = _paint(surface, source)
    write_mesh(surface, Path(options.out), options.normals)
    shape, frame, record = result.shape, result.shape.frame, search_record(surface)
    if options.add is not None and result.stop is not Stop.INTERRUPTED:
        stored = _packed(space, result, options)
        append(options.space, [replace(stored, name=options.add, record=record)])
        nbytes = 0 if stored.correction is None else stored.correction.nbytes
        say(f"{options.add}: {nbytes:,} bytes beside the code")
    matches = Index(space).search(replace(shape, record=record), k=3)
    say(f"{options.out}  {len(surface.faces):,} faces; mean distance of the scan to it {result.residual_mean:.5g}")
    say("nearest: " + ", ".join(match.name for match in matches))
    distance_p90 = float(np.quantile(surface.vertex_attributes["support"], 0.9))
    stddev_mean = float(surface.vertex_attributes["deviation"].mean())
    return {
        "path": str(options.out),
        "faces": len(surface.faces),
        "residual_mean": result.residual_mean,
        "residual_p90": result.residual_p90,
        "scan_distance_p90": distance_p90,
        "support_p90": distance_p90,
        "stddev_mean": stddev_mean,
        "deviation_mean": stddev_mean,
        "units": "the scan's own",
        "frame": {"rotation": frame.rotation.tolist(), "scale": frame.scale, "center": frame.center.tolist()},
        "code": shape.code.tolist(),
        "correction_bytes": 0 if shape.correction is None else shape.correction.nbytes,
        "prior_trust": None if result.refinement is None else result.refinement.trust,
        "code_zscore": result.code_zscore,
        "surprise": result.code_zscore,
        "openness": result.openness,
        "notes": list(result.notes),
        "stop": result.stop.value,
        "interrupted": result.stop is Stop.INTERRUPTED,
        "matches": [asdict(match) for match in matches],
        **painted,
    }


def _packed(space: LatentSpace, result: Reconstruction, options: Namespace) -> Shape:
    """The shape with its correction, or with the residual that the options ask for."""
    if options.tolerance is None and options.bytes is None:
        return result.shape
    from ..inference.packing import pack_shape
    from ..inference.rate_search import Target

    target = Target(tolerance=options.tolerance, max_bytes=options.bytes, score=STORED_SCORE)
    coded = replace(result.shape.without_correction(), frame=result.fit.frame)
    return pack_shape(space, coded, result.shape.mesh(STORED_CELLS), target, options.seed)


def _alone(options: Namespace, terms: str | dict[str, float] | None) -> Result:
    """Fit or solve for a field of the scan alone, write the mesh."""
    import torch

    from ..core.field import first_order_distance
    from ..core.optimize import Stop
    from ..fitting.descent import FitConfig, fit
    from ..fitting.direct_solve import solve_scan
    from ..fitting.fitted_field import FitMethod

    scan = load_views(options)
    source = _color_source(options, scan)
    descends = not (terms is None and options.network is None and options.minutes is None)
    with Bar("fit" if descends else "solve", options.quiet) as bar:
        began = monotonic()
        if descends:
            config = FitConfig(network=options.network or "fast", minutes=options.minutes or 2.0, seed=options.seed)
            field = fit(scan, terms, config, on_step=lambda step: bar.update(step.progress, _note(step)))
        else:
            field = solve_scan(scan, seed=options.seed, on_level=bar.update)
        for note in field.notes:
            bar.line(note)
    solved = field.method is FitMethod.SOLVE
    surface = _extracted(field, options.resolution, solved)
    painted = _paint(surface, source)
    _add_support(surface, scan)
    write_mesh(surface, Path(options.out), options.normals)
    points = torch.from_numpy(scan.subsampled(RESIDUAL_POINTS, options.seed).points)
    residual = first_order_distance(field, points)
    say(f"{options.out}  {len(surface.faces):,} faces; mean distance of the scan to it {float(residual.mean()):.5g}")
    objective = field.preset or " ".join(name for name, _ in options.term or ())
    summary = f"{objective}, {field.network} network, {field.steps} steps; {field.stop.value}"
    summary = f"one linear solve, {field.steps} iterations" if solved else summary
    say(f"{summary} ({monotonic() - began:.0f} s)")
    terms_at_end = field.trace[-1] if field.trace else {}
    return {
        "path": str(options.out),
        "faces": len(surface.faces),
        "residual_mean": float(residual.mean()),
        "residual_p90": float(residual.quantile(0.9)),
        "units": "the scan's own",
        "method": field.method.value,
        "preset": field.preset or None,
        "terms": {name: value for name, value in terms_at_end.items() if name not in _NOT_TERMS},
        "network": field.network,
        "steps": field.steps,
        "notes": list(field.notes),
        "stop": field.stop.value,
        "interrupted": field.stop is Stop.INTERRUPTED,
        "diverged": field.stop is Stop.DIVERGED,
        "fit_seconds": field.seconds,
        **painted,
    }


def _color_source(options: Namespace, scan: Scan) -> ColorSource | None:
    """The colours that `--colors` names; None without it."""
    if options.colors is None:
        return None
    from ..scan.color_source import load_colors, scan_colors

    if options.colors is not True:
        return load_colors(options.colors)
    if scan.colors is None and len(options.scan) == 1 and Path(options.scan[0]).is_file():
        return load_colors(options.scan[0])  # a coloured mesh, of which the scan holds samples alone
    return scan_colors(scan)


def _paint(surface: trimesh.Trimesh, source: ColorSource | None) -> Result:
    """Colour a mesh; the result has the median distance of its vertices to the source."""
    if source is None:
        return {}
    from ..scan.color_source import paint

    return {"color_distance": paint(surface, source)}


def _add_support(surface: trimesh.Trimesh, scan: Scan) -> None:
    """Give a mesh the distance of each vertex to the nearest point of the scan."""
    import numpy as np

    surface.vertex_attributes["support"] = np.asarray(scan.tree.query(surface.vertices)[0], dtype=np.float32)


def _extracted(field: Fitted, resolution: int, solved: bool) -> trimesh.Trimesh:
    """The surface of a field; where there is none, the error names the remedy."""
    try:
        return field.mesh(resolution)
    except ValueError as error:
        if solved:
            raise ValueError(f"{error}; see what --preset makes of the scan") from error
        raise ValueError(f"{error} (after {field.steps} steps: give more --minutes or another --preset)") from error


def _note(step: Step) -> str:
    terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
    return f"step {step.number}  {terms}"
