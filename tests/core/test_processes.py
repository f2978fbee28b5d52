"""The pool: answers, limits, crashes."""

import operator
import os
import time
from typing import Any

import pytest

from latentsdf.core.processes import Limits, LostTask, run_pool

GENEROUS = Limits(time=60.0, memory=4.0)


def test_every_task_is_answered_once():
    answers = dict(run_pool(operator.neg, range(7), 2, GENEROUS))
    assert answers == {task: -task for task in range(7)}


@pytest.mark.slow
def test_a_task_over_the_time_limit_is_lost_and_the_others_go_on():
    answers: dict[float, Any] = dict(run_pool(time.sleep, [0.0, 60.0, 0.01], 1, Limits(time=0.5, memory=4.0)))
    assert answers[0.0] is None
    assert answers[0.01] is None
    assert isinstance(answers[60.0], LostTask)
    assert "time limit: not done after 0.5 s" in answers[60.0].reason


def test_a_task_over_the_memory_limit_is_lost():
    [(_, loss)] = run_pool(operator.neg, [1], 1, Limits(time=60.0, memory=0.01))
    assert isinstance(loss, LostTask)
    assert "the limit is 0.01 GiB" in loss.reason


@pytest.mark.slow
def test_a_worker_that_dies_costs_one_task():
    answers = dict(run_pool(_exit_unless_zero, [0, 3], 1, GENEROUS))
    assert answers[0] == "alive"
    assert isinstance(answers[3], LostTask)
    assert "exit code 3" in answers[3].reason


def test_workers_have_one_thread_and_the_environment_is_restored():
    before = dict(os.environ)
    [(_, threads)] = run_pool(os.getenv, ["OMP_NUM_THREADS"], 1, GENEROUS)
    assert threads == "1"
    assert dict(os.environ) == before


def test_an_exception_of_the_consumer_stops_the_workers():
    pool = run_pool(time.sleep, [0.0, 60.0], 1, GENEROUS)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        next(pool)
        pool.throw(KeyboardInterrupt())


def _exit_unless_zero(code: int) -> str:
    if code:
        os._exit(code)
    return "alive"
