"""The code and the frame that explain a scan: many starts tried on a lattice, the best of them fitted together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..core.frame import Frame
from ..core.optimize import OnStep, Stop
from ..core.pose import FREEDOMS, Pose, PoseFreedom, active_freedoms, bounding_sphere_pose
from ..inference.adam import adam
from ..inference.candidates import CandidateFields
from ..inference.levenberg_marquardt import FitResult, in_pairs, levenberg_marquardt
from ..inference.objective import CodeObjective, Guess
from ..inference.residuals import Residuals
from ..scan.neighbourhoods import noise_level
from ..scan.outliers import remove_outliers
from ..scan.scan import Scan
from ..scan.winding import CLOSED
from ..space.space import LatentSpace
from .pose_candidates import best_pairs, candidate_fields_of_space, rotations_for, tried_poses
from .registration import lowest, register_candidates
from .scan_residuals import ScanResiduals

LEAST_POINTS = 10
"""Fewer distinct points than this say nothing about a shape."""


@dataclass(frozen=True, kw_only=True)
class ScanFitConfig:
    """How the code and the frame of a scan are found."""

    pose: PoseFreedom = "placed"
    """What of the frame is found. `known` needs the scan to lie as the meshes of the space did; `free` takes longer and
    may find a wrong one where a shape looks alike from several sides."""
    method: Literal["second-order", "adam"] = "second-order"
    """`adam` is the reference: many more steps from the best start."""
    steps: int | None = None
    """Steps of the last fit; None takes 12 of second order, 400 of Adam. Larger fits closer, up to a point."""
    points: int = 1024
    """Points of each kind a step (from half to twice as many). Larger is smoother and slower."""
    prior: float = 1e-2
    """Weight of the mean squared way of the code from the stored one that it starts from. Larger stays nearer the
    shapes of the space, smaller nearer the scan."""
    likeness: float = 3e-3
    """The same while starts are compared. Larger trusts poses in which the scan looks like the shapes of the space."""
    place: float | None = None
    """Weight of the squared change of scale (its logarithm) and place. Larger keeps them near the frame given, or,
    where the pose is free, near that in which the turned points fill the unit sphere; smaller lets a partial scan move
    farther. None takes 1 for a scan that is closed, whose extent says where it lies, and 0.02 for one that is open."""
    truncation: float = 0.03
    """Distances are compared within about this. Larger pulls from farther away, smaller cares for the surface."""
    shortage: float | None = None
    """Weight of a field nearer to zero than the scan is. Larger grows no surface where the scan shows none; None takes
    a half for a scan that is closed and nothing for one that is open."""
    candidates: int = 256
    """Stored codes tried as starts, beside the mean code. Larger starts nearer and costs time."""
    rotations: int = 600
    """Rotations tried where the pose is free. Larger misses fewer; 600 leave 25 degrees to the fit."""
    starts: int = 24
    """Pairs of a code and a pose that are fitted; the worse ones are given up on the way."""
    outliers: float = 3.0
    """Of a scan with strays, points are dropped where the neighbour of rank 8 is farther than this many times the
    usual; 0 keeps them all."""
    largest: int = 200_000
    """Scan points kept; a larger scan is subsampled."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self):
        if self.pose not in ("known", "placed", "free"):
            raise ValueError(f"pose must be known, placed or free, got {self.pose!r}")
        if self.method not in ("second-order", "adam"):
            raise ValueError(f"method must be second-order or adam, got {self.method!r}")
        if min(self.count, self.points, self.rotations, self.starts, self.largest) < 1 or self.candidates < 0:
            raise ValueError("steps, points, rotations, starts and largest must be at least 1, candidates at least 0")
        if (
            not self.truncation > 0
            or min(self.prior, self.likeness, self.place or 0.0, self.outliers, self.shortage or 0.0) < 0
        ):
            raise ValueError(
                "truncation must be positive; prior, likeness, place, outliers and shortage must be at least 0"
            )

    @property
    def count(self) -> int:
        """Steps of the last fit."""
        return self.steps if self.steps is not None else {"second-order": 12, "adam": 400}[self.method]


class ScanFit(NamedTuple):
    """What was found for a scan.

    Attributes:
        code: (D,).
        frame: the scan's units <-> unit frame.
        covariance: (D, D) of the code, by the curvature at the end (Laplace); of its numbers as they are fitted.
        scan: cleaned, in its own units.
        openness: see `ScanEvidence`.
        error: mean truncated residual at the end, in the unit frame.
        stop: why the fit ended.
    """

    code: Tensor
    frame: Frame
    covariance: Tensor
    scan: Scan
    openness: float
    error: float
    stop: Stop


def candidate_fields(space: LatentSpace, config: ScanFitConfig | None = None) -> CandidateFields:
    """The starts that scans are tried against; make it once for many scans of one space."""
    config = config or ScanFitConfig()
    return candidate_fields_of_space(space, config.candidates, config.seed)


def fit_scan(
    space: LatentSpace,
    scan: Scan,
    config: ScanFitConfig | None = None,
    *,
    frame: Frame | None = None,
    candidates: CandidateFields | None = None,
    on_step: OnStep | None = None,
) -> ScanFit:
    """Find the code and the frame under which a shape of the space explains a scan.

    Every stored code is tried in every pose on a lattice (`CandidateFields`). The best pairs are fitted together by
    damped Gauss-Newton steps on code, rotation, scale and place, first with codes held to be like the space's; the
    worse ones are given up on the way, and the best one is fitted to the end, held to the stored code that it came
    from, which says most about what was not seen (joint fit: DSP-SLAM, Wang et al. 2021, with many starts).

    Args:
        space: whose decoder reads the code; inside and outside come from it where the scan has no normals.
        scan: points in their own units.
        config: how.
        frame: to start from, or to keep where the pose is known; None is the scan's bounding sphere.
        candidates: of this space, where there is one already.
        on_step: called after every step of the last fit.

    Raises:
        ValueError: too few distinct points.
        KeyboardInterrupt: Ctrl-C before one start was chosen; after that the fit so far is returned.
    """
    config = config or ScanFitConfig()
    scan = remove_outliers(scan, config.largest, config.outliers, LEAST_POINTS, config.seed)
    base = frame or scan.frame()
    unit = scan.transformed(base)
    evidence = ScanResiduals(unit, config.shortage, seed=config.seed)
    closed = evidence.openness < CLOSED
    candidates = candidates or candidate_fields(space, config)
    decoder, size = space.decoder, space.code_size
    free = torch.ones(size + FREEDOMS, dtype=torch.bool)
    free[size:] = torch.tensor(active_freedoms(config.pose))
    place = (1.0 if closed else 0.02) if config.place is None else config.place
    by_extent = config.pose == "free" or (closed and config.pose == "placed" and frame is None)
    home = bounding_sphere_pose(unit.points, noise_level(unit.points), candidates.codes) if by_extent else None

    def draw(count: int) -> list[Residuals]:
        return [group.to(candidates.codes.device) for group in evidence.sample(count)]

    alike = CodeObjective(decoder, config.likeness / size, free, pose_weight=place, pose_prior=home)
    turns, rows = rotations_for(config.pose, config.rotations, candidates)
    turned = Pose.from_rotations(turns)
    poses = tried_poses(turned if home is None else home(turned), closed or config.pose == "known")
    if rows is None:
        near = register_candidates(candidates, poses, len(turns), draw, place, home, SEEN * config.starts)
        guess = lowest(alike, near, draw(256), 0.1, config.starts)
    else:
        allowed = rows.repeat(len(poses.shift) // len(rows))[:, None] == candidates.rotation_rows
        guess = best_pairs(candidates, poses, draw(128), config.starts, allowed)
    guess = guess._replace(origin=guess.codes)
    for kept, truncation, points, steps in ROUNDS:
        if len(guess.codes) > kept:
            groups = draw(points)
            found = levenberg_marquardt(alike, lambda _, t=truncation, g=groups: (t, g), guess, [steps])
            if found.stop is Stop.INTERRUPTED:
                raise KeyboardInterrupt
            guess = found.guess.select(found.losses.topk(kept, largest=False).indices)
    problem = CodeObjective(decoder, config.prior / size, free, pose_weight=place, pose_prior=home)
    found = _fitted(problem, draw, guess, config, on_step)
    groups, guess = draw(2 * config.points), found.guess
    with torch.no_grad():
        error = float(CodeObjective(decoder, 0.0).losses(guess, groups, config.truncation))
    assert guess.pose is not None
    return ScanFit(
        guess.codes[0],
        guess.pose.frame(0, base),
        _covariance(problem, guess, groups, config.truncation, error),
        scan,
        evidence.openness,
        error,
        found.stop,
    )


SEEN = 5
"""Times as many pairs as are fitted are compared by the decoder, of those that a lattice ranks first."""
ROUNDS = ((8, 0.2, 128, 4), (3, 0.1, 256, 4), (1, 0.06, 512, 6))
"""How starts are given up: those kept, and the truncation, points of each kind and steps before."""
EFFECTIVE = 200.0
"""Residuals of neighbouring points go together; no scan counts as more than so many independent ones."""


def _covariance(
    problem: CodeObjective, guess: Guess, groups: list[Residuals], truncation: float, error: float
) -> Tensor:
    """Covariance (D, D) of the code by Laplace's approximation, for absolute residuals of mean size `error`."""
    curvature = problem.normal_equations(guess, groups, truncation).hessian
    count = min(EFFECTIVE, float(sum(group.points.shape[1] for group in groups)))
    eye = 1e-9 * torch.eye(curvature.shape[1], dtype=curvature.dtype, device=curvature.device)
    whole = torch.linalg.inv((curvature[0] + eye).double()) * (max(error, 1e-4) / count)
    size = guess.codes.shape[1]
    return whole[:size, :size].to(curvature.dtype)


def _fitted(
    problem: CodeObjective,
    draw: Callable[[int], list[Residuals]],
    guess: Guess,
    config: ScanFitConfig,
    on_step: OnStep | None,
) -> FitResult:
    if config.method == "adam":
        return adam(problem, lambda _: (config.truncation, draw(config.points)), guess, config.count, 2e-2, on_step)
    stages = in_pairs(config.count)
    first = max(ROUNDS[-1][1], config.truncation)

    def at(stage: int) -> tuple[float, list[Residuals]]:
        done = stage / max(1, len(stages) - 1)
        reach = min(1.0, 2.0 * done) if len(stages) > 1 else 1.0
        count = max(1, round(config.points * 4.0 ** (done - 0.5)))
        return first * (config.truncation / first) ** reach, draw(count)

    return levenberg_marquardt(problem, at, guess, stages, on_step)
