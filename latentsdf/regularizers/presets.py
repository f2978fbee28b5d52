"""Objectives of published methods as rows of terms, with the papers' own weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .term import VISCOSITY, Anneal, Term, suggestion

_BOTH = ("surface", "space")
_ZERO = Term(name="surface", weight=3000)
_NOT_ZERO = Term(name="off_surface", weight=100, knobs={"alpha": 100.0})
_UNIT_SLOPE = Term(name="eikonal", weight=50, knobs={"p": 1}, on=_BOTH)
_EARLY = Anneal(0.2, 0.4)

PRESETS: Mapping[str, tuple[Term, ...]] = {
    "siren": (
        _ZERO,
        _NOT_ZERO,
        Term(name="normals", weight=100, knobs={"form": "unsigned"}),
        _UNIT_SLOPE,
    ),
    "igr": (
        Term(name="surface", weight=1),
        Term(name="normals", weight=1, knobs={"form": "difference"}),
        Term(name="eikonal", weight=0.1, knobs={"p": 2}, on=("near", "space")),
    ),
    "neural-pull": (Term(name="pull", weight=1, knobs={"p": 2}),),
    "neural-pull+lsa": (
        Term(name="pull", weight=1, knobs={"p": 2}),
        Term(name="level_set_alignment", weight=0.01, knobs={"delta": 10.0, "band": math.inf}),
    ),
    "digs": (
        _ZERO,
        _NOT_ZERO,
        _UNIT_SLOPE,
        Term(name="divergence", weight=100, anneal=_EARLY),
    ),
    "steik": (
        Term(name="surface", weight=2000),
        _NOT_ZERO,
        _UNIT_SLOPE,
        Term(name="directional_divergence", weight=100, anneal=_EARLY),
    ),
    "viscoreg": (
        _ZERO,
        _NOT_ZERO,
        Term(name="viscosity", weight=50, knobs={"epsilon": VISCOSITY["srb"], "mode": "plain", "p": 1}),
        Term(name="eikonal", weight=50, knobs={"p": 1}, on=("surface",)),
    ),
    "hotspot": (
        _ZERO,
        Term(name="eikonal", weight=50, knobs={"p": 1}),
        Term(name="heat", weight=100, knobs={"sharpness": ((0.0, 5.0), (0.8, 50.0))}),
    ),
    "gs-pull": (
        Term(name="pull_to_disks", weight=1),
        Term(name="disk_tangency", weight=0.1),
        Term(name="disk_orthogonality", weight=0.1),
    ),
}
"""Preset name -> rows. Deviations from the papers, and choices that the sources leave open:

- `siren` (Sitzmann et al. 2020): the unsigned cosine of normals, as in the later code of the DiGS family.
- `igr` (Gropp et al. 2020): the weights 1 and 0.1 of normals and eikonal are this library's reading; the eikonal term
  is evaluated at points of space and at points near the surface.
- `neural-pull` (Ma et al. 2021): the mean square of the paper; its release takes the mean distance (`p` = 1).
- `neural-pull+lsa` (Ma et al. 2023): the foot q - u n, and no derivative through the weight; both differ from print and
  release. No band, as published.
- `digs` (Ben-Shabat et al. 2022): without normals.
- `steik` (Yang et al. 2023): the surface weight of its SRB runs; 5000 for ShapeNet and scenes. Its quadratic neurons
  belong to the network.
- `viscoreg` (arXiv 2507.00412): the schedule of SRB; others are in `VISCOSITY`. The eikonal weight stays when epsilon
  is 0; the release halves it.
- `hotspot` (Wang et al. 2025): the weights and the schedule of the sharpness are this library's.
- `gs-pull` (Zhang et al. 2024): the terms that need no image. Disks and their radii are fixed, so the centers are not
  pulled and thinness is left out. No eikonal term, as in the paper. No term distinguishes inside from outside, so the
  field must be initialised as a ball or come from a latent space.
"""

Terms = str | Mapping[str, float] | Sequence[Term]
"""An objective as a user gives it: the name of a preset, weights by term name, or rows."""


def preset(name: str, *, normals: bool = True) -> tuple[Term, ...]:
    """Rows of a published objective.

    Args:
        name: key of `PRESETS`.
        normals: False leaves the term on normals out, as the papers do for scans that have none.

    Raises:
        ValueError: unknown name; the message names the nearest.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; {suggestion(name, PRESETS)}")
    return tuple(term for term in PRESETS[name] if normals or "normals" not in term.needs())


def resolve_terms(terms: Terms, *, normals: bool = True) -> tuple[Term, ...]:
    """Rows of an objective.

    Args:
        terms: the name of a preset, weights by term name, or rows.
        normals: as for `preset`; weights and rows are taken as they are.

    Raises:
        ValueError: an unknown preset or term, or a weight out of its range.
        TypeError: a row that is not a `Term`.
    """
    if isinstance(terms, str):
        return preset(terms, normals=normals)
    if isinstance(terms, Mapping):
        return tuple(Term(name=name, weight=weight) for name, weight in terms.items())
    rows = tuple(terms)
    for row in rows:
        if not isinstance(row, Term):
            raise TypeError(f"an objective is made of terms, got {row!r}")
    return rows
