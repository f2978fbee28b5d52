"""Values derived from a space: made once, and again when its weights or codes are others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from latentsdf.space.derived import DerivedValues
from latentsdf.space.store import load


def test_a_value_is_made_once_until_a_weight_changes() -> None:
    decoder = torch.nn.Linear(2, 2)
    derived, made = DerivedValues(decoder), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [derived.get("a", make, of_codes=False) for _ in range(3)] == [1, 1, 1]
    with torch.no_grad():
        decoder.weight.mul_(2.0)
    assert derived.get("a", make, of_codes=False) == 2
    decoder.bias = torch.nn.Parameter(torch.zeros(2))
    assert derived.get("a", make, of_codes=False) == 3
    assert derived.get("b", make, of_codes=False) == 4


def test_other_codes_make_only_what_was_made_of_codes_again() -> None:
    derived = DerivedValues(torch.nn.Linear(1, 1))
    first = [derived.get(key, object, of_codes=key == "codes") for key in ("codes", "weights")]
    derived.codes_changed()
    again = [derived.get(key, object, of_codes=key == "codes") for key in ("codes", "weights")]
    assert again[0] is not first[0]
    assert again[1] is first[1]


def test_the_last_used_values_are_kept() -> None:
    derived = DerivedValues(torch.nn.Linear(1, 1))
    first = derived.get("first", object, of_codes=False)
    for number in range(10):
        derived.get(str(number), object, of_codes=False)
        assert derived.get("first", object, of_codes=False) is first
    assert derived.get("0", lambda: "made again", of_codes=False) == "made again"


def test_a_space_forgets_what_was_made_of_its_codes_when_a_shape_is_added(space_path: Path) -> None:
    space = load(space_path)
    first = space.derived.get("codes", space.codes, of_codes=True)
    space.add(replace(space[space.names[0]], name="another"))
    again = space.derived.get("codes", space.codes, of_codes=True)
    assert len(again) == len(first) + 1
