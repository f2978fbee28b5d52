"""Rows of a run: bounded in number, spread over its progress."""

from __future__ import annotations

import pytest

from latentsdf.core.trace import Trace


@pytest.mark.parametrize("steps", [3, 200, 5000])
def test_rows_are_bounded_and_hold_both_ends(steps: int) -> None:
    trace = Trace(100)
    for step in range(1, steps + 1):
        trace.add({"progress": step / steps, "loss": float(step)})
    assert min(steps, 90) <= len(trace.rows) <= 102
    assert (trace.rows[0]["loss"], trace.rows[-1]["loss"]) == (1.0, float(steps))


def test_a_stage_begins_with_a_row_and_an_earlier_part_is_kept() -> None:
    earlier = [{"progress": 0.5, "stage": "codes"}]
    trace = Trace(10, earlier)
    for progress, stage in ((0.51, "codes"), (0.52, "all"), (0.53, "all"), (0.7, "all")):
        trace.add({"progress": progress, "stage": stage})
    assert [row["progress"] for row in trace.rows] == [0.5, 0.52, 0.7]
    assert len(earlier) == 1
