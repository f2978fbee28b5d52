"""Learned reliability: a small network from the neighbourhood of a point to its weight in (0, 1).

`reliability.npz` beside this file holds the network, trained by `benchmarks/train_reliability.py` on virtual scans and
in its last stage through the adjoint of the solve. NeuralSSD (2025) weighs points by reliability too, in a form that is
not published; this one is the library's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np

from ..core.arrays import Array
from .local_features import FEATURES, local_features

LEAST_WEIGHT = 1e-8
"""Least weight of a point, so that no equation vanishes."""
LEAST_POINTS = 50
"""Fewer points have no meaningful neighbourhoods: each gets weight 1."""
CUTOFF = 0.3
"""Weights below this become `LEAST_WEIGHT`: around an outlier in empty space nothing else constrains the field, and a
hundredth of a weight is enough to make surface there."""


def learned_weights(points: Array, normals: Array | None = None) -> Array:
    """Estimate the reliability of each point of a scan by a small network on `local_features`.

    Args:
        points: (N, 3) in any frame.
        normals: (N, 3) unit normals that were given with the points; None when there are none. Do not pass
            normals estimated from the same points: they add no information.

    Returns:
        (N,) from `CUTOFF` to 1, or `LEAST_WEIGHT` for points that are rejected; 1 for each point of a scan of fewer
        than `LEAST_POINTS`.

    Example:
        >>> learned_weights(scan.points, scan.normals).shape == (len(scan),)
        True
    """
    if len(points) < LEAST_POINTS:
        return np.ones(len(points))
    weights = network_weights(local_features(points, normals), shipped_network())
    return np.where(weights < CUTOFF, LEAST_WEIGHT, weights)


def network_weights(features: Array, network: Sequence[Array]) -> Array:
    """Weights (N,) in (0, 1) of features (N, F): a perceptron with rectified layers and a logistic output.

    Args:
        features: of each point.
        network: means (F,) and deviations (F,) of the features, then a matrix (in, out) and a bias (out,) per layer.
    """
    mean, deviation, *layers = network
    state = (features - mean) / deviation
    for matrix, bias in zip(layers[:-2:2], layers[1:-2:2], strict=True):
        state = np.maximum(state @ matrix + bias, 0.0)
    logit = (state @ layers[-2] + layers[-1])[:, 0]
    return 1.0 / (1.0 + np.exp(-np.clip(logit, -15.0, 15.0)))


@cache
def shipped_network() -> tuple[Array, ...]:
    """Load the network of the package: means and deviations (F,), matrices and shifts, as `network_weights` takes it.

    Raises:
        ValueError: its file was made for other features.
    """
    with (
        resources.files("latentsdf.scan").joinpath("reliability.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as parts,
    ):
        network = tuple(parts[f"part{number}"].astype(np.float64) for number in range(len(parts.files)))
    if network[0].shape != (FEATURES,):
        raise ValueError(f"reliability.npz was made for {len(network[0])} features, not {FEATURES}; train it again")
    return network
