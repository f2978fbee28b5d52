"""Which shapes of a space a scan may be of: each is fitted to it, and the one that has to change least comes first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .cleaning import cleaned
from .code_problem import Problem
from .frame import Frame
from .gallery import Gallery
from .index import Match
from .pose import FREEDOMS
from .residuals import Residuals
from .scan import Scan
from .scan_evidence import CLOSED, ScanEvidence
from .scan_fit import LEAST_POINTS, ScanFitConfig, best_pairs, moving, tried_poses
from .second_order import levenberg
from .space import LatentSpace

SHORTLIST = 8
"""How many times more shapes than wanted are fitted."""
LEAST_FITTED = 48


def search_scan(
    space: LatentSpace,
    scan: Scan,
    k: int = 5,
    config: ScanFitConfig | None = None,
    *,
    frame: Frame | None = None,
    gallery: Gallery | None = None,
) -> list[Match]:
    """The shapes of a space that a scan, whole or partial, is most likely of.

    All stored codes are tried in all poses on a lattice. The best are fitted, code and pose together, with a prior that
    holds each code where it is stored; they are ranked by what is left of the residuals and of that prior.

    Args:
        space: whose shapes are looked through.
        scan: points in their own units.
        k: how many matches.
        config: `pose`, `likeness`, `truncation`, `rotations`, `outliers` and `seed` are read.
        frame: as for `fit_scan`.
        gallery: of all codes of the space in their order, where there is one already.

    Returns:
        At most k matches, nearest first; `distance` is the loss that is left, in the unit frame.

    Raises:
        ValueError: too few distinct points, or k < 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if not len(space):
        return []
    config = config or ScanFitConfig()
    scan = cleaned(scan, config.largest, config.outliers, LEAST_POINTS, config.seed)
    evidence = ScanEvidence(scan.transformed(frame or scan.frame()), config.shortage, seed=config.seed)
    gallery = gallery or Gallery(space.decoder, space.codes())
    to, size = gallery.codes.device, space.code_size

    def draw(count: int) -> list[Residuals]:
        return [group.to(to) for group in evidence.drawn(count)]

    poses = tried_poses(config, evidence.openness < CLOSED, gallery.codes)
    guess, rows = best_pairs(gallery, poses, draw(128), max(LEAST_FITTED, SHORTLIST * k))
    free = torch.ones(size + FREEDOMS, dtype=torch.bool)
    free[size:] = torch.tensor(moving(config.pose))
    spread = gallery.codes.var(0).clamp_min(1e-6) if len(gallery) > 1 else torch.ones(size, device=to)
    problem = Problem(
        space.decoder, STIFF * config.likeness / size / spread, free, center=guess.codes, place=config.place
    )
    for truncation, points in ((0.1, 256), (config.truncation, 1024)):
        groups = draw(points)
        found = levenberg(problem, lambda _, t=truncation, g=groups: (t, g), guess, [3])
        guess = found.guess
    names = space.names
    return _ranked(found.losses, [names[row] for row in rows.tolist()], k)


STIFF = 3.0
"""How many times as firmly as in a fit, per number, a code is held to the stored one."""


def _ranked(losses: Tensor, names: Sequence[str], k: int) -> list[Match]:
    best: dict[str, float] = {}
    for loss, name in sorted(zip(losses.tolist(), names, strict=True)):
        best.setdefault(name, loss)
    return [Match(name, loss) for name, loss in list(best.items())[:k]]
