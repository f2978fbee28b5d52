"""Exact nearest neighbours among codes, compared with a search by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from latentsdf.space.index import Index, Match


@dataclass(frozen=True)
class Coded:
    code: torch.Tensor


class Space(dict):
    @property
    def names(self):
        return tuple(self)

    def codes(self):
        return torch.stack([shape.code for shape in self.values()])

    def __missing__(self, name):
        raise KeyError(f"no shape named {name!r}; did you mean 'shape_1'?")


def space_of(codes):
    return Space({f"shape_{i}": Coded(code) for i, code in enumerate(codes)})


def random_space(count=300, size=64, seed=0):
    return space_of(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)))


def test_distances_are_euclidean_and_nearest_comes_first():
    space = space_of(torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    assert Index(space).search("shape_0", k=3) == [
        Match("shape_0", 0.0),
        Match("shape_2", 1.0),
        Match("shape_1", 5.0),
    ]


def test_every_code_is_found_again_exactly():
    space = random_space()
    index = Index(space)
    assert len(index) == 300
    for name in space.names:
        assert index.search(name, k=1) == [Match(name, 0.0)]


def test_same_as_a_search_by_hand():
    space = random_space()
    query = torch.randn(64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = (space.codes().double() - query).norm(dim=1)
    matches = Index(space).search(query, k=10)
    assert [match.name for match in matches] == [f"shape_{i}" for i in expected.argsort()[:10].tolist()]
    np.testing.assert_allclose([match.distance for match in matches], expected.sort().values[:10], rtol=1e-5)


def test_name_shape_and_code_are_one_query():
    space = random_space(20, 8)
    index = Index(space)
    code = space["shape_7"].code.clone().requires_grad_(True)
    assert index.search("shape_7") == index.search(space["shape_7"]) == index.search(code)
    assert len(index.search("shape_7")) == 5


def test_k_larger_than_the_space_gives_all():
    assert len(Index(random_space(4)).search("shape_0", k=100)) == 4


def test_bad_queries_and_spaces_are_refused():
    index = Index(random_space(10, 8))
    with pytest.raises(KeyError, match="did you mean 'shape_1'"):
        index.search("shpe_1")
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        index.search("shape_1", k=0)
    with pytest.raises(ValueError, match=r"shape \(9,\), this space takes \(8,\)"):
        index.search(torch.zeros(9))
    with pytest.raises(ValueError, match=r"shape \(1, 8\), this space"):
        index.search(torch.zeros(1, 8))
    with pytest.raises(ValueError, match="not finite"):
        index.search(torch.full((8,), torch.nan))
    with pytest.raises(ValueError, match="holds no shapes"):
        Index(Space())
    with pytest.raises(ValueError, match="code of 'shape_1' is not finite"):
        Index(space_of(torch.tensor([[0.0], [torch.inf]])))
