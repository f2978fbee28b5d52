"""Trust in a prior, by the agreement of its slopes with the normals of a scan, region by region."""

from __future__ import annotations

import numpy as np

from ..core.arrays import Array
from ..core.field import SDF
from ..scan.scan import Scan
from ..solver.soft_constraints import evaluate_prior

_NEIGHBOURS = 64
"""Scan points whose mean agreement is that of the region beyond them."""
_OVERALL_OPEN, _OVERALL_CLOSED, _LOCAL = (0.91, 0.95), (0.78, 0.88), (0.75, 0.9)
"""Mean agreement from which on a prior is trusted at all, and fully: over an open scan, over a closed one (which shows
all contradictions), and in a region. On virtual scans of partial views, codes of known kinds have 0.95 to 0.98 and a
surface beyond the points that is right (median error below 0.01); codes of unknown kinds have 0.5 to 0.91 and one that
is wrong by 0.1. Whole noisy scans have 0.92 to 0.97, and 0.4 to 0.65."""
_PREDICTED = (0.74, 0.82)
"""Agreement with points that were held out from which on a prior is trusted at all, and fully. A code of 256 numbers
agrees to 0.93 to 0.99 with the points that it is fitted to, whether it is right beyond them or not; where points were
held out, from 0.82 on those of partial scans made the surface better, and up to 0.76 worse."""


class Trust:
    """Weights from 0 to 1 of a prior in the regions that a scan did not see.

    A code of a kind that the space does not know still passes near the points, as a crumpled surface: distances do not
    tell, but slopes do. The agreement of a point is the cosine between the prior's gradient there and the normal. With
    a the mean over the scan and a(x) that over the 64 points nearest to x, the weight is the product of two ramps,
    r(a) r(x); where the prior was fitted to this scan, times that of its agreement with points that were held out.

    Args:
        prior: SDF in the unit frame, with derivatives.
        scan: points with normals, same frame.
        closed: whether they cover the surface.
        predicted: agreement with points that were held out (`held_out_agreement`); None for a prior that was not fitted
            to these points.

    Attributes:
        agreement: (N,) of each point, from -1 to 1.
        overall: r(a), times that of the prediction, from 0 to 1.
    """

    def __init__(self, prior: SDF, scan: Scan, closed: bool = False, predicted: float | None = None):
        assert scan.normals is not None
        gradient = evaluate_prior(prior, scan.points).reshape(4, -1)[1:].T
        length = np.linalg.norm(gradient, axis=1)
        self.agreement = np.einsum("nd,nd->n", gradient, scan.normals) / np.maximum(length, np.finfo(np.float64).tiny)
        self.overall = _ramp(float(self.agreement.mean()), _OVERALL_CLOSED if closed else _OVERALL_OPEN)
        if predicted is not None:
            self.overall *= _ramp(predicted, _PREDICTED)
        self._tree = scan.tree

    def __call__(self, points: Array) -> Array:
        """Weights (N,) at points (N, 3) of the unit frame."""
        if not self.overall:
            return np.zeros(len(points))
        nearest = np.asarray(self._tree.query(points, min(_NEIGHBOURS, len(self.agreement)))[1])
        return self.overall * np.interp(self.agreement[nearest].mean(1), _LOCAL, (0.0, 1.0))


def _ramp(value: float, bounds: tuple[float, float]) -> float:
    return float(np.interp(value, bounds, (0.0, 1.0)))
