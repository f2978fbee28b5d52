"""Protocol of decoders: conditioned once per code, queried often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..core.threads import map_rows
from .column_exchange import ColumnExchange
from .linearize import Linearize, linearize_by_copies

CHUNK = 16384
"""The most points that are evaluated at once without a graph. Hidden units of fewer stay in a core's cache, but every
operation has a fixed cost."""


class Conditioned:
    """The SDF of one code: (N, 3) points of the unit frame -> (N,) signed distances.

    Attributes:
        smooth: whether second derivatives exist; `Jet.hessian` raises where they do not.
    """

    def __init__(self, decoder: Decoder, state: Any, branch: str, *, smooth: bool | None = None):
        self._decoder = decoder
        self._state = state
        self.branch = branch
        self.smooth: bool = decoder.smooth(branch) if smooth is None else smooth

    def __call__(self, points: Tensor) -> Tensor:
        if torch.is_grad_enabled() or len(points) <= CHUNK:
            return self._decoder.query(self._state, points[None], self.branch)[0]
        return map_rows(lambda part: self._decoder.query(self._state, part[None], self.branch)[0], points, CHUNK)

    def smoothed(self) -> Conditioned:
        """The same field with its volumes read by quadratic B-splines, once continuously differentiable (C1).

        It has second derivatives, and differs from the trilinear field between the vertices of the volumes alone. A
        field that is smooth is returned as it is.

        Raises:
            ValueError: the decoder has activations without second derivatives.
        """
        if self.smooth:
            return self
        state = self._decoder.with_splines(self._state, self.branch)
        if state is None:
            raise ValueError(
                f"this field of a {self._decoder.kind!r} decoder has ReLU units and no second derivatives; use terms "
                "of first order, or a decoder with activation 'silu' or 'softplus'"
            )
        return Conditioned(self._decoder, state, self.branch, smooth=True)


class Decoder(nn.Module, ABC):
    """A network f(code, point) -> signed distance, split so that the work on the code is done once.

    A new decoder implements `prepare`, `query`, `smooth` and `groups`; everything else in the library only uses
    `condition` (one shape) and `forward` (a batch of shapes).

    Attributes:
        kind: name in files and on the command line.
        branches: names of its fields; the last is the default.
        code_size: D.
    """

    kind: ClassVar[str]
    branches: ClassVar[tuple[str, ...]]
    code_size: int
    config: Any

    @abstractmethod
    def prepare(self, codes: Tensor) -> Any:
        """Do all work that depends on the codes (S, D) alone; the result is the state for `query`."""

    def flat_state(self, codes: Tensor) -> Tensor:
        """Numbers (S, F) from which `state_of` makes the state of codes (S, D); the codes, unless a decoder says other.

        Training computes them once for a whole batch, and the state and its queries for parts of it side by side.
        """
        return codes

    def state_of(self, flat: Tensor) -> Any:
        """The state for `query` of numbers (S, F) of `flat_state`."""
        return self.prepare(flat)

    def divide(self, exchange: ColumnExchange) -> list[nn.Parameter]:
        """Keep of each large table (D, F) that `flat_state` multiplies codes by the columns of this process alone.

        Only `flat_state` and `state_of` can be called then, by all processes together.

        Returns:
            The divided tables, in an order that is the same for all processes; none where a decoder has no such ones.
        """
        return []

    @abstractmethod
    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N) of points (S, N, 3) in the unit frame."""

    @abstractmethod
    def smooth(self, branch: str) -> bool:
        """Whether the fields of a branch have second derivatives."""

    def with_splines(self, state: Any, branch: str) -> Any | None:
        """The state whose volumes `query` reads by quadratic B-splines; None if the branch is not smooth then either.

        A decoder whose fields are smooth, or cannot be, needs none.
        """
        return None

    def restricted(self, directions: Tensor) -> Decoder | None:
        """A decoder of shorter codes z (P,) whose fields are those of this one at z @ directions (P, D), weights fixed.

        None unless all that depends on a code is linear in it, so that nothing of the length D need be kept.
        """
        return None

    @abstractmethod
    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the group names to which training stages assign learning rates."""

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Codes (S, D), points (S, N, 3) -> fields and their first derivatives, for weights that do not change.

        Raises:
            ValueError: unknown branch.
        """
        name = self.check_branch(branch)
        return linearize_by_copies(lambda codes, points: self.query(self.prepare(codes), points, name))

    def forward(self, codes: Tensor, points: Tensor, branch: str | None = None) -> Tensor:
        """Evaluate a batch of shapes.

        Args:
            codes: (S, D).
            points: (S, N, 3) in the unit frame.
            branch: one of `branches`; None is the last.

        Returns:
            Signed distances, (S, N).

        Raises:
            ValueError: codes of another size, or an unknown branch.
        """
        return self.query(self.prepare(self._check_size(codes)), points, self.check_branch(branch))

    def condition(self, code: Tensor, branch: str | None = None) -> Conditioned:
        """The SDF of one code (D,), differentiable in the code and in the points.

        Raises:
            ValueError: not one code of this decoder's size, or an unknown branch.
        """
        if code.ndim != 1:
            raise ValueError(f"condition takes one code of shape (D,), got {tuple(code.shape)}")
        return Conditioned(self, self.prepare(self._check_size(code[None])), self.check_branch(branch))

    def parameter_count(self) -> int:
        """Number of parameters and buffer entries, which all shapes share."""
        return sum(tensor.numel() for tensor in self.state_dict().values())

    def check_branch(self, branch: str | None) -> str:
        """Name of a branch, the last one for None.

        Raises:
            ValueError: unknown branch.
        """
        if branch is None:
            return self.branches[-1]
        if branch not in self.branches:
            raise ValueError(f"decoder {self.kind!r} has no branch {branch!r}; it has {', '.join(self.branches)}")
        return branch

    def _check_size(self, codes: Tensor) -> Tensor:
        if codes.shape[-1] != self.code_size:
            raise ValueError(f"this decoder takes codes of {self.code_size} numbers, got {codes.shape[-1]}")
        return codes


def check_bytes(count: int, limit: int, remedy: str) -> None:
    """Check the size of a network before it is allocated.

    Args:
        count: float32 numbers in the network.
        limit: bytes allowed.
        remedy: config fields to reduce, for the message.

    Raises:
        ValueError: 4 * count exceeds the limit.
    """
    if count * 4 > limit:
        raise ValueError(
            f"this decoder would hold {count:,} numbers = {count * 4 / 1e9:.2f} GB (training needs about four times "
            f"that), over the limit of {limit / 1e9:.2f} GB; {remedy}, or raise max_bytes"
        )


def activation(name: str, inplace: bool = False) -> Callable[[Tensor], Tensor]:
    """Look up an activation function by its name.

    Args:
        name: `silu`, `softplus`, `sine` or `relu`.
        inplace: whether the function may overwrite its argument, which must have no graph then.

    Returns:
        The function of a tensor (...), element by element.

    Raises:
        ValueError: unknown name.
    """
    table = {
        "silu": lambda x: nn.functional.silu(x, inplace=inplace),
        "softplus": lambda x: nn.functional.softplus(x, beta=100.0),
        "sine": lambda x: x.mul_(30.0).sin_() if inplace else torch.sin(30.0 * x),
        "relu": lambda x: nn.functional.relu(x, inplace=inplace),
    }
    if name not in table:
        raise ValueError(f"unknown activation {name!r}; choose one of {', '.join(table)}")
    return table[name]
