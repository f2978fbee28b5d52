"""The similarity transform, mirroring included, that maps one surface on another, and how well it does."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from .orientations import orientations
from .point_to_plane import POINTS, refine
from .similarity import Similarity
from .surface import Surface

TOLERANCE = 0.01
"""Of distances between surfaces, in units of the bounding-sphere radius."""
QUANTILE = 99.0
"""Percentile of the distances that stands for the largest: one sample in a hundred may lie farther."""
FAR = 0.16
"""Distance in units of the root mean square radius at which a sample counts as without counterpart. Orientations are
scored by the mean distance up to it; two samplings of one surface lie about 0.04 from each other."""
MOMENTS = 0.5
"""Largest difference of the moments of surfaces that lie on each other, in units of the tolerance."""
HOPELESS = 0.1
"""Score beyond which no orientation is worth a refinement."""
_QUERIES = 12_000
_BEST = 4
"""Candidates of either handedness that are refined."""
_ROUNDS = ((6, 3.0, 4), (6, 1.5, 2), (12, 1.0, 2))
"""Refinement: steps of a round, mean distance in units of the tolerance beyond which candidates are dropped after it,
and how many of either handedness go on."""

Match = Literal["whole", "covered", "partial"]
"""`whole`: all of a lies on b and all of b on a. `covered`: all of a lies on b, which may have more. `partial`: parts
of both may have no counterpart."""


class Fit(NamedTuple):
    """How well one surface lies on another.

    Attributes:
        forward: percentile `QUANTILE` of the distances of samples of a from b, in units of b's bounding-sphere radius.
        backward: of samples of b from a, in the same units.
        share: share of the samples of a within the tolerance of b.
        share_back: share of the samples of b within the tolerance of a.
    """

    forward: float
    backward: float
    share: float
    share_back: float

    @property
    def distance(self) -> float:
        """The larger of both ways."""
        return max(self.forward, self.backward)


class Alignment(NamedTuple):
    """The best transform from the source units of one mesh to those of another, and its fit."""

    transform: Similarity
    fit: Fit


def align(a: Surface, b: Surface, tolerance: float = TOLERANCE, match: Match = "whole") -> Alignment | None:
    """Find the least similarity transform, mirroring included, that maps surface a on surface b.

    Orientations from the principal axes are scored by the distances between samples, the best refined by ICP
    (`point_to_plane.refine`), and measured from samples to the other surface, exactly and both ways. Of the
    transforms that fit about as well as the best one, the least is taken: none, then a motion without rotation, with
    a scale, with a rotation, with a mirroring.

    Args:
        a, b: the surfaces.
        tolerance: in units of the bounding-sphere radius of b; transforms below a quarter of it fit equally well.
        match: what is to lie on what.

    Returns:
        The alignment, whose fit may lie beyond the tolerance; None where no orientation brings the surfaces near.

    Raises:
        ValueError: a tolerance that is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"the tolerance must be positive, got {tolerance}")
    if match == "whole" and np.abs(a.moments - b.moments).max() > MOMENTS * tolerance:
        return None
    found = [Similarity.identity()]
    if _error(measured(a, b, found[0], tolerance, POINTS).fit, match) > tolerance / 4:
        unmoved = b.normalisation @ a.normalisation.inverse()
        refined = _refined(a, b, _starts(a, b, match), tolerance, match)
        if not refined and _score(a, b, unmoved) > HOPELESS:
            return None
        found += [_source(a, b, item) for item in refined] + [Similarity(np.eye(3), 1.0, b.centroid - a.centroid)]
    errors = [_error(measured(a, b, item, tolerance, POINTS).fit, match) for item in found]
    limit = max(1.5 * min(errors), tolerance / 4) if match != "partial" else min(errors) + 0.02
    good = [item for item, error in zip(found, errors, strict=True) if error <= limit]
    return measured(a, b, least(good, a, b, tolerance), tolerance)


def _error(fit: Fit, match: Match) -> float:
    """What an alignment minimises: a distance, or the share without counterpart."""
    if match == "partial":
        return 1 - min(fit.share, fit.share_back)
    return fit.distance if match == "whole" else fit.forward


def measured(a: Surface, b: Surface, transform: Similarity, tolerance: float, count: int | None = None) -> Alignment:
    """Measure how surface a, moved by a transform of source units, lies on surface b.

    Args:
        a, b: the surfaces.
        transform: source units of a -> those of b.
        tolerance: of the shares, in units of b's bounding-sphere radius.
        count: samples of each surface; all of them if None.
    """
    local = b.normalisation @ transform @ a.normalisation.inverse()
    forward = b.closest_points.distance(local.apply(a.points[:count])) / b.radius
    back = a.closest_points.distance(local.inverse().apply(b.points[:count])) * (local.scale / b.radius)
    return Alignment(
        transform,
        Fit(
            float(np.percentile(forward, QUANTILE)),
            float(np.percentile(back, QUANTILE)),
            float((forward <= tolerance).mean()),
            float((back <= tolerance).mean()),
        ),
    )


def least(transforms: list[Similarity], a: Surface, b: Surface, tolerance: float) -> Similarity:
    """The transform with the fewest kinds of change in it, then the smallest angle."""

    def changes(transform: Similarity) -> tuple[bool, bool, bool, bool, float]:
        steps = changed(transform, a, b, tolerance)
        return steps.mirrored, steps.rotated, steps.scaled, steps.moved, transform.angle

    return min(transforms, key=changes)


class Changes(NamedTuple):
    """What a transform changes by more than half the tolerance."""

    moved: bool
    scaled: bool
    rotated: bool
    mirrored: bool


def changed(transform: Similarity, a: Surface, b: Surface, tolerance: float) -> Changes:
    """Tell what a transform from a to b, source units, changes; a rotation by its angle in radians."""
    slack = tolerance / 2
    shift = np.linalg.norm(transform.apply(a.centroid) - a.centroid)
    return Changes(
        moved=bool(shift > slack * b.radius * b.spread),
        scaled=abs(np.log(transform.scale)) > slack,
        rotated=np.radians(transform.angle) > slack,
        mirrored=transform.mirrored,
    )


def _starts(a: Surface, b: Surface, match: Match) -> list[Similarity]:
    """Orientations in the normalised frames, the best ones of either handedness, by distances between samples."""
    rotations = orientations(a, b, match != "whole")
    count = int(np.clip(_QUERIES // len(rotations), 50, 200))
    moved = np.einsum("cij,nj->cni", rotations, a.points[:count])
    distances = b.tree.query(moved.reshape(-1, 3), distance_upper_bound=FAR)[0]
    scores = np.minimum(distances, FAR).reshape(len(rotations), count).mean(1)
    mirrored = np.linalg.det(rotations) < 0
    rows: list[int] = []
    for side in (~mirrored, mirrored):
        order = np.flatnonzero(side)[np.argsort(scores[side], kind="stable")]
        rows += [int(row) for row in order[:_BEST] if scores[row] < HOPELESS]
    return [Similarity(rotations[row], 1.0, np.zeros(3)) for row in rows]


def _refined(a: Surface, b: Surface, starts: list[Similarity], tolerance: float, match: Match) -> list[Similarity]:
    """The best starts of either handedness as they are and refined, in rounds of fewer candidates and more steps."""
    current = list(enumerate(starts))
    for number, (steps, limit, most) in enumerate(_ROUNDS):
        moved = [(row, refine(a, b, item, steps, robust=match != "whole", exact=number > 0)) for row, item in current]
        scores = {row: _score(a, b, item) for row, item in moved}
        equal = tolerance * b.radius / 4
        ranked = sorted(moved, key=lambda part: (round(scores[part[0]] / equal), part[1].angle))
        limit = HOPELESS if match == "partial" else limit * tolerance * b.radius * (1 if match == "whole" else 2)
        if match != "partial" and scores:
            limit = min(limit, max(4 * min(scores.values()), equal))
        current = [
            part
            for side in (False, True)
            for part in [part for part in ranked if part[1].mirrored == side][:most]
            if scores[part[0]] <= limit
        ]
    return [starts[row] for row, _ in current] + [item for _, item in current]


def _source(a: Surface, b: Surface, local: Similarity) -> Similarity:
    """A transform between normalised frames as one between source units."""
    return b.normalisation.inverse() @ local @ a.normalisation


def _score(a: Surface, b: Surface, local: Similarity) -> float:
    """Mean distance, up to `FAR`, of samples of a from b in its normalised frame."""
    distances = b.closest_points.distance(local.apply(a.points[:POINTS]))
    return float(np.minimum(distances, FAR).mean())
