"""Code that comes in between: finalisers and signal handlers may use a store wherever they find its thread."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from faults.interrupts import elsewhere, finalised_in
from psk import Proxy, Store, register_codec
from psk.connectors.local import LocalConnector
from psk.connectors.reaper import Reaper
from psk.singleflight import SingleFlight
from psk.wire import Codec

SIGNALLED = Path(__file__).with_name("signalled.py")


class Remote(LocalConnector):
    """A local channel in whose gets something comes in between, as the garbage collector may."""

    in_memory = False
    between = None

    def get(self, key, **options):
        between, Remote.between = Remote.between, None
        if between is not None:
            between()
        return super().get(key, **options)


@pytest.fixture
def remote():
    with Store("remote", Remote()) as store:
        yield store
        store.clear()


def test_who_comes_in_between_gets_what_is_being_fetched(remote):
    key, seen = remote.put([1, 2]), []
    Remote.between = lambda: seen.append(remote.get(key))
    assert elsewhere(lambda: remote.get(key)) == [1, 2]
    assert seen == [[1, 2]]


def test_who_comes_in_between_resolves_what_is_being_resolved(remote):
    proxy, seen = remote.proxy([1, 2], evict=True), []
    Remote.between = lambda: seen.append(list(proxy))
    assert elsewhere(lambda: list(proxy)) == [1, 2]
    assert seen == [[1, 2]]


def test_threads_that_come_in_between_each_other_do_not_wait_in_a_ring():
    flights, both = SingleFlight(), threading.Barrier(2, timeout=10)

    def lead(own, other):
        def work():
            both.wait()
            return own + flights.run(other, lambda: other)

        return flights.run(own, work)

    results = []
    thread = threading.Thread(target=lambda: results.append(lead("a", "b")))
    thread.start()
    results.append(elsewhere(lambda: lead("b", "a")))
    thread.join(10)
    # One of them sees the ring, and does the other's work; that one gets the result, or does so too.
    assert {result[0] for result in results} == {"a", "b"}
    assert not flights._flights


class Untidy:
    """Uses a store as it goes."""

    def __init__(self, go):
        self.go = go

    def __del__(self):
        self.go()


@pytest.mark.parametrize("leave", ["evict", "clear", "crowd out"])
def test_an_object_that_leaves_the_cache_may_use_it(leave):
    def make_it_leave():
        if leave == "evict":
            store.evict(key)
        elif leave == "clear":
            store.clear()
        else:
            for number in range(4):
                store.get(store.put([number]))

    seen = []
    name = f"test-{os.urandom(4).hex()}"
    register_codec(Codec(name, lambda _: [b"x"], lambda _: Untidy(lambda: seen.append(store.get(other)))))
    with Store("objects", "local://objects", cache="objects", cache_size=2) as store:
        other = store.put([1])
        key = store.put(1, serializer=name)
        store.get(key)
        elsewhere(make_it_leave)
        assert seen == [[1]] if leave != "clear" else len(seen) == 1
        assert len(store._reader.cache.entries) <= 2
        store.clear()
        assert store._reader.cache.nbytes == 0


def test_a_factory_that_uses_its_own_proxy_is_told_so_soon():
    calls = []

    def factory():
        calls.append(1)
        return len(proxy)

    proxy = Proxy(factory)
    with pytest.raises(Exception, match="uses the proxy that it is asked to resolve"):
        str(proxy)
    assert len(calls) < 10


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scheme", ["local", "file", "shm"])
def test_a_signal_handler_may_use_the_store_that_it_interrupts(scheme, tmp_path, scale):
    uri = f"file://{tmp_path}/objects" if scheme == "file" else f"{scheme}://signalled-{os.getpid()}"
    command = [sys.executable, str(SIGNALLED), uri, str(scale("interrupts.signals"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_finaliser_in_the_reaper_that_starts_waits_for_no_lock():
    class Owner:
        def reap(self):
            return None

    reaper, owner = Reaper(), Owner()
    with finalised_in("psk-reaper", lambda: reaper.forget(Owner())) as finished:
        reaper.watch(owner, time.monotonic())
    assert finished == ["psk-reaper"]


def test_a_reaper_that_another_one_replaces_ends():
    class Owner:
        is_reaped = False

        def reap(self):
            self.is_reaped = True

    reaper, owner, once = Reaper(), Owner(), iter([True])
    # Another call starts a second thread while the first has not started yet.
    with finalised_in("psk-reaper", lambda: next(once, None) and reaper.watch(owner, time.monotonic())) as finished:
        reaper.watch(owner, time.monotonic() + 0.2)
    assert len(finished) == 2
    deadline = time.monotonic() + 10
    while not owner.is_reaped or any(thread.name == "psk-reaper" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
