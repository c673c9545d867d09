"""A forked child has copies of its parent's futures, without their claims."""

import subprocess
import sys
import time

import pytest

from faults.killer import Victim
from psk_patterns import future
from psk_patterns.errors import FutureClaimedError, FutureTimeoutError


def try_to_set(report, made):
    try:
        made.set_result("child")
    except FutureClaimedError:
        report("refused")


def test_a_child_has_no_claim_of_its_parent(shared_store):
    made = future(shared_store, ttl=0.5)
    made.claim()
    assert Victim(try_to_set, made).join() == ["refused"]
    assert made.running()
    made.set_result("parent")
    assert made.result(5) == "parent"
    made.release()
    assert shared_store.list() == []


def drop(report, made):
    held = made.pop()
    del held
    time.sleep(0.1)
    report("dropped")


def test_a_child_that_forgets_or_ends_ends_no_claim(file_store):
    made = future(file_store, ttl=0.3)
    made.claim()
    assert Victim(drop, [made]).join() == ["dropped"]
    with pytest.raises(FutureTimeoutError, match="alive"):
        made.result(0.6)
    made.set_result(1)
    made.release()


def set_and_wait(report, mine, theirs):
    called = []
    mine.add_done_callback(called.append)
    mine.set_result("child")
    report(theirs.result(20))
    end = time.monotonic() + 10
    while not called and time.monotonic() < end:
        time.sleep(0.01)
    report(f"{len(called)} called")


def test_a_child_waits_and_produces_while_its_parent_does(shared_store):
    mine, theirs, called = future(shared_store), future(shared_store), []
    mine.add_done_callback(called.append)
    time.sleep(0.1)
    child = Victim(set_and_wait, mine, theirs)
    assert mine.result(20) == "child"
    theirs.set_result("parent")
    assert child.join() == ["parent", "1 called"]
    end = time.monotonic() + 10
    while not called and time.monotonic() < end:
        time.sleep(0.01)
    assert called == [mine], "the child calls no callback of its parent's"
    mine.release()
    theirs.release()
    assert shared_store.list() == []


EXIT = """
import sys, threading, time
from psk import Store
from psk_patterns import future
store = Store("exit", sys.argv[1])
claimed, watched, awaited = future(store), future(store), future(store)
claimed.claim()
watched.add_done_callback(print)
threading.Thread(target=awaited.result, daemon=True).start()
time.sleep(0.2)
print(time.time())
"""


def test_no_thread_delays_the_end_of_the_interpreter(file_store):
    command = [sys.executable, "-c", EXIT, file_store.uri]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    took = time.time() - float(done.stdout or 0)
    assert (done.returncode, done.stderr) == (0, "")
    assert took < 1.5, "a second of grace, and the end of a process"
