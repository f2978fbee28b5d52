"""Principal components of a dataset that is larger than those they are computed from."""

import pytest
import torch

import latentsdf.training.pca as pca
from latentsdf.dataset.dataset import Dataset
from latentsdf.decoder.linear import LinearConfig, principal_components


def test_shapes_beyond_the_limit_are_projected(dataset: Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pca, "SHAPES", 5)
    decoder, codes = pca.fit_linear(dataset, LinearConfig(code_size=3, resolution=16))
    mean, basis, own = principal_components(dataset.lattices([0, 2, 4, 6, 8], 16), 3)
    torch.testing.assert_close(codes[::2], own, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(codes, (dataset.lattices(resolution=16).flatten(1) - mean) @ basis.T)
    assert torch.equal(decoder.basis.reshape(basis.shape), basis)
