"""Suggestions for unknown names, among few and among many."""

from __future__ import annotations

import pytest

from latentsdf.core.names import FEW, UnknownShape, nearest_name

FEW_NAMES = ("chair/000123", "lamp/000123", "chair/000456")
MANY = tuple(f"{kind}/{number:06d}" for kind in ("chair", "lamp", "gear") for number in range(FEW))


@pytest.mark.parametrize("names", [FEW_NAMES, MANY])
@pytest.mark.parametrize("known", [False, True])
def test_one_edit_is_undone(names: tuple[str, ...], known: bool) -> None:
    for wrong in ("chiar/000123", "chair/00x0123", "cchair/000123", "Chair/000123"):
        assert nearest_name(wrong, names, frozenset(names) if known else None) == "chair/000123", wrong


def test_more_edits_find_a_name_that_is_like_it() -> None:
    found = nearest_name("chiar/0001x23", MANY)
    assert found is not None
    assert found.startswith(("chair/", "gear/"))
    assert str(nearest_name("lmp/001999x", MANY)).startswith("lamp/0019")
    assert nearest_name("????", MANY) is None
    assert nearest_name("", MANY) is None


def test_the_message_says_where_it_was_looked_for() -> None:
    assert str(UnknownShape("lmap/000123", FEW_NAMES, "s.h5")) == (
        "no shape named 'lmap/000123' in s.h5; did you mean 'lamp/000123'? (3 shapes)"
    )
    assert str(UnknownShape("?", MANY, "s.h5")) == "no shape named '?' in s.h5; (6000 shapes)"
