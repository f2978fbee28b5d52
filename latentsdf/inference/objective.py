"""Losses of codes and poses against residuals, and the normal equations of a step down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from ..core.pose import FREEDOMS, Pose
from ..decoder.linearize import Linearize, Linearized
from .residuals import Residuals, into_cube

FLOOR = 5e-3
"""Residuals below this, in the unit frame, are weighted as if they were this large (least squares from here on)."""


class Guess(NamedTuple):
    """What a fit moves.

    Attributes:
        codes: (S, D).
        pose: of the points of each shape, S of them; None leaves points where they are.
        origin: (S, D) codes that they are held to; None is zero.
    """

    codes: Tensor
    pose: Pose | None = None
    origin: Tensor | None = None

    def replaced(self, rows: Tensor, other: Guess) -> Guess:
        """This, with some shapes taken from another that has as many as there are rows."""
        pose = None if self.pose is None or other.pose is None else self.pose.replaced(rows, other.pose)
        return self._replace(codes=self.codes.index_copy(0, rows, other.codes), pose=pose)

    def select(self, rows: Tensor) -> Guess:
        """Some of the shapes."""
        pose, origin = self.pose, self.origin
        return Guess(
            self.codes[rows],
            None if pose is None else pose.select(rows),
            None if origin is None else origin[rows],
        )


class NormalEquations(NamedTuple):
    """The normal equations of S shapes for P numbers that may move.

    Attributes:
        curvature: (S, P, P).
        slope: (S, P).
        losses: (S,) where they were made, priors included.
    """

    hessian: Tensor
    gradient: Tensor
    losses: Tensor


class Fields(Protocol):
    """What a problem asks of a decoder."""

    branches: ClassVar[tuple[str, ...]]

    def prepare(self, codes: Tensor) -> Any:
        """Work that depends on the codes alone."""
        ...

    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N) at points (S, N, 3)."""
        ...

    def linearizer(self, branch: str | None = None) -> Linearize:
        """The fields and their derivatives."""
        ...


class CodeObjective:
    """Losses of guesses, and the normal equations of a step down.

    Where points have a pose, distances are those of the points' own units: the field over the scale. A pose that
    shrinks the points to a spot of the surface gains nothing by it.

    Args:
        decoder: with its weights at rest.
        prior: weight of each squared code number, one for all (a number) or one each (D,).
        free: (D + 7,) which numbers may move: those of the code, the rotation vector, log scale and translation. None
            moves the code alone.
        place: weight of the squares of how far a pose's log scale and shift are from home, which keeps what the
            residuals leave open near it.
        home: a pose -> the pose of the same rotation that it is held to; None is the frame that the points came in.
    """

    def __init__(
        self,
        decoder: Fields,
        prior: float | Tensor,
        active: Tensor | None = None,
        *,
        pose_weight: float = 0.0,
        pose_prior: Callable[[Pose], Pose] | None = None,
    ):
        self.decoder, self.prior, self.active, self.pose_weight = decoder, torch.as_tensor(prior), active, pose_weight
        self.pose_prior = pose_prior
        self.branch = decoder.branches[-1]
        self.linearize = decoder.linearizer(self.branch)

    def losses(self, guess: Guess, groups: Sequence[Residuals], truncation: float) -> Tensor:
        """(S,), priors included; differentiable in codes and poses."""
        total = self._priors(guess)
        states: dict[int | None, object] = {}
        for group in groups:
            if group.prefix not in states:
                states[group.prefix] = self.decoder.prepare(_cut(guess.codes, group.prefix))
            places, beyond = _placed(guess, group.points)
            values = self.decoder.query(states[group.prefix], places, self.branch)
            total = total + group.loss(_in_own_units(values + beyond, guess), truncation)
        return total

    def normal_equations(self, guess: Guess, groups: Sequence[Residuals], truncation: float) -> NormalEquations:
        """The reweighted squares about a guess."""
        codes = guess.codes
        count, size = codes.shape
        total = size + (FREEDOMS if guess.pose is not None else 0)
        weight = (2.0 * self.prior.to(codes)).expand(size)
        curvature, slope = codes.new_zeros(count, total, total), codes.new_zeros(count, total)
        curvature.diagonal(dim1=1, dim2=2)[:, :size] = weight
        slope[:, :size] = weight * self._way(guess)
        if guess.pose is not None and self.pose_weight:
            jacobian, residual = _of_place(guess.pose, turns=self.pose_prior is None), self._off(guess.pose)
            curvature[:, size:, size:] = 2.0 * self.pose_weight * (jacobian.transpose(1, 2) @ jacobian)
            slope[:, size:] = 2.0 * self.pose_weight * (jacobian.transpose(1, 2) @ residual[..., None])[..., 0]
        losses = self._priors(guess)
        for group in groups:
            places, beyond = _placed(guess, group.points)
            field = self.linearize(_cut(codes, group.prefix), places)
            values = field.values + beyond
            jacobian = _derivatives(field, places, values, guess)
            values = _in_own_units(values, guess)
            residual, factor = group.residual(values, truncation)
            losses = losses + group.mean(residual)
            share = (
                group.weights(residual) / residual.abs().clamp_min(FLOOR) * (group.weight / residual.shape[1])
            ).sqrt()
            jacobian *= _in_own_units(factor * share, guess)[..., None]
            curved, sloped = jacobian.mT @ jacobian, (jacobian.mT @ (share * residual)[..., None])[..., 0]
            if group.prefix is not None:
                curved[:, group.prefix : size] = curved[:, :, group.prefix : size] = sloped[:, group.prefix : size] = (
                    0.0
                )
            curvature, slope = curvature + curved, slope + sloped
        if self.active is None:
            return NormalEquations(curvature, slope, losses)
        return NormalEquations(curvature[:, self.active][:, :, self.active], slope[:, self.active], losses)

    def _priors(self, guess: Guess) -> Tensor:
        """Losses (S,) of codes and poses as such."""
        total = (self.prior.to(guess.codes) * self._way(guess).square()).sum(1)
        if guess.pose is not None and self.pose_weight:
            total = total + self.pose_weight * self._off(guess.pose).square().sum(1)
        return total

    def _way(self, guess: Guess) -> Tensor:
        """How far codes (S, D) are from where they are held."""
        return guess.codes if guess.origin is None else guess.codes - guess.origin

    def _off(self, pose: Pose) -> Tensor:
        """How far log scale and shift (S, 4) are from where they are held."""
        place = torch.cat([pose.log_scale[:, None], pose.shift], 1)
        if self.pose_prior is None:
            return place
        home = self.pose_prior(pose)
        return place - torch.cat([home.log_scale[:, None], home.shift], 1)

    def retract(self, guess: Guess, steps: Tensor) -> Guess:
        """The guess after steps (S, P) down."""
        size = guess.codes.shape[1]
        if self.active is not None:
            whole = steps.new_zeros(len(steps), len(self.active))
            whole[:, self.active] = steps
            steps = whole
        pose = None if guess.pose is None else guess.pose.retract(-steps[:, size:])
        return guess._replace(codes=guess.codes - steps[:, :size], pose=pose)


def _placed(guess: Guess, points: Tensor) -> tuple[Tensor, Tensor | float]:
    """Points (S, N, 3) in the unit frame, inside the cube, and how far beyond it they were."""
    if guess.pose is None:
        return points.expand(len(guess.codes), -1, -1), 0.0
    return into_cube(guess.pose.apply(points))


def _in_own_units(values: Tensor, guess: Guess) -> Tensor:
    return values if guess.pose is None else values * (-guess.pose.log_scale).exp()[:, None]


def _derivatives(field: Linearized, places: Tensor, values: Tensor, guess: Guess) -> Tensor:
    """Derivatives of the distances in the points' own units (S, N, D or D + 7), times the scale of the pose."""
    if guess.pose is None:
        return field.of_codes
    gradient = field.of_points
    growing = (gradient * places).sum(-1) - values
    return torch.cat(
        [field.of_codes, torch.linalg.cross(places, gradient), growing[..., None], gradient],
        -1,
    )


def _of_place(pose: Pose, turns: bool) -> Tensor:
    """Derivatives (S, 4, 7) of log scale and shift in the numbers of a motion, of its rotation only if it counts.

    It does not where the home turns along, so that next to nothing comes between the two.
    """
    count = len(pose.shift)
    jacobian = pose.shift.new_zeros(count, 4, FREEDOMS)
    jacobian[:, 0, 3] = 1.0
    eye = torch.eye(3, dtype=pose.shift.dtype, device=pose.shift.device)
    if turns:
        jacobian[:, 1:, :3] = torch.linalg.cross(eye.expand(count, 3, 3), pose.shift[:, None].expand(-1, 3, -1)).mT
    jacobian[:, 1:, 3] = pose.shift
    jacobian[:, 1:, 4:] = eye
    return jacobian


def _cut(codes: Tensor, kept: int | None) -> Tensor:
    return codes if kept is None else codes * (torch.arange(codes.shape[1], device=codes.device) < kept)
