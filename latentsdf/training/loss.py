"""The loss of signed distances that training lowers."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import TrainConfig


def distance_loss(predicted: Tensor, true: Tensor, config: TrainConfig) -> Tensor:
    """Mean absolute error of truncated distances, plus a little of the untruncated error.

    The soft form compares tau * tanh(s / tau), which has a gradient however far the prediction is off; the clamped
    form is DeepSDF's released loss, which has none where both sides lie beyond the clamp.

    Args:
        predicted, true: (S, N) signed distances.
        config: truncation, its kind, and the weight of the untruncated error.

    Returns:
        A scalar.
    """
    tau = config.truncation
    if config.truncate == "clamp":
        return (predicted.clamp(-tau, tau) - true.clamp(-tau, tau)).abs().mean()
    near = tau * (torch.tanh(predicted / tau) - torch.tanh(true / tau)).abs().mean()
    return near + config.far_weight * (predicted - true).abs().mean() if config.far_weight else near
