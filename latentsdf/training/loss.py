"""Loss of signed distances in training."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import TRUNCATION, TrainConfig


def distance_loss(predicted: Tensor, true: Tensor, config: TrainConfig) -> Tensor:
    """Error of truncated distances, plus a little of the untruncated error.

    soft: mean |r| + tail mean r^2 + far_weight mean |s - t| with r = tau tanh(s / tau) - tau tanh(t / tau). It has a
    gradient however far off the prediction is; the squared part grows where a whole part of the surface is missing or
    made up, which the absolute error alone gives up for a better fit elsewhere. clamp: mean |clamp(s, -tau, tau) -
    clamp(t, -tau, tau)|, DeepSDF's released loss, which has none where both sides lie beyond the clamp.

    Args:
        predicted, true: (S, N) signed distances s and t.
        config: the kind of truncation, and the weights of the squared and of the untruncated error.

    Returns:
        A scalar.
    """
    tau = TRUNCATION
    if config.truncate == "clamp":
        return (predicted.clamp(-tau, tau) - true.clamp(-tau, tau)).abs().mean()
    error = tau * (torch.tanh(predicted / tau) - torch.tanh(true / tau))
    loss = error.abs().mean()
    if config.tail:
        loss = loss + config.tail * error.square().mean()
    return loss + config.far_weight * (predicted - true).abs().mean() if config.far_weight else loss
