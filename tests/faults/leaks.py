"""Did a test leave a descriptor, thread, child, temporary file or piece of shared memory behind?"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

SETTLE_SECONDS = 3.0
MARKER = "psk"
#: Left to whoever runs a benchmark or an example beside the tests.
FOREIGN = ("psk-bench", "psk-example-", "psk-ray")


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


def strangers_hold(path):
    """Tell whether a process that does not descend from this one holds a lock on a file, as users of a session do."""
    try:
        inode = os.stat(path).st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return False
    holders = {int(fields[4]) for fields in locks if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}")}
    return bool(holders) and not any(is_ours(pid) for pid in holders)


def is_ours(pid):
    """Tell whether a process is this one or descends from it."""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return False


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
    """List what carries our name in shared memory, and in the temporary directory, which faults.temporary makes."""
    places = {"/dev/shm", tempfile.gettempdir()}
    return {
        f"file {place}/{name}"
        for place in places
        if os.path.isdir(place)
        for name in os.listdir(place)
        if name.startswith(MARKER) and not name.startswith(FOREIGN) and not strangers_hold(f"{place}/{name}")
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
