"""The DeepSDF decoder, the baseline of auto-decoders (Park et al., CVPR 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from .base import Decoder, activation, check_bytes


@dataclass(frozen=True, kw_only=True)
class DeepSDFConfig:
    """Architecture of a DeepSDF network; all defaults but the code size are those of the paper."""

    trained: ClassVar[Literal[True]] = True
    """Whether gradient descent trains the decoder; a linear one is computed in closed form."""
    code_size: int = 64
    """Numbers per shape (D). Larger keeps more detail until it saturates; smaller is more compact."""
    width: int = 512
    """Units per hidden layer. Larger is slower, quadratically."""
    depth: int = 8
    """Hidden layers; the middle one takes the input again."""
    dropout: float = 0.2
    """Fraction of units dropped in training. Larger regularises more."""
    activation: str = "relu"
    """`relu` as published; `softplus` has second derivatives."""
    max_bytes: int = 2_000_000_000
    """Limit of the size of the parameters, checked before they are allocated."""

    def __post_init__(self) -> None:
        if self.code_size < 1:
            raise ValueError(f"code_size must be at least 1, got {self.code_size}")
        if self.depth < 2 or self.width < self.code_size + 4:
            raise ValueError(
                f"DeepSDF needs depth >= 2 and width >= code_size + 4, got depth {self.depth}, width {self.width}, "
                f"code_size {self.code_size}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        activation(self.activation)


class DeepSDF(Decoder):
    """Fully connected auto-decoder with one skip, weight normalisation, dropout and a tanh (Park et al., CVPR 2019).

    The products of the code with the first and the middle layer are computed once per shape.
    """

    kind: ClassVar[str] = "deepsdf"
    branches: ClassVar[tuple[str, ...]] = ("sdf",)

    def __init__(self, config: DeepSDFConfig):
        super().__init__()
        check_bytes(config.width**2 * config.depth, config.max_bytes, "make width or depth smaller")
        self.config = config
        self.code_size = config.code_size
        self.act = activation(config.activation)
        inputs = config.code_size + 3
        self.skip: int = config.depth // 2
        layers = []
        for i in range(config.depth):
            size_in = inputs if i == 0 else config.width
            size_out = config.width - inputs if i == self.skip - 1 else config.width
            layers.append(parametrizations.weight_norm(nn.Linear(size_in, size_out)))
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear(config.width, 1)

    def prepare(self, codes: Tensor) -> Any:
        """Weights of all layers, and the shifts by which codes (S, D) enter the first and the middle one."""
        weights: list[tuple[Tensor, Tensor]] = []
        for i, layer in enumerate(self.layers):
            weight, bias = cast(Tensor, layer.weight), cast(Tensor, layer.bias)
            if i in (0, self.skip):
                start = weight.shape[1] - self.code_size - 3
                bias = functional.linear(codes, weight[:, start : start + self.code_size], bias)[:, None]
                weight = torch.cat([weight[:, :start], weight[:, -3:]], dim=1)
            weights.append((weight, bias))
        return weights

    def query(self, state: Any, points: Tensor, branch: str) -> Tensor:
        """Signed distances (S, N), within (-1, 1)."""
        hidden = points
        for i, (weight, shift) in enumerate(state):
            if i == self.skip:
                hidden = torch.cat([hidden, points], dim=-1)
            hidden = self.act(functional.linear(hidden, weight) + shift)
            hidden = functional.dropout(hidden, self.config.dropout, self.training)
        return torch.tanh(self.out(hidden)[..., 0])

    def smooth(self, branch: str) -> bool:
        """True unless the activation is ReLU."""
        return self.config.activation != "relu"

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """One group: the network."""
        return {"network": list(self.parameters())}
