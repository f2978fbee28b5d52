"""Networks by name: the fields that are fitted to a scan without a latent space."""

from collections.abc import Mapping

from .fast_field import FastConfig
from .paper_fields import BallConfig, SineConfig

NetworkConfig = FastConfig | SineConfig | BallConfig
NETWORKS: Mapping[str, NetworkConfig] = {
    "fast": FastConfig(),
    "sine": SineConfig(),
    "softplus": BallConfig(),
    "relu": BallConfig(activation="relu"),
}
"""Networks by name."""
