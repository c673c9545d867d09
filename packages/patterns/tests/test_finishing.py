"""Is what finalisers leave behind done, in another thread, without ever holding up anybody?"""

import gc
import subprocess
import sys
import threading
import time

import pytest

from faults.killer import Victim
from psk_patterns import finishing


@pytest.fixture
def ignored(monkeypatch):
    """What went to `sys.unraisablehook`."""
    seen = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    return seen


def finishing_threads():
    return [thread for thread in threading.enumerate() if thread.name == "psk-finishing"]


def test_calls_are_made_in_order_in_one_thread_that_ends():
    seen = []
    for number in range(100):
        finishing.later(seen.append, number)
    finishing.later(lambda: seen.append(threading.current_thread().name))
    assert finishing.flush(5)
    assert seen == [*range(100), "psk-finishing"]
    deadline = time.monotonic() + 5
    while finishing_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not finishing_threads()
    assert finishing.flush(0)


def test_an_error_is_reported_and_the_rest_is_done(ignored):
    seen = []
    finishing.later(lambda: 1 / 0)
    finishing.later(sys.exit, 3)
    finishing.later(seen.append, 1)
    assert finishing.flush(5)
    assert [report.exc_type for report in ignored] == [ZeroDivisionError, SystemExit]
    assert seen == [1]


def test_flushing_waits_no_longer_than_it_says():
    let_go = threading.Event()
    finishing.later(let_go.wait, 20)
    start = time.monotonic()
    assert not finishing.flush(0.1)
    assert time.monotonic() - start < 10
    let_go.set()
    assert finishing.flush(5)


def test_many_threads_and_finalisers_lose_nothing():
    seen = []

    class Finalised:
        def __init__(self):
            self.cycle = self

        def __del__(self):
            finishing.later(seen.append, 1)

    def make():
        for _ in range(500):
            Finalised()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert finishing.flush(10)
    assert len(seen) == 2000


def test_work_that_comes_just_when_the_thread_ends_is_done(monkeypatch):
    monkeypatch.setattr(finishing, "IDLE_SECONDS", 0.0001)
    for _ in range(300):
        done = threading.Event()
        finishing.later(done.set)
        assert done.wait(5)


def test_without_threads_nothing_is_raised_and_it_is_done_later(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    seen = []
    monkeypatch.setattr(finishing, "_line", finishing._Line())
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", refuse)
        finishing.later(seen.append, 1)
        assert seen == []
    finishing.later(seen.append, 2)
    assert finishing.flush(5)
    assert seen == [1, 2]


def test_without_threads_flushing_does_it_here_until_its_time_is_over(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    def take_all():
        seen.append(finishing.seconds_left(60) <= 0.05)
        time.sleep(finishing.seconds_left(60))

    seen = []
    monkeypatch.setattr(finishing, "_line", finishing._Line())
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", refuse)
        finishing.later(lambda: seen.append(threading.current_thread()))
        assert finishing.flush(5)
        finishing.later(take_all)
        finishing.later(seen.append, "late")
        assert not finishing.flush(0.05)
    assert seen == [threading.current_thread(), True]
    assert finishing.seconds_left(60) == 60
    assert finishing.flush(5)
    assert seen[2:] == ["late"]


def test_a_forked_child_does_nothing_of_what_its_parent_had_waiting():
    let_go, seen = threading.Event(), []
    finishing.later(let_go.wait, 20)
    finishing.later(seen.append, "the parent's")

    def run(report):
        finishing.later(seen.append, "the child's")
        report(f"{finishing.flush(5)} {seen}")

    assert Victim(run).join() == ['True ["the child\'s"]']
    let_go.set()
    assert finishing.flush(5)
    assert seen == ["the parent's"]


AT_EXIT = """
import atexit, sys, time, weakref
weakref.finalize(sys, str)  # older than psk: what is registered with it ends after what is registered below
from psk_patterns import finishing
say = sys.stdout.write
class Kept: pass
kept = Kept()
weakref.finalize(kept, lambda: finishing.later(say, "finalised\\n"))
atexit.register(finishing.later, say, "registered\\n")
say(f"end {{time.monotonic()}}\\n")
sys.stdout.flush()
finishing.later({last})
"""


@pytest.mark.parametrize(("last", "whole"), [("say, 'waiting\\n'", True), ("time.sleep, 30", False)])
def test_the_interpreter_finishes_at_its_exit_what_it_can_in_a_second(last, whole):
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", AT_EXIT.format(last=last)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    after = time.monotonic()
    lines = done.stdout.splitlines()
    (ended,) = (float(line.split()[1]) for line in lines if line.startswith("end"))
    assert ({"waiting", "registered", "finalised"} <= set(lines)) is whole
    assert ("ResourceWarning: not everything" in done.stderr) is not whole
    assert after - ended < 2
