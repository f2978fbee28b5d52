"""Code and frame of a scan: stored codes in many poses, the best of them fitted together and pruned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..core.frame import Frame
from ..core.optimize import OnStep, Stop
from ..core.pose import Pose, PoseFreedom, active_freedoms, bounding_sphere_pose, check_pose, spread_rotations
from ..core.upright import Direction, up_directions
from ..decoder.base import Decoder
from ..inference.candidate_rotations import CandidateRotations
from ..inference.candidates import CandidateFields, LatticeFields
from ..inference.code_fitting import code_variances
from ..inference.levenberg_marquardt import FitResult, FitStage, levenberg_marquardt, stage_iterations
from ..inference.objective import CodeObjective, Fields, Guess
from ..inference.residuals import Residuals
from ..scan.outliers import remove_outliers
from ..scan.scan import Scan
from ..scan.winding import CLOSED
from ..space.space import LatentSpace
from .held_out import held_out_agreement
from .pose_candidates import best_pairs, candidate_fields, with_smaller_poses
from .pose_selection import best_fit, distinct_rows
from .registration import lowest_losses, register_candidates
from .scan_residuals import ScanResiduals, with_normals

LEAST_POINTS = 10
"""Fewer distinct points than this determine no shape."""
MOST_POINTS = 200_000
"""Scan points kept; a larger scan is subsampled."""
OUTLIER_DISTANCE = 3.0
"""Of a scan with outliers, points are dropped where the neighbour of rank 8 is farther than this many medians."""
TRUNCATION = 0.03
"""Truncation at the end of the fit, unit frame."""
COARSE_PRIOR = 3e-3
"""Weight of the mean squared code offset while guesses are compared; larger trusts poses in which the scan is like the
stored shapes."""
POSE_WEIGHT_CLOSED, POSE_WEIGHT_OPEN = 1.0, 0.02
"""Weights of the squared change of log scale and shift: the extent of a closed scan determines both, that of an open
one does not."""
POSE_WEIGHT_VIEW, POSE_WEIGHT_NO_SENSOR = (0.5, 0.07, 0.07, 0.07), (0.2, 0.05, 0.05, 0.05)
"""Those of log scale and shift where the rotation is searched for: of an open scan with its sensor, not cropped, and of
one without. A view sees all of the silhouette, so that its bounding sphere under the true rotation is as large as the
shape's within 2 % (`benchmarks/extent.py --views 1`); whether a scan without a sensor is cropped is not known."""
LATTICE_GUESSES = 5
"""Pairs that the lattice ranks first and the decoder compares, per pair that is fitted."""
PAIRS_TRUNCATION = (0.1, 256, 128)
"""Truncation and residuals of each kind by which the decoder compares pairs; residuals of a comparison by lattice."""
COARSE_STAGES = ((8, 0.2, 128, 4), (3, 0.1, 256, 4), (1, 0.06, 512, 6))
"""Pruning: guesses that go on, and truncation, residuals of each kind and iterations before."""
POSES = 3
"""Distinct rotations that are fitted to the end, where they are searched for."""
LEAST_TO_HOLD_OUT = 100
"""Of a scan of fewer points none are held out."""
EFFECTIVE_RESIDUALS = 200.0
"""Residuals of neighbouring points are correlated; no scan counts as more independent ones than this."""


@dataclass(frozen=True, kw_only=True)
class ScanFitConfig:
    """Settings of the fit of a code and a frame to a scan.

    Raises:
        ValueError: a setting out of its range.
    """

    pose: PoseFreedom = "placed"
    """What of the frame is fitted. `known`: nothing; the scan lies as the meshes of the space did. `placed`: scale and
    position. `upright`: the angle about `up` too. `free`: any rotation; takes longer and may end in a wrong one where a
    shape is nearly symmetric."""
    up: Direction = "z"
    """Up in the axes of the scan, where the pose is upright: x, y, z or a vector."""
    space_up: Direction | None = None
    """Up in the axes of the meshes that the space was made of; None is the positive axis nearest to `up`."""
    steps: int = 12
    """Iterations of the last fit. Larger fits closer, up to a point."""
    points: int = 1024
    """Residuals of each kind per iteration, from half of this to twice as many. Larger is smoother and slower."""
    prior: float = 1e-3
    """Weight of the mean squared offset of the code from the mean code, each number over its deviation in the space
    (Mahalanobis distance). Larger stays nearer the shapes of the space, smaller nearer the scan."""
    rotations: int = 600
    """Rotations compared where the pose is free. Larger misses fewer; 600 leave at most 25 degrees to the fit."""
    starts: int = 24
    """Pairs of a code and a pose that are fitted; most are pruned early. Larger misses fewer shapes, slower."""
    seed: int = 0
    """Seed of everything random."""

    def __post_init__(self) -> None:
        check_pose(self.pose)
        up_directions(self.up, self.space_up)
        if min(self.steps, self.points, self.rotations, self.starts) < 1:
            raise ValueError("steps, points, rotations and starts must be at least 1")
        if not self.prior >= 0:
            raise ValueError(f"prior must be at least 0, got {self.prior}")


class ScanFit(NamedTuple):
    """Result of a fit to a scan.

    Attributes:
        code: (D,).
        frame: the scan's units <-> unit frame.
        covariance: (D, D) of the code, by Laplace's approximation.
        scan: cleaned, with normals where it has points enough, in its own units.
        error: mean truncated residual at the end, in the unit frame.
        stop: why the fit ended.
    """

    code: Tensor
    frame: Frame
    covariance: Tensor
    scan: Scan
    error: float
    stop: Stop


def fit_scan(
    space: LatentSpace,
    scan: Scan,
    config: ScanFitConfig | None = None,
    *,
    frame: Frame | None = None,
    candidates: CandidateFields | None = None,
    on_step: OnStep | None = None,
) -> ScanFit:
    """Fit the code and the frame under which a shape of the space explains a scan.

    Every stored code is compared in every pose on a lattice (`CandidateFields`). The best pairs are fitted together by
    Levenberg-Marquardt on code, rotation, scale and shift, near the stored codes that they came from, and pruned; the
    best one is fitted to the end, with the normal distribution of the stored codes as prior. (Joint fit of DSP-SLAM,
    Wang et al. 2021, from many guesses.)

    Args:
        space: whose decoder reads the code.
        scan: points in their own units; normals are estimated where it has none.
        config: `ScanFitConfig()` if None.
        frame: initial frame, or the frame itself where the pose is known; None is the scan's bounding sphere.
        candidates: `candidate_fields(space)`, where there are some already.
        on_step: called after every iteration of the last fit.

    Returns:
        The fit; interrupted in its last part, as far as it came.

    Raises:
        ValueError: too few distinct points.
        KeyboardInterrupt: Ctrl-C before one guess was chosen.
    """
    problem = ScanProblem(space, scan, config or ScanFitConfig(), frame, candidates)
    return problem.summary(problem.fine_fit(problem.coarse_fit(), on_step))


class ScanProblem:
    """A cleaned scan with normals, its residuals, and the priors of its pose: the parts of `fit_scan`.

    Args:
        space, scan, config, frame, candidates: as `fit_scan` takes them.

    Attributes:
        scan: cleaned, in its own units.
        base: frame that poses start from.
        residuals: in the unit coordinates of `base`.
        generator: of all draws of residuals, in the order of the parts.

    Raises:
        ValueError: too few distinct points.
    """

    def __init__(
        self,
        space: LatentSpace,
        scan: Scan,
        config: ScanFitConfig,
        frame: Frame | None = None,
        candidates: CandidateFields | None = None,
    ):
        scan = remove_outliers(scan, MOST_POINTS, OUTLIER_DISTANCE, LEAST_POINTS, config.seed)
        self.scan: Scan = with_normals(scan, config.seed)
        self.config: ScanFitConfig = config
        self.decoder: Decoder = space.decoder
        stored = space.codes().to(next(space.decoder.parameters()).device)
        self._mean = stored.mean(0) if len(stored) else stored.new_zeros(space.code_size)
        self._variances = code_variances(stored)
        self.closed: bool = self.scan.openness < CLOSED
        self.base: Frame = frame or scan.frame()
        self.candidates: CandidateFields = candidates or candidate_fields(space, config.seed)
        unit, like = self.scan.transformed(self.base), self.candidates.codes
        self.residuals: ScanResiduals = ScanResiduals(unit, config.seed).to(like.device)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        own_up, self._space_up = up_directions(config.up, config.space_up)
        self._up = self.base.rotation @ own_up
        self.pose_prior: Callable[[Pose], Pose] | None = None
        if config.pose in ("upright", "free") or (self.closed and config.pose == "placed" and frame is None):
            self.pose_prior = bounding_sphere_pose(unit.points, unit.noise, like)

    def objective(self, prior: float | Tensor) -> CodeObjective:
        """Objective of codes and poses, with a weight of the mean squared code offset, one for all numbers or (D,)."""
        active = [True] * self.decoder.code_size + active_freedoms(self.config.pose)
        return self._objective(self.decoder, prior / self.decoder.code_size, active)

    @property
    def searched(self) -> bool:
        """Whether the rotation is searched for."""
        return self.config.pose in ("upright", "free")

    @property
    def _silhouette_seen(self) -> bool:
        """Whether the sensor is known and missed nothing that it faced."""
        return self.scan.sensor is not None and not self.scan.cropped

    @property
    def fine_prior(self) -> Tensor:
        """Weights (D,) of the squared offsets from the mean code in the fit of one guess."""
        return self.config.prior / self._variances

    def coarse_fit(self) -> Guess:
        """The best guesses of code and pose: all pairs compared on a lattice, the best fitted together and pruned.

        Returns:
            One guess, or the best of each of at most `POSES` distinct rotations; the best first.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        objective, searched = self.objective(COARSE_PRIOR), self.searched
        guess = self._initial_guesses(objective)
        guess = guess._replace(origin=guess.codes)
        for count, truncation, points, iterations in COARSE_STAGES:
            if len(guess.codes) > count:
                stage = FitStage(truncation, self._sample(points), iterations)
                result = levenberg_marquardt(objective, guess, [stage])
                if result.stop is Stop.INTERRUPTED:
                    raise KeyboardInterrupt
                rows = result.losses.topk(count, largest=False).indices
                if searched and count <= POSES:
                    assert result.guess.pose is not None
                    distinct = distinct_rows(result.guess.pose.rotation, result.losses, POSES)
                    rows = distinct if count == 1 else torch.cat([rows, distinct]).unique()
                guess = result.guess.select(rows)
        return guess

    def fine_fit(self, guess: Guess, on_step: OnStep | None = None) -> FitResult:
        """Fit guesses to the end, over stages of narrowing truncation and growing samples, and choose the best.

        Args:
            guess: codes and poses.
            on_step: called after every iteration; True pauses.

        Returns:
            The fit of one guess (`best_fit`).
        """
        config, iterations = self.config, stage_iterations(self.config.steps)
        initial = COARSE_STAGES[-1][1]

        def stages() -> Iterator[FitStage]:
            for number, count in enumerate(iterations):
                progress = number / max(1, len(iterations) - 1)
                narrowed = min(1.0, 2.0 * progress) if len(iterations) > 1 else 1.0
                points = max(1, round(config.points * 4.0 ** (progress - 0.5)))
                yield FitStage(initial * (TRUNCATION / initial) ** narrowed, self._sample(points), count)

        objective = self.objective(self.fine_prior)
        guess = guess._replace(origin=self._mean.expand(len(guess.codes), -1))
        result = levenberg_marquardt(objective, guess, stages(), on_step, total=config.steps)
        return best_fit(result, self.decoder, self.scan, self.base)

    def summary(self, result: FitResult) -> ScanFit:
        """Error, covariance and frame of a fit of one guess."""
        guess, groups = result.guess, self._sample(2 * self.config.points)
        assert guess.pose is not None
        with torch.no_grad():
            error = float(CodeObjective(self.decoder, 0.0).losses(guess, groups, TRUNCATION))
        covariance = _covariance(self.objective(self.fine_prior), guess, groups, error)
        return ScanFit(guess.codes[0], guess.pose.frame(0, self.base), covariance, self.scan, error, result.stop)

    def predicted_agreement(self, guess: Guess) -> float | None:
        """`held_out_agreement` of a guess that was fitted to the end; None where the scan is too small for it."""
        if self.scan.normals is None or len(self.scan) < LEAST_TO_HOLD_OUT:
            return None
        active = [True] * self.decoder.code_size + active_freedoms("known")
        objective = self._objective(self.decoder, self.fine_prior / self.decoder.code_size, active)
        unit = self.scan.transformed(self.base)
        return held_out_agreement(objective, guess, unit, self.config.seed, self.scan.openness)

    def _objective(self, fields: Fields, prior: float | Tensor, active: list[bool]) -> CodeObjective:
        weight = torch.tensor(POSE_WEIGHT_CLOSED if self.closed else POSE_WEIGHT_OPEN)
        if not self.closed and self.searched and not self.scan.cropped:
            weight = torch.tensor(POSE_WEIGHT_VIEW if self._silhouette_seen else POSE_WEIGHT_NO_SENSOR)
        up = torch.from_numpy(self._up) if self.config.pose == "upright" else None
        return CodeObjective(fields, prior, torch.tensor(active), pose_weight=weight, pose_prior=self.pose_prior, up=up)

    def _sample(self, count: int) -> list[Residuals]:
        return self.residuals.sample(count, self.generator)

    def _initial_guesses(self, objective: CodeObjective) -> Guess:
        """Pairs of a stored code and a pose, the best first."""
        config, candidates = self.config, self.candidates
        truncation, points, lattice_points = PAIRS_TRUNCATION
        rotations = self._candidate_rotations()
        poses = Pose.from_rotations(rotations.rotations)
        poses = poses if self.pose_prior is None else self.pose_prior(poses)
        extent_seen = self.closed or (self.searched and self._silhouette_seen)
        poses = poses if extent_seen or config.pose == "known" else with_smaller_poses(poses)
        if config.pose in ("known", "placed"):
            return best_pairs(candidates, poses, self._sample(lattice_points), config.starts, rotations)
        registration = self._objective(LatticeFields(candidates), 0.0, [False, *active_freedoms(config.pose)])
        count = LATTICE_GUESSES * config.starts
        guess = register_candidates(candidates, poses, rotations, registration, self.residuals, self.generator, count)
        return lowest_losses(objective, guess, self._sample(points), truncation, config.starts)

    def _candidate_rotations(self) -> CandidateRotations:
        """Rotations to compare stored codes under, by what is known of the pose."""
        if self.config.pose == "free":
            return CandidateRotations.shared(spread_rotations(self.config.rotations), self.candidates)
        if self.config.pose == "upright":
            return CandidateRotations.about_up(self.candidates, self._up, self._space_up)
        return CandidateRotations.of_axes(self.candidates)


def _covariance(objective: CodeObjective, guess: Guess, groups: list[Residuals], error: float) -> Tensor:
    """Covariance (D, D) of the code, (b / n) H^-1 of absolute residuals of mean size b (Laplace's approximation)."""
    hessian = objective.normal_equations(guess, groups, TRUNCATION).hessian[0]
    count = min(EFFECTIVE_RESIDUALS, float(sum(group.points.shape[1] for group in groups)))
    damping = 1e-9 * torch.eye(len(hessian), dtype=hessian.dtype, device=hessian.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky((hessian + damping).double()))
    covariance = inverse * (max(error, 1e-4) / count)
    size = guess.codes.shape[1]
    return covariance[:size, :size].to(hessian.dtype)
