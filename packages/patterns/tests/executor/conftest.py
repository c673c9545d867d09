"""Channels and pools of the executor tests, each channel empty before and after a test."""

import gc
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import pytest

import psk
from psk_patterns import deferred_cleanup, leases
from psk_patterns.deferred_cleanup import flush
from psk_patterns.leases import reopened

PATIENCE_SECONDS = 5.0
#: Where workers find the functions that tests submit.
sys.path.append(str(Path(__file__).parent))
from chores import leave  # noqa: E402  after the path to it

WORKERS = 2
#: How the workers of `make test` are started, by channel; `make soak` tries both ways on each.
STARTED_BY = {"file": "fork", "shm": "spawn", "redis": "fork"}


@pytest.fixture
def open_store(uri_of):
    """Open stores by channel name, as users do; when the test is over, each channel must be empty."""
    with ExitStack() as stack:

        def open_one(channel, **options):
            # Memory of this process, not a session that workers could open anew when it is over.
            uri = "shm://" if channel == "shm" else uri_of(channel)
            opened = stack.enter_context(psk.Store(f"executing-{os.urandom(6).hex()}", uri, register=True, **options))
            stack.callback(check_empty, opened)
            return opened

        yield open_one
        psk.store.close_opened_stores()


def check_empty(store):
    """Fail if there is an object left; those that a finaliser evicts have a moment."""
    end = time.monotonic() + PATIENCE_SECONDS
    with reopened(store) as own:
        while (left := own.list()) and time.monotonic() < end:
            gc.collect()
            flush()
            time.sleep(0.01)
        own.clear()
    assert left == []


@pytest.fixture(params=["local", "file", "shm", "redis"])
def store(request, open_store):
    """An open store on each channel in turn."""
    return open_store(request.param)


@pytest.fixture(params=STARTED_BY)
def shared_store(request, open_store):
    """An open store on each channel in turn that other processes reach."""
    method = request.node.callspec.params.get("workers")
    if method not in {None, STARTED_BY[request.param]} and os.environ.get("PSK_SCALE") != "soak":
        pytest.skip("the same channel with workers started the other way: tried by `make soak`")
    return open_store(request.param)


@pytest.fixture(scope="session", params=["fork", "spawn"])
def workers(request, patterns_server):
    """A pool of processes for all tests, for it takes its time to start."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context(request.param)) as started:
        # All of them, before any test looks for what it leaves behind.
        list(started.map(time.sleep, [0.2] * 2 * WORKERS))
        yield started


@pytest.fixture
def pool(workers, open_store):
    """The same for one test, after which the processes close the stores that they opened; none is to break it."""
    yield workers
    left = set()
    while len(left) < WORKERS:
        left.update(workers.map(leave, [0.02] * WORKERS))


@pytest.fixture(autouse=True, scope="module")
def _short_of_patience():
    # The threads end when there is nothing to do; each test waits for that.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "IDLE_SECONDS", 0.02)
        patch.setattr(deferred_cleanup, "IDLE_SECONDS", 0.02)
        yield
