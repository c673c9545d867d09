"""Find descriptors, threads, children, temporary files and shared memory that a test left behind."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from faults.temporary import ROOT_VARIABLE, SHARED_MEMORY

#: A busy machine may need some of them; only a leak costs all.
SETTLE_SECONDS = 15.0
MARKER = "psk"


def descriptors():
    """List the open descriptors of this process as `number -> what it refers to`."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(f"descriptor {number} -> {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def threads():
    """List the Python threads that are alive."""
    return {f"thread {thread.name} ({thread.ident})" for thread in threading.enumerate()}


def children():
    """List the child processes, whichever thread started them."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found.update(f"child process {pid}" for pid in (task / "children").read_text().split())
        except OSError:
            continue  # the thread has just ended
    return found


def named_residue():
    """List what carries our name in the places of this run, which faults.temporary makes."""
    places = {os.environ.get(ROOT_VARIABLE, SHARED_MEMORY), tempfile.gettempdir()}
    return {
        f"file {place}/{name}"
        for place in places
        if os.path.isdir(place)
        for name in os.listdir(place)
        if name.startswith(MARKER)
    }


def snapshot():
    """List everything of this process that could leak."""
    if not os.path.isdir("/proc/self/fd"):
        return threads()
    return descriptors() | threads() | children() | named_residue()


def leaked_since(before):
    """List what is here now and was not `before`, after giving endings a moment to finish."""
    deadline = time.monotonic() + SETTLE_SECONDS
    left = snapshot() - before
    while left and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
        left = snapshot() - before
    return sorted(left)


def pytest_sessionstart():
    # multiprocessing keeps one tracker process per program, by design: it must not count as a test's leak.
    resource_tracker.ensure_running()


@pytest.fixture(autouse=True)
def _no_leaks():
    before = snapshot()
    yield
    left = leaked_since(before)
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
