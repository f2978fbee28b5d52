"""`latentsdf reconstruct` without a space: the scan alone, by one solve or by a descent on named terms."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from time import monotonic

import numpy as np
import torch
import trimesh

from ..core.field import evaluate
from ..core.optimize import Step, Stop
from ..fitting.descent import FitConfig, fit
from ..fitting.direct_solve import solve_scan
from ..fitting.fitted_field import FitMethod, Fitted
from .arguments import Result, check_mesh_ending, load_scan, write_mesh
from .progress import Bar, say

RESIDUAL_POINTS = 20_000


def objective_of(options: Namespace) -> str | dict[str, float] | None:
    """What `--preset` or `--term` ask for; None where neither is given.

    Raises:
        ValueError: both are given, or a term twice.
    """
    if options.preset and options.term:
        raise ValueError("--preset and --term are two ways to say what to fit; give one of them")
    names = [name for name, _ in options.term or ()]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--term {name} is given twice; give it one weight")
    return dict(options.term) if options.term else options.preset


def fitted(options: Namespace) -> Result:
    """`latentsdf reconstruct` without `--space`."""
    given = [f"--{name}" for name in ("pose", "add", "code-only") if getattr(options, name.replace("-", "_"))]
    if given:
        raise ValueError(f"{' and '.join(given)} need a space; give --space, or leave them out")
    terms = objective_of(options)
    check_mesh_ending(Path(options.out))
    began = monotonic()
    scan = load_scan(options.scan, options)
    descends = not (terms is None and options.network is None and options.minutes is None)
    with Bar("fit" if descends else "solve", options.quiet) as bar:
        if descends:
            config = FitConfig(network=options.network or "fast", minutes=options.minutes or 2.0, seed=options.seed)
            found = fit(scan, terms, config, on_step=lambda step: bar.update(step.progress, _note(step)))
        else:
            found = solve_scan(scan, seed=options.seed, on_level=bar.update)
        for note in found.notes:
            bar.line(note)
    surface = _meshed(found, options.resolution)
    write_mesh(surface, Path(options.out))
    points = torch.from_numpy(scan.subsampled(RESIDUAL_POINTS, 0).points)
    residual = evaluate(found, points).abs().numpy()
    say(f"{options.out}  {len(surface.faces):,} faces; mean distance of the scan to it {residual.mean():.5g}")
    say(f"{_how(found, options)} ({monotonic() - began:.0f} s)")
    return {
        "path": str(options.out),
        "faces": len(surface.faces),
        "residual_mean": float(residual.mean()),
        "residual_p90": float(np.quantile(residual, 0.9)),
        "units": "the scan's own",
        "method": found.method.value,
        "preset": found.preset or None,
        "terms": {name: value for name, value in found.trace[-1].items() if name not in _FACTS} if found.trace else {},
        "network": found.network,
        "steps": found.steps,
        "notes": list(found.notes),
        "stop": found.stop.value,
        "interrupted": found.stop is Stop.INTERRUPTED,
        "diverged": found.stop is Stop.DIVERGED,
        "fit_seconds": found.seconds,
        "seconds": monotonic() - began,
    }


_FACTS = ("progress", "seconds", "loss")


def _how(found: Fitted, options: Namespace) -> str:
    if found.method is FitMethod.SOLVE:
        return f"one linear solve, {found.steps} iterations"
    what = found.preset or " ".join(name for name, _ in options.term)
    return f"{what}, {found.network} network, {found.steps} steps; {found.stop.value}"


def _meshed(found: Fitted, resolution: int) -> trimesh.Trimesh:
    try:
        return found.mesh(resolution)
    except ValueError as error:
        if found.method is FitMethod.SOLVE:
            raise ValueError(f"{error}; see what --preset makes of the scan") from error
        raise ValueError(f"{error} (after {found.steps} steps: give more --minutes or another --preset)") from error


def _note(step: Step) -> str:
    terms = "  ".join(f"{name} {value:.4g}" for name, value in step.terms.items())
    return f"step {step.number}  {terms}"
