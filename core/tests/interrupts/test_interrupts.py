"""Interrupts at any instant: no key, proxy, lock or cache is left in a state that fails or hangs others."""

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from faults.interrupts import steps
from psk import Proxy, Store, parallel
from psk.singleflight import SingleFlight

BOMBARDED = Path(__file__).with_name("bombarded.py")


def check_flight(flights):
    assert flights.run("key", lambda: "value", timeout=1) == "value"
    assert not flights._flights


def test_an_interrupt_at_any_instant_leaves_no_flight():
    def fly(flights):
        assert flights.run("key", lambda: "value", share=str) == "value"

    count, amiss = steps(fly, SingleFlight, check_flight)
    assert count > 20
    assert amiss == {}


def test_the_stepping_finds_a_planted_window():
    class Planted(SingleFlight):
        """Registers its flight before the block that removes it."""

        def run(self, key, work, **options):
            if self._flights.setdefault(key, own := object()) is not own:
                raise RuntimeError("poisoned")
            try:
                return work()
            finally:
                self.land(key)

        def land(self, key):
            self._flights.pop(key)

    _, amiss = steps(lambda flights: flights.run("key", str), Planted, check_flight, where=__file__)
    # Between the first step and the block, and at the start of the function that ends it.
    assert len(amiss) >= 2
    assert {str(error) for error in amiss.values()} == {"poisoned"}


def test_an_interrupt_at_any_instant_leaves_those_who_wait_their_result():
    def follow(flights):
        waiting = threading.Event()

        def work():
            waiting.set()
            return "other"

        def wait_and_follow():
            begun.wait(5)
            results.append(flights.run("key", work, timeout=5))

        begun, results = threading.Event(), []
        follower = threading.Thread(target=wait_and_follow)
        follower.start()

        def lead():
            begun.set()
            while not next(iter(flights._flights.values())).waiters:
                pass
            return "value"

        try:
            flights.run("key", lead, timeout=5)
        finally:
            begun.set()
            follower.join(10)
            assert results[0] in {"value", "other"}

    count, amiss = steps(follow, SingleFlight, check_flight, stride=3, where="psk/singleflight")
    assert count > 5
    assert amiss == {}


def test_an_interrupt_at_any_instant_leaves_a_proxy_usable():
    def check(proxy):
        assert len(proxy) == 2
        assert list(proxy) == [1, 2]
        assert not callable(proxy)

    count, amiss = steps(list, lambda: Proxy(lambda: [1, 2]), check)
    assert count > 30
    assert amiss == {}


@pytest.mark.parametrize("operation", ["put", "get"])
@pytest.mark.parametrize("scheme", ["file", "shm"])
def test_an_interrupt_at_any_instant_leaves_no_file_open(scheme, operation, tmp_path):
    uri = f"file://{tmp_path}/objects" if scheme == "file" else f"shm://opened-{os.urandom(4).hex()}"
    operations = {"put": lambda store: store.put([1]), "get": lambda store: store.get(key)}

    with Store("opened", uri, cache_size=0) as store:
        key = store.put([1])
        operations[operation](store)
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        count, amiss = steps(operations[operation], lambda: store, lambda _: None, where="/psk/connectors/")
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before
        assert count > 50
        assert amiss == {}
        store.clear()


@pytest.mark.parametrize("scheme", ["file", "shm"])
def test_an_interrupt_at_any_instant_of_a_large_put_keeps_nothing_of_the_caller(scheme, tmp_path, monkeypatch, scale):
    monkeypatch.setattr(parallel, "usable_cores", lambda: 4)
    uri = f"file://{tmp_path}/objects" if scheme == "file" else f"shm://large-{os.urandom(4).hex()}"

    def check(data):
        data.append(1)  # BufferError if anything still holds it
        assert bytes(store.get(key)[-3:]) == b"end"

    with Store("large", uri, cache_size=0) as store:
        key = store.put(bytearray(5_000_000) + b"end")
        stride = max(scale("interrupts.stride") // 10, 1)
        copying = "psk/connectors/" + {"file": "directory/writing", "shm": "shm/mapping"}[scheme]
        for where in ("psk/parallel", "psk/wire/payload", copying):
            count, amiss = steps(store.put, lambda: bytearray(5_000_000), check, where=where, stride=stride)
            assert count > 5
            assert amiss == {}
        store.clear()


def bombard(manner, scheme, tmp_path, *counts):
    uri = f"file://{tmp_path}/objects" if scheme == "file" else f"{scheme}://interrupted-{os.urandom(4).hex()}"
    command = [sys.executable, str(BOMBARDED), manner, uri, *map(str, counts)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scheme", ["local", "file", "shm"])
def test_an_interrupt_at_any_instant_leaves_a_channel_usable(scheme, tmp_path, scale, seed):
    done = bombard("steps", scheme, tmp_path, scale("interrupts.stride"), seed)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scheme", ["local", "file", "shm"])
def test_interrupts_at_random_instants_poison_nothing(scheme, tmp_path, scale, seed):
    done = bombard("random", scheme, tmp_path, scale("interrupts.random"), seed)
    assert (done.returncode, done.stderr) == (0, "")
