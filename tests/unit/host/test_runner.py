import threading

import pytest

from infra.local.host.functions import AuthLevel, HttpFunction
from infra.local.host.runner import Runner


def function(body) -> HttpFunction:
    return HttpFunction(
        name="f", argument="x", body=body, route="a", methods=frozenset(), auth_level=AuthLevel.ANONYMOUS
    )


def test_no_more_functions_run_at_once_than_there_are_threads():
    runner = Runner(threads=2, timeout_s=60, on_end=lambda: None)
    barrier = threading.Barrier(2, timeout=5)
    running: list[int] = []
    most: list[int] = []

    def work(x: int) -> None:
        running.append(x)
        barrier.wait()
        most.append(len(running))
        running.remove(x)

    for future in [runner.submit(function(work), number) for number in range(6)]:
        future.result()
    assert runner.stop(5)
    assert max(most) == 2


def test_a_function_is_overdue_when_its_time_limit_has_passed():
    runner = Runner(threads=1, timeout_s=0, on_end=lambda: None)
    release = threading.Event()
    future = runner.submit(function(lambda x: release.wait(5)), 1)
    assert runner.overdue() == ["f"]
    release.set()
    future.result()
    assert runner.stop(5)
    assert runner.overdue() == []


def test_stopping_cancels_what_waits_and_says_when_what_runs_did_not_end():
    runner = Runner(threads=1, timeout_s=60, on_end=lambda: None)
    started, release = threading.Event(), threading.Event()

    def work(x: int) -> None:
        started.set()
        release.wait(5)

    running, waiting = runner.submit(function(work), 1), runner.submit(function(work), 2)
    started.wait(5)
    assert not runner.stop(0.05)
    assert waiting.cancelled()
    release.set()
    assert running.result() is None


def test_nothing_is_taken_after_the_stop():
    runner = Runner(threads=1, timeout_s=60, on_end=lambda: None)
    runner.stop(0)
    with pytest.raises(RuntimeError):
        runner.submit(function(lambda x: None), 1)
