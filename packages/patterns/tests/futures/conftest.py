"""Fixtures of the future tests: every channel in turn, real servers included."""

import os
import sys
import threading
from pathlib import Path

import pytest
from servers import MissingServerError, RedisServer

import psk
from psk import background
from psk_patterns import deferred_cleanup, leases
from psk_patterns.futures import watcher

# For `future_peers`, whose functions run in other processes.
sys.path.append(str(Path(__file__).parent))

ACROSS = ["file", "shm", "redis"]


@pytest.fixture(scope="session", autouse=True)
def future_server(tmp_path_factory):
    """A plain redis-server, or why there is none; here before any test, so that it is none's leak."""
    try:
        server = RedisServer(tmp_path_factory.mktemp("futures-redis"))
    except MissingServerError as error:
        yield error
        return
    with server:
        yield server


@pytest.fixture(scope="package", autouse=True)
def _threads_that_end_soon():
    # Each test waits for the threads that it started; nothing else depends on how long these linger.
    with pytest.MonkeyPatch.context() as patch:
        for module in (leases, deferred_cleanup, watcher, background):
            patch.setattr(module, "IDLE_SECONDS", 0.05)
        yield


@pytest.fixture
def address(tmp_path, future_server):
    """Give the URI of a new, empty channel: `address("file")`."""

    def give(kind):
        name = f"futures-{os.urandom(6).hex()}"
        if kind == "redis":
            if isinstance(future_server, Exception):
                (pytest.fail if os.environ.get("CI") else pytest.skip)(str(future_server))
            return f"{future_server.uri}?prefix={name}"
        return f"file://{tmp_path}/{name}" if kind == "file" else f"{kind}://{name}"

    return give


def opened(uri):
    """Open a store, and delete at the end what is left."""
    with psk.Store("futures", uri) as store:
        yield store
        left = psk.Store("left", uri)
        left.clear()
        left.close()
        psk.store.close_opened_stores()


@pytest.fixture(params=["local", *ACROSS])
def store(request, address):
    """An open store on each channel in turn."""
    yield from opened(address(request.param))


@pytest.fixture(params=ACROSS)
def shared_store(request, address):
    """An open store on each channel in turn that other processes reach."""
    yield from opened(address(request.param))


@pytest.fixture(params=["file", "redis"])
def pooled_store(request, address):
    """An open store on each channel in turn that processes do not hold which have used it."""
    yield from opened(address(request.param))


@pytest.fixture
def file_store(address):
    """An open store over files, for what does not depend on the channel."""
    yield from opened(address("file"))


@pytest.fixture
def soon():
    """Call something in another thread a little later: `soon(seconds, call, *arguments)`.

    Tests name it behind their store, so that the call is over before the store is closed.
    """
    timers = []

    def start(seconds, call, *arguments):
        timers.append(threading.Timer(seconds, call, arguments))
        timers[-1].start()

    yield start
    for timer in timers:
        timer.join()


@pytest.fixture
def unraisable(monkeypatch):
    """What nobody was there to catch."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    return seen
