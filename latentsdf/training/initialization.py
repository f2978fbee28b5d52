"""Initial decoder and codes of a run: fresh, from principal components, or a warm start."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.kinds import build_decoder
from ..space.space import LatentSpace
from .config import TrainConfig
from .pca import pca_codes
from .start_codes import fitted_codes, nearest_codes, suited_codes
from .warm_start import copy_weights, resize_codes


def fresh_decoder(config: TrainConfig) -> Decoder:
    """A decoder initialised from the seed of the run alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return build_decoder(config.decoder)


def initial_state(
    dataset: Dataset, config: TrainConfig, start: LatentSpace | None, device: torch.device
) -> tuple[Decoder, nn.Embedding]:
    """The decoder and the table of codes that a run begins with.

    Fresh codes are N(0, 1 / D), as DeepSDF's; principal components are added to them.

    Args:
        dataset: the shapes, aligned as they are trained.
        config: of the run.
        start: `start_space(config)`.
        device: of the result.

    Returns:
        Decoder, and codes (S, D).

    Raises:
        ValueError: the start space's decoder is of another form than the config's, or it holds no shapes.
    """
    decoder = fresh_decoder(config)
    codes = _random_codes(len(dataset), decoder.code_size, config.seed + 1)
    with torch.no_grad():
        if start is not None:
            copy_weights(decoder, start.decoder)
            if config.suits_codes and len(dataset) > 1:
                codes.weight.copy_(_suit(decoder, fitted_codes(start, decoder, dataset, config.seed), dataset))
            else:
                codes.weight.copy_(resize_codes(nearest_codes(start, dataset), decoder.code_size))
        elif config.start == "components" and len(dataset) > 1:
            codes.weight += pca_codes(dataset, decoder.code_size)
    return decoder.to(device), codes.to(device)


def _suit(decoder: Decoder, codes: Tensor, dataset: Dataset) -> Tensor:
    """Turn the codes (S, D) of a decoder to axes that suit the dataset, and its weights so that fields stay."""
    codes, directions = suited_codes(codes, dataset)
    turned = decoder.restricted(directions)
    assert turned is not None
    decoder.load_state_dict(turned.state_dict())
    return codes


def _random_codes(count: int, size: int, seed: int) -> nn.Embedding:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codes = nn.Embedding(count, size, sparse=True)
        nn.init.normal_(codes.weight, 0.0, 1.0 / math.sqrt(size))
    return codes
