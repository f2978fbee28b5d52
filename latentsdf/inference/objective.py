"""Losses of codes and poses against residuals, and the normal equations of a Gauss-Newton step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from ..core.pose import FREEDOMS, Pose
from ..decoder.linearize import Linearize, Linearized
from .residuals import Residuals, into_cube

FLOOR = 5e-3
"""Least absolute residual, in the unit frame, in the weight 1 / |r| of iterative reweighting."""
_READ_TOGETHER = 20_000
"""Most points of all shapes and groups that are linearised at once; each has as many derivatives as a code numbers."""


class Guess(NamedTuple):
    """Codes and poses of S shapes.

    Attributes:
        codes: (S, D).
        pose: S transforms of each shape's points into the unit frame; None leaves points where they are.
        origin: (S, D) codes that the prior is centred on; None is zero.
    """

    codes: Tensor
    pose: Pose | None = None
    origin: Tensor | None = None

    def replaced(self, rows: Tensor, other: Guess) -> Guess:
        """This guess with shapes `rows` (R,) taken from another, which has as many."""
        pose = None if self.pose is None or other.pose is None else self.pose.replaced(rows, other.pose)
        return self._replace(codes=self.codes.index_copy(0, rows, other.codes), pose=pose)

    def select(self, rows: Tensor) -> Guess:
        """Shapes `rows` (R,), in that order."""
        pose, origin = self.pose, self.origin
        return Guess(
            self.codes[rows],
            None if pose is None else pose.select(rows),
            None if origin is None else origin[rows],
        )


class NormalEquations(NamedTuple):
    """Normal equations of S shapes in P active parameters.

    Attributes:
        hessian: (S, P, P), by Gauss-Newton.
        gradient: (S, P).
        losses: (S,) at the point of linearisation, priors included.
    """

    hessian: Tensor
    gradient: Tensor
    losses: Tensor


class Fields(Protocol):
    """The part of a decoder that an objective needs."""

    branches: ClassVar[tuple[str, ...]]

    def prepare(self, codes: Tensor) -> Any:
        """Work that depends on the codes (S, D) alone."""
        ...

    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N) at points (S, N, 3)."""
        ...

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Fields and their first derivatives."""
        ...


class CodeObjective:
    """Losses of guesses and their normal equations: sum of residual means + prior |z - z0|^2 + pose_weight |q - q0|^2.

    z is the code and z0 its origin; q holds log scale and shift of the pose, and q0 those of the pose prior. With a
    pose, residuals are of distances in the points' own unit, the field over the scale: shrinking the points towards one
    spot of the surface lowers nothing.

    Args:
        decoder: frozen.
        prior: weight of the squared code numbers, one for all or (D,).
        active: (D + 7,) mask of the parameters that may move: code, rotation vector, log scale, translation. None moves
            the code alone.
        pose_weight: of the pose prior, one for all or those of log scale and shift (4,).
        pose_prior: a pose -> the pose of equal rotation that it is drawn to; None is the frame of the points.
        up: (3,) unit vector in the frame of the points, about which alone poses rotate; the first number of a rotation
            vector is then the angle, and the other two are not active. None lets them rotate in any way.
    """

    def __init__(
        self,
        decoder: Fields,
        prior: float | Tensor,
        active: Tensor | None = None,
        *,
        pose_weight: float | Tensor = 0.0,
        pose_prior: Callable[[Pose], Pose] | None = None,
        up: Tensor | None = None,
    ):
        self.decoder, self.prior, self.active, self.up = decoder, torch.as_tensor(prior), active, up
        self.pose_weights, self.pose_prior = torch.as_tensor(pose_weight).expand(4), pose_prior
        self.branch = decoder.branches[-1]
        self.linearize = decoder.linearizer(self.branch)

    def losses(self, guess: Guess, groups: Sequence[Residuals], truncation: float) -> Tensor:
        """Losses (S,) of a guess, priors included; differentiable in codes and poses."""
        total = self._priors(guess)
        states: dict[int | None, object] = {}
        for group in groups:
            if group.prefix not in states:
                states[group.prefix] = self.decoder.prepare(_prefix(guess.codes, group.prefix))
            points, outside = _to_unit(guess, group.points)
            values = self.decoder.query(states[group.prefix], points, self.branch) + outside
            total = total + group.loss(_to_source(values, guess), truncation)
        return total

    def normal_equations(self, guess: Guess, groups: Sequence[Residuals], truncation: float) -> NormalEquations:
        """Normal equations of the iteratively reweighted squares, linearised at a guess.

        The weight of a residual r in a group of N is w / (N max(|r|, `FLOOR`)), so that its square has the gradient of
        the absolute value.
        """
        hessian, gradient = self._prior_equations(guess)
        losses, size = self._priors(guess), guess.codes.shape[1]
        for group, (points, outside, field) in zip(groups, self._fields(guess, groups), strict=True):
            values = field.values + outside
            jacobian = self._about_up(_jacobian(field, points, values, guess), guess, size)
            residual, slope = group.residual(_to_source(values, guess), truncation)
            losses = losses + group.mean(residual)
            weight = group.weights(residual) / residual.abs().clamp_min(FLOOR) * (group.weight / residual.shape[1])
            root = weight.sqrt()
            jacobian *= _to_source(slope * root, guess)[..., None]
            group_hessian, group_gradient = jacobian.mT @ jacobian, (jacobian.mT @ (root * residual)[..., None])[..., 0]
            if group.prefix is not None:
                unread = slice(group.prefix, size)
                group_hessian[:, unread] = group_hessian[:, :, unread] = group_gradient[:, unread] = 0.0
            hessian, gradient = hessian + group_hessian, gradient + group_gradient
        if self.active is None:
            return NormalEquations(hessian, gradient, losses)
        return NormalEquations(hessian[:, self.active][:, :, self.active], gradient[:, self.active], losses)

    def _fields(self, guess: Guess, groups: Sequence[Residuals]) -> Iterator[tuple[Tensor, Tensor | float, Linearized]]:
        """Points of each group in the unit frame, their distances from the cube, and the fields there.

        Small groups are read together: conditioning the decoder on the codes costs as much as reading many points.
        """
        count = len(guess.codes) * sum(group.points.shape[1] for group in groups)
        if count > _READ_TOGETHER or len({group.prefix for group in groups}) > 1:
            for group in groups:
                points, outside = _to_unit(guess, group.points)
                yield points, outside, self.linearize(_prefix(guess.codes, group.prefix), points)
            return
        placed = [_to_unit(guess, group.points) for group in groups]
        field = self.linearize(_prefix(guess.codes, groups[0].prefix), torch.cat([points for points, _ in placed], 1))
        parts = (part.split([points.shape[1] for points, _ in placed], 1) for part in field)
        for (points, outside), *derivatives in zip(placed, *parts, strict=True):
            yield points, outside, Linearized(*derivatives)

    def retract(self, guess: Guess, steps: Tensor) -> Guess:
        """The guess minus steps (S, P) in the active parameters; poses move on their manifold (`Pose.retract`)."""
        size = guess.codes.shape[1]
        if self.active is not None:
            full = steps.new_zeros(len(steps), len(self.active))
            full[:, self.active] = steps
            steps = full
        if guess.pose is None:
            return guess._replace(codes=guess.codes - steps[:, :size])
        moves = steps[:, size:]
        if self.up is not None:
            moves = torch.cat([moves[:, :1] * (guess.pose.rotation @ self.up.to(moves)), moves[:, 3:]], 1)
        return guess._replace(codes=guess.codes - steps[:, :size], pose=guess.pose.retract(-moves))

    def _prior_equations(self, guess: Guess) -> tuple[Tensor, Tensor]:
        """Hessian (S, Q, Q) and gradient (S, Q) of the priors in all Q numbers of code and pose."""
        count, size = guess.codes.shape
        total = size + (FREEDOMS if guess.pose is not None else 0)
        weight = (2.0 * self.prior.to(guess.codes)).expand(size)
        hessian, gradient = guess.codes.new_zeros(count, total, total), guess.codes.new_zeros(count, total)
        hessian.diagonal(dim1=1, dim2=2)[:, :size] = weight
        gradient[:, :size] = weight * _code_offset(guess)
        if guess.pose is not None and self.pose_weights.any():
            jacobian, offset = _pose_jacobian(guess.pose, self.pose_prior is None), self._pose_offset(guess.pose)
            jacobian = self._about_up(jacobian, guess, 0)
            weighted = 2.0 * self.pose_weights.to(offset)[:, None] * jacobian
            hessian[:, size:, size:] = weighted.mT @ jacobian
            gradient[:, size:] = (weighted.mT @ offset[..., None])[..., 0]
        return hessian, gradient

    def _priors(self, guess: Guess) -> Tensor:
        """Losses (S,) of codes and poses by the priors."""
        total = (self.prior.to(guess.codes) * _code_offset(guess).square()).sum(1)
        if guess.pose is not None and self.pose_weights.any():
            offset = self._pose_offset(guess.pose)
            total = total + (self.pose_weights.to(offset) * offset.square()).sum(1)
        return total

    def _about_up(self, jacobian: Tensor, guess: Guess, first: int) -> Tensor:
        """Derivatives (S, N, P) whose three columns of the rotation, from `first`, become those of the angle about up.

        The angle's is in the first column, and the two others are zero.
        """
        if self.up is None or guess.pose is None:
            return jacobian
        columns = jacobian[..., first : first + 3]
        turning = columns @ (guess.pose.rotation @ self.up.to(jacobian))[..., None]
        columns[..., :1], columns[..., 1:] = turning, 0.0
        return jacobian

    def _pose_offset(self, pose: Pose) -> Tensor:
        """Log scale and shift (S, 4) minus those of the pose prior."""
        numbers = torch.cat([pose.log_scale[:, None], pose.shift], 1)
        if self.pose_prior is None:
            return numbers
        prior = self.pose_prior(pose)
        return numbers - torch.cat([prior.log_scale[:, None], prior.shift], 1)


def _code_offset(guess: Guess) -> Tensor:
    """Codes (S, D) minus the origins of their prior."""
    return guess.codes if guess.origin is None else guess.codes - guess.origin


def _to_unit(guess: Guess, points: Tensor) -> tuple[Tensor, Tensor | float]:
    """Points (S, N, 3) in the unit frame, clamped to the cube, and their distances (S, N) from it."""
    if guess.pose is None:
        return points.expand(len(guess.codes), -1, -1), 0.0
    return into_cube(guess.pose.apply(points))


def _to_source(values: Tensor, guess: Guess) -> Tensor:
    """Distances (S, N) of the unit frame in the points' own unit."""
    return values if guess.pose is None else values * (-guess.pose.log_scale).exp()[:, None]


def _jacobian(field: Linearized, points: Tensor, values: Tensor, guess: Guess) -> Tensor:
    """Derivatives (S, N, D or D + 7) of the distances in the points' own unit, times the scale of the pose."""
    if guess.pose is None:
        return field.of_codes
    gradient = field.of_points
    of_scale = (gradient * points).sum(-1) - values
    return torch.cat([field.of_codes, torch.linalg.cross(points, gradient), of_scale[..., None], gradient], -1)


def _pose_jacobian(pose: Pose, with_rotation: bool) -> Tensor:
    """Derivatives (S, 4, 7) of log scale and shift in a motion of the pose.

    Those of the rotation are left out where a pose prior rotates with the pose, which hardly changes the offset.
    """
    count = len(pose.shift)
    jacobian = pose.shift.new_zeros(count, 4, FREEDOMS)
    jacobian[:, 0, 3] = 1.0
    identity = torch.eye(3, dtype=pose.shift.dtype, device=pose.shift.device)
    if with_rotation:
        jacobian[:, 1:, :3] = torch.linalg.cross(identity.expand(count, 3, 3), pose.shift[:, None].expand(-1, 3, -1)).mT
    jacobian[:, 1:, 3] = pose.shift
    jacobian[:, 1:, 4:] = identity
    return jacobian


def _prefix(codes: Tensor, size: int | None) -> Tensor:
    """Codes (S, D) with all numbers after the first `size` at zero."""
    return codes if size is None else codes * (torch.arange(codes.shape[1], device=codes.device) < size)
