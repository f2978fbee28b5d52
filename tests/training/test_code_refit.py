"""The Gauss-Newton step on finished codes, where there is none to take."""

from __future__ import annotations

import torch

from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder import build_decoder
from latentsdf.decoder.volumes import VolumesConfig
from latentsdf.training.code_refit import refitted_codes


def test_codes_that_change_no_field_stay_as_they_are(dataset: Dataset) -> None:
    decoder = build_decoder(VolumesConfig(code_size=3)).eval().requires_grad_(False)
    for weights in decoder.parameters():
        weights.zero_()
    codes = torch.randn(len(dataset), 3, generator=torch.Generator().manual_seed(0))
    done: list[float] = []
    assert torch.equal(refitted_codes(decoder, codes, dataset, 0, done.append), codes)
    assert done[-1] == 1.0
