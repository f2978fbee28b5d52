"""Overfit of one shape to its mesh or to a scan: a correction beside its code, with any term of the suite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import trimesh

from ..core.optimize import Stop
from ..mesh.load import load_mesh
from ..mesh.repair import repair_mesh
from ..mesh.surface_sampling import surface_samples
from ..regularizers.presets import Terms, resolve_terms
from ..regularizers.term import Term
from ..scan.scan import Scan
from ..space.shape import Shape
from .refinement import RefineConfig, Refinement, refine

MESH_POINTS = 50_000
"""Points drawn on a mesh, four to a cell of the surface of the default lattice."""
DATA = (Term(name="surface", weight=1.0), Term(name="normals", weight=0.1))
"""Rows that hold the field to the data where the given ones do not: positions, and normals."""
_POSITIONS = frozenset({"surface", "pull", "pull_to_disks", "ssd_energy"})
"""Terms that hold a field to positions by themselves."""


def overfit(
    shape: Shape,
    data: Scan | trimesh.Trimesh | str | Path,
    terms: Terms | None = None,
    config: RefineConfig | None = None,
) -> Refinement:
    """Correct the field of a code to its own mesh, or to a scan of it, beside what the code alone keeps.

    The decoded field is the prior, and the correction B-splines on sparse lattices (`refine`): of one linear solve or,
    with terms, of a descent on the data and these terms, in which the prior takes part with its second derivatives.
    The overfit part of Compact-SDF (AAAI 2026), for one shape at a time and in bytes beside its code.

    Args:
        shape: in the frame of the data, as `encode` and `fit_scan` give it. An earlier correction is dropped.
        data: a scan; or a mesh or its file, of which `MESH_POINTS` points with exact normals are drawn.
        terms: a preset's name, weights by term name, or terms. `DATA` is added where they hold the field to no
            positions; None solves.
        config: `RefineConfig()` if None, with no noise for a mesh.

    Returns:
        The shape with its correction, or with `status` the reason why it has none.

    Raises:
        FileNotFoundError, ValueError: the mesh cannot be read; an unknown preset or term, or a term that needs what
            the data or the decoder does not have.
        KeyboardInterrupt: Ctrl-C in a descent.

    Example:
        >>> shape = ls.encode(space, "gear.stl")
        >>> space.add(ls.overfit(shape, "gear.stl", {"divergence": 1e-3}).shape)
    """
    config = config or RefineConfig()
    if not isinstance(data, Scan):
        data, config = _mesh_scan(data, config.seed), replace(config, noise=config.noise or 0.0)
    refinement = refine(shape, data, None if terms is None else overfit_terms(terms), config)
    if Stop.INTERRUPTED.value in refinement.notes:
        raise KeyboardInterrupt
    return refinement


def overfit_terms(terms: Terms) -> tuple[Term, ...]:
    """Rows of an objective that holds a field to its data: those given, and `DATA` if none of them does.

    Args:
        terms: a preset's name, weights by term name, or terms.

    Raises:
        ValueError, TypeError: as `regularizers.resolve_terms`.
    """
    rows = resolve_terms(terms)
    names = {row.name for row in rows}
    return rows if names & _POSITIONS else (*(row for row in DATA if row.name not in names), *rows)


def _mesh_scan(mesh: trimesh.Trimesh | str | Path, seed: int) -> Scan:
    """Points of the repaired surface of a mesh, with its normals."""
    loaded = load_mesh(mesh) if isinstance(mesh, (str, Path)) else mesh
    return Scan(*surface_samples(repair_mesh(loaded)[0], MESH_POINTS, seed))
