"""Learned reliability: a small network from the neighbourhood of a point to its weight in (0, 1).

The weights of the network lie beside this file; `benchmarks/train_reliability.py` made them, from virtual scans and
in its last stage through the adjoint of the solve. NeuralSSD (2025) balances points by reliability too; its form is
not published, so this one is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np

from ..core.arrays import Array
from .local_features import FEATURES, local_features

LEAST_WEIGHT = 1e-8
"""The least weight of a point, so that no equation vanishes."""
LEAST_POINTS = 50
"""Fewer points than this have no neighbourhoods to speak of; all of them get weight 1."""
DOUBT = 0.3
"""Points to which the network gives less count for nothing: where a stray lies in empty space nothing else holds the
field, and a hundredth of a weight is enough to make surface there."""


def learned_weights(points: Array, normals: Array | None = None) -> Array:
    """How far each point of a scan is to be trusted, by a small network on `local_features`.

    Args:
        points: (N, 3) in any frame.
        normals: (N, 3) unit normals that were given with the points; None when there are none. Normals estimated
            from the same points say nothing new and are not to be passed.

    Returns:
        (N,) from `DOUBT` to 1, or `FLOOR` for points that are not to count; 1 for each point of a scan of fewer than
        `LEAST_POINTS`.

    Example:
        >>> learned_weights(scan.points, scan.normals).shape == (len(scan),)
        True
    """
    if len(points) < LEAST_POINTS:
        return np.ones(len(points))
    weights = network_weights(local_features(points, normals), shipped_network())
    return np.where(weights < DOUBT, LEAST_WEIGHT, weights)


def network_weights(features: Array, network: Sequence[Array]) -> Array:
    """The weights (N,) in (0, 1) that a network gives to features (N, F).

    Args:
        features: of each point.
        network: means (F,) and deviations (F,) of the features, then a matrix (in, out) and a shift (out,) for each
            layer; rectified in between, a logistic function at the end.
    """
    mean, deviation, *layers = network
    state = (features - mean) / deviation
    for matrix, shift in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        state = np.maximum(state @ matrix + shift, 0.0)
    logit = (state @ layers[-2] + layers[-1])[:, 0]
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -15.0, 15.0)))


@cache
def shipped_network() -> tuple[Array, ...]:
    """The network that comes with the package, as `network_weights` takes it."""
    with (
        resources.files("latentsdf.scan").joinpath("reliability.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as kept,
    ):
        network = tuple(kept[f"part{number}"].astype(np.float64) for number in range(len(kept.files)))
    if network[0].shape != (FEATURES,):
        raise ValueError(f"reliability.npz was made for {len(network[0])} features, not {FEATURES}; train it again")
    return network
