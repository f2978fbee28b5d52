"""Choice between a prior and the points alone, region by region, by what a scan says of the prior."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..core.arrays import Array
from ..core.field import SDF
from ..scan.scan import Scan
from ..solver.galerkin import SolveConfig
from .constrained_prior import ConstrainedPrior
from .prior_solve import UnseenSurface, unseen_surface
from .trust import Trust

_KEPT, _DROPPED = 0.9, 0.1
"""Share of its unseen surface in which a prior is trusted: from the first on it is corrected as a whole, and below the
second it is dropped."""
_LEAST = 0.5
"""Trust below which a point is dropped: where nothing contradicts it, a small weight makes as much surface."""
_PREDICTS = 0.7
"""Agreement with points that were held out from which on the prior of an open scan with its sensor is kept. Of twelve
such scans seven were worse with a prior, which agreed to 0.23 to 0.69, and five better: 0.71, 0.73, 0.80, 0.84, and one
0.24. It is less than without a sensor, since free space bounds the prior."""
_MOST_UNSEEN = 0.02
"""Share of its surface that a prior may have away from the points of a closed scan, which saw all of the shape."""


class Evidence(NamedTuple):
    """Outcome of `weigh_prior`.

    Attributes:
        constrained: the prior under the constraints of the scan; the prior itself where it is dropped at once.
        unseen: its surface away from the scan; none where it is dropped.
        weights: (K,) trust in each point of that.
        trust: their mean, of a closed scan that over its points; 0 where the prior is dropped.
        notes: the outcome in sentences.
    """

    constrained: SDF
    unseen: UnseenSurface
    weights: Array
    trust: float
    notes: list[str]

    @property
    def alone(self) -> bool:
        """Whether the points make the field, and the prior at most completes it."""
        return self.trust < _KEPT


def weigh_prior(
    prior: SDF, inliers: Scan, settings: SolveConfig, *, closed: bool, predicted_agreement: float | None = None
) -> Evidence:
    """Weigh a prior against the points alone, region by region (`Trust`).

    An open scan with the position of its sensor keeps the prior as a whole, unless it does not predict points that were
    held out: the free space along the rays bounds it, and the solve alone knows nothing of that.

    Args:
        prior: in the unit frame.
        inliers: points with normals, same frame.
        settings: of the solve that would correct the prior.
        closed: whether the points cover the surface.
        predicted_agreement: as `Trust` takes it.
    """
    nothing = UnseenSurface(np.zeros((0, 3)), 0.0, settings.reach)
    dropped = "the code does not explain the scan: the points alone make the field"
    predicts = predicted_agreement is None or predicted_agreement >= _PREDICTS
    bounded = inliers.sensor is not None and not closed and predicts
    trust = None if bounded else Trust(prior, inliers, closed, predicted_agreement)
    if trust is not None and not trust.overall:
        return Evidence(prior, nothing, np.zeros(0), 0.0, [dropped])
    constrained = ConstrainedPrior(prior, inliers, closed=closed)
    unseen = unseen_surface(inliers, prior, constrained, settings)
    if trust is None:
        return Evidence(constrained, unseen, np.ones(len(unseen.points)), 1.0, [])
    weights = trust(unseen.points)
    weights[weights < _LEAST] = 0.0
    share = float(weights.mean()) if len(weights) and not closed else trust.overall
    if share < _DROPPED or (closed and unseen.share > _MOST_UNSEEN):
        return Evidence(constrained, nothing, np.zeros(0), 0.0, [dropped])
    kept = f"the prior is kept in {share:.0%} of its surface away from the points"
    note = kept if share >= _KEPT else f"{kept}; elsewhere the points alone make the field"
    return Evidence(constrained, unseen, weights, share, [note])
