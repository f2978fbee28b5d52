"""Initial decoder and codes of a run: fresh, from principal components, or a warm start."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from ..dataset.dataset import Dataset
from ..decoder.base import Decoder
from ..decoder.kinds import build_decoder
from ..space.space import LatentSpace
from .config import TrainConfig
from .pca import pca_codes
from .start_codes import fitted_codes, nearest_codes, ordered_codes, suited_codes
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
            if config.suits_codes and len(dataset) > 1:
                codes.weight.copy_(_begin_suited(decoder, start, config, dataset))
            else:
                copy_weights(decoder, start.decoder)
                codes.weight.copy_(resize_codes(nearest_codes(start, dataset), decoder.code_size))
        elif config.start == "components" and len(dataset) > 1:
            codes.weight += pca_codes(dataset, decoder.code_size)
    return decoder.to(device), codes.to(device)


def _begin_suited(decoder: Decoder, start: LatentSpace, config: TrainConfig, dataset: Dataset) -> Tensor:
    """Give a decoder the weights of a start space and return codes (S, D), along axes that suit the dataset.

    Where codes are shorter than those of the space, the axes that matter most are kept.
    """
    copy_weights(decoder, start.decoder)
    size, whole = decoder.code_size, decoder
    if size < start.code_size:
        whole = copy.deepcopy(start.decoder)
    codes = fitted_codes(start, whole, dataset, config.seed)
    if size < start.code_size:
        turned = ordered_codes(whole, codes, start.codes(), dataset, config.seed)
        whole, codes = _restricted(whole, turned.directions[:size]), turned.codes[:, :size]
    suited = suited_codes(codes, dataset)
    decoder.load_state_dict(_restricted(whole, suited.directions).state_dict())
    return suited.codes


def _restricted(decoder: Decoder, directions: Tensor) -> Decoder:
    restricted = decoder.restricted(directions)
    assert restricted is not None
    return restricted


def _random_codes(count: int, size: int, seed: int) -> nn.Embedding:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codes = nn.Embedding(count, size, sparse=True)
        nn.init.normal_(codes.weight, 0.0, 1.0 / math.sqrt(size))
    return codes
