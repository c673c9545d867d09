"""Which channels and pools do the tests of the executor use, each channel empty before and after a test?"""

import gc
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import pytest
from servers import MissingServerError, RedisServer

import psk
from psk_patterns import finishing
from psk_patterns.finishing import flush
from psk_patterns.leases import keeper, reopened

PATIENCE_SECONDS = 5.0
#: Where workers find the functions that tests submit.
sys.path.append(str(Path(__file__).parent))
from chores import leave  # noqa: E402  after the path to it

WORKERS = 2


@pytest.fixture(scope="session", autouse=True)  # before any test looks for what it leaves behind
def server(tmp_path_factory):
    """A Redis server for all tests; None where there is none to be had."""
    try:
        with RedisServer(tmp_path_factory.mktemp("redis")) as started:
            yield started
    except MissingServerError:
        yield None


def uri_on(server):
    """Name a new, empty channel on the server."""
    if server is None and os.environ.get("CI"):
        pytest.fail("no redis-server here; run `make servers`")
    if server is None:
        pytest.skip("no redis-server here; run `make servers`")
    return f"{server.uri}?prefix={os.urandom(6).hex()}"


@pytest.fixture
def open_store(tmp_path, server):
    """Open stores by channel name, as users do; when the test is over, each channel must be empty."""
    with ExitStack() as stack:

        def open_one(channel, **options):
            uris = {
                "file": lambda: f"file://{tmp_path}/objects",
                "redis": lambda: uri_on(server),
                "shm": lambda: "shm://",
            }
            uri = uris.get(channel, lambda: f"{channel}://test-{os.urandom(6).hex()}")()
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


@pytest.fixture(params=["file", "shm", "redis"])
def shared_store(request, open_store):
    """An open store on each channel in turn that other processes reach."""
    return open_store(request.param)


@pytest.fixture(scope="session", params=["fork", "spawn"])
def workers(request, server):
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
        patch.setattr(keeper, "IDLE_SECONDS", 0.02)
        patch.setattr(finishing, "IDLE_SECONDS", 0.02)
        yield
