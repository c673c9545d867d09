"""Run the calls that finalisers leave behind in another thread, without blocking the finaliser."""

import gc
import subprocess
import sys
import threading
import time

import pytest

from faults.killer import Victim
from psk_patterns import deferred_cleanup


@pytest.fixture
def ignored(monkeypatch):
    """What went to `sys.unraisablehook`."""
    seen = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    return seen


def cleanup_threads():
    return [thread for thread in threading.enumerate() if thread.name == "psk-cleanup"]


def test_calls_are_made_in_order_in_one_thread_that_ends():
    seen = []
    for number in range(100):
        deferred_cleanup.later(seen.append, number)
    deferred_cleanup.later(lambda: seen.append(threading.current_thread().name))
    assert deferred_cleanup.flush(5)
    assert seen == [*range(100), "psk-cleanup"]
    deadline = time.monotonic() + 5
    while cleanup_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not cleanup_threads()
    assert deferred_cleanup.flush(0)


def test_an_error_is_reported_and_the_rest_is_done(ignored):
    seen = []
    deferred_cleanup.later(lambda: 1 / 0)
    deferred_cleanup.later(sys.exit, 3)
    deferred_cleanup.later(seen.append, 1)
    assert deferred_cleanup.flush(5)
    assert [report.exc_type for report in ignored] == [ZeroDivisionError, SystemExit]
    assert seen == [1]


def test_flushing_waits_no_longer_than_it_says():
    let_go = threading.Event()
    deferred_cleanup.later(let_go.wait, 20)
    start = time.monotonic()
    assert not deferred_cleanup.flush(0.1)
    assert time.monotonic() - start < 10
    let_go.set()
    assert deferred_cleanup.flush(5)


def test_many_threads_and_finalisers_lose_nothing():
    seen = []

    class Finalised:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            deferred_cleanup.later(seen.append, 1)

    def make():
        for _ in range(500):
            Finalised()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert deferred_cleanup.flush(10)
    assert len(seen) == 2000


def test_work_that_comes_just_when_the_thread_ends_is_done(monkeypatch):
    monkeypatch.setattr(deferred_cleanup, "IDLE_SECONDS", 0.0001)
    for _ in range(300):
        done = threading.Event()
        deferred_cleanup.later(done.set)
        assert done.wait(5)


def test_without_threads_nothing_is_raised_and_it_is_done_later(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    seen = []
    monkeypatch.setattr(deferred_cleanup, "_cleanup", deferred_cleanup._Cleanup())
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", refuse)
        deferred_cleanup.later(seen.append, 1)
        assert seen == []
    deferred_cleanup.later(seen.append, 2)
    assert deferred_cleanup.flush(5)
    assert seen == [1, 2]


def test_without_threads_flushing_does_it_here_until_its_time_is_over(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    def take_all():
        seen.append(deferred_cleanup.seconds_left(60) <= 0.05)
        time.sleep(deferred_cleanup.seconds_left(60))

    seen = []
    monkeypatch.setattr(deferred_cleanup, "_cleanup", deferred_cleanup._Cleanup())
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", refuse)
        deferred_cleanup.later(lambda: seen.append(threading.current_thread()))
        assert deferred_cleanup.flush(5)
        deferred_cleanup.later(take_all)
        deferred_cleanup.later(seen.append, "late")
        assert not deferred_cleanup.flush(0.05)
    assert seen == [threading.current_thread(), True]
    assert deferred_cleanup.seconds_left(60) == 60
    assert deferred_cleanup.flush(5)
    assert seen[2:] == ["late"]


def test_a_forked_child_does_nothing_of_what_its_parent_had_waiting():
    let_go, seen = threading.Event(), []
    deferred_cleanup.later(let_go.wait, 20)
    deferred_cleanup.later(seen.append, "the parent's")

    def run(report):
        deferred_cleanup.later(seen.append, "the child's")
        report(f"{deferred_cleanup.flush(5)} {seen}")

    assert Victim(run).join() == ['True ["the child\'s"]']
    let_go.set()
    assert deferred_cleanup.flush(5)
    assert seen == ["the parent's"]


AT_EXIT = """
import atexit, sys, time, weakref
weakref.finalize(sys, str)  # older than psk: what is registered with it ends after what is registered below
from psk_patterns import deferred_cleanup
say = sys.stdout.write
class Kept: pass
kept = Kept()
weakref.finalize(kept, lambda: deferred_cleanup.later(say, "finalised\\n"))
atexit.register(deferred_cleanup.later, say, "registered\\n")
say(f"end {{time.monotonic()}}\\n")
sys.stdout.flush()
deferred_cleanup.later({last})
"""


@pytest.mark.parametrize(("last", "whole"), [("say, 'waiting\\n'", True), ("time.sleep, 30", False)])
def test_the_interpreter_finishes_at_its_exit_what_it_can_in_a_second(last, whole):
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", AT_EXIT.format(last=last)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    after = time.monotonic()
    lines = done.stdout.splitlines()
    (ended,) = (float(line.split()[1]) for line in lines if line.startswith("end"))
    assert ({"waiting", "registered", "finalised"} <= set(lines)) is whole
    assert ("ResourceWarning: not all objects" in done.stderr) is not whole
    assert after - ended < 2
