"""What every decoder is: conditioned once per code, queried often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .linearize import Linearize, by_copies


class Conditioned:
    """The SDF of one code: (N, 3) points of the unit frame -> (N,) signed distances.

    Attributes:
        smooth: whether second derivatives exist; `Jet.hessian` refuses a field where they do not.
    """

    def __init__(self, decoder: Decoder, state: Any, branch: str):
        self._decoder = decoder
        self._state = state
        self.branch = branch
        self.smooth = decoder.smooth(branch)

    def __call__(self, points: Tensor) -> Tensor:
        return self._decoder.query(self._state, points[None], self.branch)[0]


class Decoder(nn.Module, ABC):
    """A network from (code, point) to signed distance, split so that work on the code is done once.

    A new decoder implements `prepare`, `query`, `smooth` and `groups`; everything else in the library only uses
    `condition` (one shape) and `forward` (a batch of shapes).

    Attributes:
        kind: name under which files and the command line know it.
        branches: fields it can be asked for; the last is the one users get.
        code_size: D.
    """

    kind: ClassVar[str]
    branches: ClassVar[tuple[str, ...]]
    code_size: int
    config: Any

    @abstractmethod
    def prepare(self, codes: Tensor) -> Any:
        """All work that depends on the codes (S, D) alone; the result goes to `query`."""

    @abstractmethod
    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N) of points (S, N, 3) in the unit frame."""

    @abstractmethod
    def smooth(self, branch: str) -> bool:
        """Whether the fields of a branch have second derivatives worth the name."""

    @abstractmethod
    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the group names that stages give learning rates to."""

    def linearizer(self, branch: str | None = None) -> Linearize:
        """Codes (S, D), points (S, N, 3) -> fields and their derivatives in code and point; weights must not move."""
        name = self.check_branch(branch)
        return by_copies(lambda codes, points: self.query(self.prepare(codes), points, name))

    def forward(self, codes: Tensor, points: Tensor, branch: str | None = None) -> Tensor:
        """Signed distances of a batch of shapes.

        Args:
            codes: (S, D).
            points: (S, N, 3) in the unit frame.
            branch: one of `branches`; None is the last.

        Returns:
            (S, N).
        """
        return self.query(self.prepare(self._checked(codes)), points, self.check_branch(branch))

    def condition(self, code: Tensor, branch: str | None = None) -> Conditioned:
        """The SDF of one code (D,); differentiable in the code and in the points."""
        if code.ndim != 1:
            raise ValueError(f"condition takes one code of shape (D,), got {tuple(code.shape)}")
        return Conditioned(self, self.prepare(self._checked(code[None])), self.check_branch(branch))

    def parameter_count(self) -> int:
        """Numbers shared by all shapes, buffers counted."""
        return sum(tensor.numel() for tensor in self.state_dict().values())

    def check_branch(self, branch: str | None) -> str:
        if branch is None:
            return self.branches[-1]
        if branch not in self.branches:
            raise ValueError(f"decoder {self.kind!r} has no branch {branch!r}; it has {', '.join(self.branches)}")
        return branch

    def _checked(self, codes: Tensor) -> Tensor:
        if codes.shape[-1] != self.code_size:
            raise ValueError(f"this decoder takes codes of {self.code_size} numbers, got {codes.shape[-1]}")
        return codes


def check_bytes(count: int, limit: int, remedy: str) -> None:
    """Refuse a network whose parameters would not fit, before a byte of it is allocated.

    Args:
        count: float32 numbers the network would hold.
        limit: bytes allowed.
        remedy: which config fields to make smaller.

    Raises:
        ValueError: count * 4 exceeds the limit; the text names both and the remedy.
    """
    if count * 4 > limit:
        raise ValueError(
            f"this decoder would hold {count:,} numbers = {count * 4 / 1e9:.2f} GB (training needs about four times "
            f"that), over the limit of {limit / 1e9:.2f} GB; {remedy}, or raise max_bytes"
        )


def activation(name: str):
    """The activation of that name, as a function of a tensor.

    Raises:
        ValueError: unknown name.
    """
    table = {
        "silu": nn.functional.silu,
        "softplus": lambda x: nn.functional.softplus(x, beta=100.0),
        "sine": lambda x: torch.sin(30.0 * x),
        "relu": nn.functional.relu,
    }
    if name not in table:
        raise ValueError(f"unknown activation {name!r}; choose one of {', '.join(table)}")
    return table[name]
