"""Nearest neighbours among codes, compared with a search by hand; inverted indices compared with exact search."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import random_linear

from latentsdf.core.frame import Frame
from latentsdf.space import nearest_vectors
from latentsdf.space.index import Index, Match
from latentsdf.space.inverted_index import InvertedIndex
from latentsdf.space.shape import Shape
from latentsdf.space.space import LatentSpace
from latentsdf.space.store import append, load, save


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


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count few vectors as many."""
    monkeypatch.setattr(nearest_vectors, "EXACT_UP_TO", 1000)


def recall(found: Sequence[Sequence[Match]], exact: Sequence[Sequence[Match]]) -> float:
    pairs = zip(found, exact, strict=True)
    hits = [len({m.name for m in one} & {m.name for m in other}) for one, other in pairs]
    return sum(hits) / sum(map(len, exact))


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("size", [16, 7])
def test_an_inverted_index_finds_nearly_all_and_the_same_distances(size):
    space = random_space(4000, size)
    index, queries = Index(space), list(torch.randn(100, size, generator=torch.Generator().manual_seed(2)))
    found, exact = index.search_all(queries, 10), index.search_all(queries, 10, among=space.names)
    assert recall(found, exact) > 0.95
    assert {len(near) for near in found} == {10}
    for one, other in zip(found, exact, strict=True):
        assert one[0].distance == pytest.approx(other[0].distance, rel=1e-5) or one[0].distance > other[0].distance
    assert index.search_all(["shape_7", "shape_3999"], 1) == [[Match("shape_7", 0.0)], [Match("shape_3999", 0.0)]]
    assert len(index.search(queries[0], k=4000)) > 3900
    prefixed = Index(space, prefix=size - 2).search_all(queries, 10)
    assert recall(prefixed, exact) > 0.9


@pytest.mark.usefixtures("large")
def test_an_index_is_kept_until_its_codes_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    built, build = [], InvertedIndex.of
    monkeypatch.setattr(InvertedIndex, "of", lambda vectors: built.append(len(vectors)) or build(vectors))
    path, query = tmp_path / "space.h5", torch.zeros(8)
    decoder = random_linear(8, 4)
    codes = torch.randn(1500, 8, generator=torch.Generator().manual_seed(0))
    shapes = [Shape(f"shape_{row}", code, Frame.identity(), decoder) for row, code in enumerate(codes)]
    save(LatentSpace(decoder, shapes), path)
    first = Index(load(path)).search(query, 10)
    assert Index(load(path)).search(query, 10) == first
    assert built == [1500]
    assert (tmp_path / "space.h5.index").exists()
    # A few new shapes are searched beside the index, also for the next opening.
    append(path, [replace(shapes[0], name="new", code=query + 1e-3)])
    assert Index(load(path)).search(query, 1)[0].name == "new"
    assert built == [1500]
    # Another code in an old row, many new rows and a damaged file each make it stale.
    append(path, [replace(shapes[3], code=query)], replace=True)
    assert Index(load(path)).search(query, 1) == [Match("shape_3", 0.0)]
    assert built == [1500, 1501]
    append(path, [replace(shape, name=f"more/{shape.name}") for shape in shapes[:500]])
    Index(load(path)).search(query, 1)
    assert built == [1500, 1501, 2001]
    with h5py.File(tmp_path / "space.h5.index", "r+") as file:
        data = np.array(file["code"])
        file["code"][...] = data ^ 1  # pyright: ignore[reportIndexIssue]
    Index(load(path)).search(query, 1)
    assert built == [1500, 1501, 2001, 2001]
    # What is not in the file is not kept beside it.
    space = load(path)
    space.add(replace(shapes[0], name="unsaved"))
    Index(space).search(query, 1)
    assert len(built) == 5
    Index(load(path)).search(query, 1)
    assert len(built) == 5
