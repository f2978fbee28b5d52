"""Loss of signed distances in training."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import TRUNCATION, TrainConfig


def distance_loss(predicted: Tensor, true: Tensor, config: TrainConfig) -> Tensor:
    """Mean absolute error of truncated distances, plus a little of the untruncated error.

    soft: mean |tau tanh(s / tau) - tau tanh(t / tau)| + far_weight mean |s - t|, which has a gradient however far off
    the prediction is. clamp: mean |clamp(s, -tau, tau) - clamp(t, -tau, tau)|, DeepSDF's released loss, which has none
    where both sides lie beyond the clamp.

    Args:
        predicted, true: (S, N) signed distances s and t.
        config: the kind of truncation, and the weight of the untruncated error.

    Returns:
        A scalar.
    """
    tau = TRUNCATION
    if config.truncate == "clamp":
        return (predicted.clamp(-tau, tau) - true.clamp(-tau, tau)).abs().mean()
    near = tau * (torch.tanh(predicted / tau) - torch.tanh(true / tau)).abs().mean()
    return near + config.far_weight * (predicted - true).abs().mean() if config.far_weight else near
