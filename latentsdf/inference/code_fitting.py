"""Codes of signed samples with the decoder frozen: several initial guesses, fitted together and pruned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.cube_rotations import cube_rotations
from ..core.optimize import OnStep, Stop
from ..core.pose import Pose, PoseFreedom, active_freedoms, check_pose
from ..core.upright import Direction, up_directions
from ..decoder.base import Decoder
from .candidate_rotations import CandidateRotations
from .candidates import LatticeColumns
from .initial_guesses import RESOLUTION, ranked_guesses, stored_candidates
from .levenberg_marquardt import FitResult, FitStage, levenberg_marquardt, stage_iterations
from .objective import CodeObjective, Guess
from .residuals import Residuals, SignedSamples
from .short_codes import ShortCodes, shortened

TRUNCATION = 0.03
"""Truncation at the end of a fit, unit frame; DeepSDF clamps at 0.1, and near the surface less resolves more."""
POSE_WEIGHT = 1e-2
"""Weight of the squared change of log scale and shift, which keeps the shape in its unit sphere."""
INITIAL_TRUNCATION = 0.2
"""Truncation at the beginning of a fit; it narrows geometrically over the first two thirds of the stages."""
SHORT = 64
"""Principal directions of the stored codes in which guesses are fitted as long as there are several of a shape."""
PRUNING = ((0.05, 8), (0.1, 4), (0.2, 2), (0.4, 1))
"""After these parts of the stages, so many guesses per shape go on."""


@dataclass(frozen=True, kw_only=True)
class EncodeConfig:
    """Settings of the fit of unseen shapes.

    Raises:
        ValueError: a setting out of its range.
    """

    pose: PoseFreedom = "free"
    """What of the shape's frame is fitted with its code. `known`: nothing. `placed`: scale and position, near those of
    the unit sphere. `upright`: the angle about `up` too, whatever it is. `free`: the rotation too, near one of the 24
    of the cube; held-out shapes come out closer."""
    up: Direction = "z"
    """Up in the axes of the shape, where its pose is upright: x, y, z or a vector."""
    space_up: Direction | None = None
    """Up in the axes of the meshes that the space was made of; None is the positive axis nearest to `up`."""
    steps: int = 40
    """Gauss-Newton iterations. Larger fits closer, up to a point."""
    points: int = 2048
    """Samples per iteration, from a quarter of this to twice as many. Larger comes closer and is slower."""
    prior: float = 2e-4
    """Weight of the mean squared number of the code, each over its deviation in the space (Mahalanobis distance).
    Larger stays nearer the codes of the space, which takes fewer bytes, and fits the data less."""
    starts: int = 24
    """Initial guesses per shape that are fitted; most are pruned early. Larger misses fewer shapes, slower."""
    nested: tuple[int, ...] = ()
    """Prefix lengths that the code is fitted at too, together with a quarter of the weight of the whole code. Where
    there are any, the whole code comes less close."""
    samples: int = 60_000
    """Signed samples taken of a mesh. Larger resolves thinner parts and costs preparation time."""
    seed: int = 0
    """Seed of the samples and of those drawn in each stage."""

    def __post_init__(self) -> None:
        if min(self.steps, self.points, self.samples, self.starts) < 1:
            raise ValueError("steps, points, samples and starts must be at least 1")
        check_pose(self.pose)
        up_directions(self.up, self.space_up)
        if not self.prior >= 0:
            raise ValueError(f"prior must be at least 0, got {self.prior}")


def infer_codes(
    decoder: Decoder,
    samples: SignedSamples,
    stored: Tensor,
    config: EncodeConfig | None = None,
    on_step: OnStep | None = None,
) -> FitResult:
    """Fit codes to signed samples with the decoder frozen; a `CodeFitter` fits several batches.

    Args:
        decoder: of the space.
        samples: of S shapes, in their unit frames.
        stored: (K, D) codes of the space; K may be 0.
        config: `EncodeConfig()` if None.
        on_step: called after every iteration.

    Returns:
        As `CodeFitter.fit`.
    """
    return CodeFitter(decoder, stored, config).fit(samples, on_step)


class CodeFitter:
    """Fits of codes to signed samples with the decoder frozen (maximum a posteriori: DeepSDF, section 4).

    Every shape starts from the mean code and from stored codes, in the rotations of the cube in which they fit it best;
    all of a batch are fitted together by Levenberg-Marquardt, with the pose where it may move, and the worse ones are
    pruned. As long as there are several of a shape, their codes move in the principal directions of the stored ones.

    Args:
        decoder: of the space.
        stored: (K, D) codes of the space; K may be 0.
        config: `EncodeConfig()` if None.
        rotation_rows: (K,) of `frame_rows`, for an upright pose; None where source meshes lie as in their unit frames.
        columns: fields of codes by the decoder, `RESOLUTION` vertices per axis, which are kept; None decodes all again.
    """

    def __init__(
        self,
        decoder: Decoder,
        stored: Tensor,
        config: EncodeConfig | None = None,
        rotation_rows: Tensor | None = None,
        columns: LatticeColumns | None = None,
    ):
        self.decoder, self.config = decoder, config or EncodeConfig()
        self.device = next(decoder.parameters()).device
        stored = stored.to(self.device)
        generator = torch.Generator().manual_seed(self.config.seed)
        self.candidates = stored_candidates(
            columns or LatticeColumns(decoder, RESOLUTION), stored, generator, rotation_rows
        )
        self.objective = code_objective(decoder, self.config, stored)
        self.short = None if self.config.nested else shortened(decoder, stored, SHORT)
        self.first_objective = self.objective if self.short is None else _short_objective(self.short, self.config)

    def fit(self, samples: SignedSamples, on_step: OnStep | None = None) -> FitResult:
        """Fit the codes of a batch.

        Args:
            samples: of S shapes, in their unit frames.
            on_step: called after every iteration.

        Returns:
            S codes and poses from the frame of the samples to that of the codes; mean truncated errors (S,) without
            priors, in the frame of the samples; the reason of the end.
        """
        config, samples = self.config, samples.to(self.device)
        generator = torch.Generator().manual_seed(config.seed)
        guess = self.initial_guesses(samples, generator)
        guess = guess.select(torch.arange(len(guess.codes))[: len(samples.points) * config.starts])
        result = self._descend(guess, _Stages(samples, config), on_step)
        with torch.no_grad():
            groups = samples.sample(2 * config.points, generator)
            errors = CodeObjective(self.decoder, 0.0).losses(result.guess, groups, TRUNCATION)
        return result._replace(losses=errors)

    def initial_guesses(self, samples: SignedSamples, generator: torch.Generator) -> Guess:
        """Codes and poses, the best of each shape first; without stored codes the zero code of each.

        Args:
            samples: of S shapes.
            generator: of the samples that guesses are ranked by.
        """
        pose, candidates, rotations = self.config.pose, self.candidates, None
        if candidates is None:
            codes = samples.points.new_zeros(len(samples.points), self.decoder.code_size)
            return Guess(codes, None if pose == "known" else Pose.identity(len(codes), codes))
        if pose == "upright":
            directions = up_directions(self.config.up, self.config.space_up)
            rotations = CandidateRotations.about_up(candidates, *directions)
        elif pose != "known":
            turns = cube_rotations()
            rotations = CandidateRotations.shared(turns if pose == "free" else turns[:1], candidates)
        return ranked_guesses(self.decoder, candidates, rotations, samples, TRUNCATION, generator)

    def _descend(self, guess: Guess, stages: _Stages, on_step: OnStep | None) -> FitResult:
        """Fit (G * S) guesses of S shapes, of which one per shape is left."""
        shapes, first = stages.shapes, 0
        if self.short is not None:
            guess = self.short.shorten(guess)
        for part, count in PRUNING:
            last, copies = round(part * len(stages)), len(guess.codes) // shapes
            if copies > count and first < last < len(stages):
                result = self._fit(self.first_objective, guess, stages, range(first, last), on_step)
                guess = _prune(self.first_objective, result.guess, stages.stage(last, copies), count, shapes)
                if result.stop is not Stop.FINISHED:
                    return result._replace(guess=self._lengthen(guess.select(torch.arange(shapes))))
                first = last
        guess = self._lengthen(guess.select(torch.arange(shapes)))
        return self._fit(self.objective, guess, stages, range(first, len(stages)), on_step)

    def _fit(
        self, objective: CodeObjective, guess: Guess, stages: _Stages, part: range, on_step: OnStep | None
    ) -> FitResult:
        copies = len(guess.codes) // stages.shapes
        chosen = (stages.stage(number, copies) for number in part)
        done = sum(stages.iterations[: part.start])
        return levenberg_marquardt(objective, guess, chosen, on_step, start=done, total=self.config.steps)

    def _lengthen(self, guess: Guess) -> Guess:
        return guess if self.short is None else self.short.lengthen(guess)


class _Stages:
    """Stages of a fit, each of samples of its own; those of one number are the same whenever they are asked for."""

    def __init__(self, samples: SignedSamples, config: EncodeConfig):
        self.samples, self.config = samples, config
        self.shapes = len(samples.points)
        self.iterations = stage_iterations(config.steps)

    def __len__(self) -> int:
        return len(self.iterations)

    def stage(self, number: int, copies: int) -> FitStage:
        """Samples and truncation of a stage, for so many guesses of each shape."""
        config, final = self.config, max(1, len(self) - 1)
        generator = torch.Generator().manual_seed(config.seed + 1 + number)
        (group,) = self.samples.sample(max(1, round(config.points * 8.0 ** (number / final) / 4.0)), generator)
        group = Residuals(group.points.repeat(copies, 1, 1), group.targets.repeat(copies, 1))
        narrowed = min(1.0, 1.5 * number / final) if len(self) > 1 else 1.0
        truncation = INITIAL_TRUNCATION * (TRUNCATION / INITIAL_TRUNCATION) ** narrowed
        return FitStage(truncation, [group, *_prefix_groups(group, config.nested)], self.iterations[number])


def code_objective(decoder: Decoder, config: EncodeConfig, stored: Tensor) -> CodeObjective:
    """Objective of codes and poses with the priors of a config.

    Args:
        decoder: of the space.
        config: its pose says which numbers of a pose move, its prior the weight of the mean squared code.
        stored: (K, D) codes of the space, whose deviations are the unit of that mean; 1 where there are no two.
    """
    active = None
    if config.pose != "known":
        active = torch.tensor([True] * decoder.code_size + active_freedoms(config.pose))
    prior = config.prior / decoder.code_size / code_variances(stored)
    return CodeObjective(decoder, prior, active, pose_weight=POSE_WEIGHT, up=_up(config))


def _short_objective(short: ShortCodes, config: EncodeConfig) -> CodeObjective:
    """Objective of short codes, whose prior is of their variances; their constant does not move."""
    active = [True] * len(short.variances) + [False] + (active_freedoms(config.pose) if config.pose != "known" else [])
    floor = short.variances.max().clamp_min(1e-12) * 1e-4
    prior = config.prior / short.directions.shape[1] / short.variances.clamp_min(float(floor))
    prior = torch.cat([prior, prior.new_zeros(1)])
    return CodeObjective(short.decoder, prior, torch.tensor(active), pose_weight=POSE_WEIGHT, up=_up(config))


def _up(config: EncodeConfig) -> Tensor | None:
    """Up in the axes of the shapes (3,), where it is kept."""
    return torch.from_numpy(up_directions(config.up, config.space_up)[0]) if config.pose == "upright" else None


def code_variances(stored: Tensor) -> Tensor:
    """Variances (D,) of stored codes (K, D), each at least a ten-thousandth of their mean; 1 where there are no two."""
    if len(stored) < 2:
        return stored.new_ones(stored.shape[1])
    variances = stored.var(0)
    return variances.clamp_min(max(1e-4 * float(variances.mean()), 1e-12))


def _prefix_groups(group: Residuals, sizes: tuple[int, ...]) -> list[Residuals]:
    """A quarter of a group's residuals for each prefix length, all together with a quarter of its weight."""
    count = max(1, group.points.shape[1] // 4)
    points, targets = group.points[:, :count], group.targets[:, :count]
    return [Residuals(points, targets, prefix=size, weight=0.25 / len(sizes)) for size in sizes]


def _prune(objective: CodeObjective, guess: Guess, stage: FitStage, count: int, shapes: int) -> Guess:
    """The (count * S) guesses of the lowest losses, of several per shape."""
    with torch.no_grad():
        losses = objective.losses(guess, stage.residuals, stage.truncation).view(-1, shapes)
    ranks = losses.topk(count, dim=0, largest=False).indices
    return guess.select((ranks * shapes + torch.arange(shapes, device=ranks.device)).flatten())
