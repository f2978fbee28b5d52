"""Networks of one shape: what a field is made of when a scan is fitted without a latent space."""

from collections.abc import Mapping

from .fast_field import FastConfig, FastField
from .fields import Field, LayeredField
from .forward_derivatives import Expansion
from .paper_fields import BallConfig, BallField, SineConfig, SineField

NetworkConfig = FastConfig | SineConfig | BallConfig

NETWORKS: Mapping[str, NetworkConfig] = {
    "fast": FastConfig(),
    "sine": SineConfig(),
    "softplus": BallConfig(),
    "relu": BallConfig(activation="relu"),
}
"""Networks by name."""

__all__ = [
    "NETWORKS",
    "BallConfig",
    "BallField",
    "Expansion",
    "FastConfig",
    "FastField",
    "Field",
    "LayeredField",
    "NetworkConfig",
    "SineConfig",
    "SineField",
]
