"""Fetch an object once for all threads that ask at the same time, independently of other objects."""

import pickle
import threading

import numpy as np
import pytest

import psk
from psk import Store, singleflight
from psk.connectors.local import LocalConnector
from psk.errors import DeadlineError
from psk.singleflight import SingleFlight
from psk_testing.timing import becomes


class SlowConnector(LocalConnector):
    """A local channel whose gets count, and wait until something holds."""

    in_memory = False
    gets = 0
    until = None

    def get(self, key, **options):
        type(self).gets += 1
        assert becomes(self.until, within=10)
        return super().get(key, **options)


@pytest.fixture
def slow(monkeypatch):
    monkeypatch.setattr(SlowConnector, "gets", 0)
    monkeypatch.setattr(SlowConnector, "until", staticmethod(lambda: True))
    with Store("slow", SlowConnector()) as store:
        yield store
        store.clear()


def waiting(count):
    """Give a condition: so many threads wait for the work of another."""
    return lambda: len(singleflight._waits) == count


def at_once(*calls):
    results = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(place, call):
        gate.wait()
        try:
            results[place] = call()
        except Exception as error:  # noqa: BLE001
            results[place] = error

    threads = [threading.Thread(target=run, args=numbered) for numbered in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("size", [10, 100_000])
def test_many_threads_cause_one_fetch_and_share_nothing(slow, size):
    key = slow.put(np.zeros(size))
    SlowConnector.until = staticmethod(waiting(7))
    targets = at_once(*[lambda: slow.get(key)] * 8)
    assert SlowConnector.gets == 1
    for target in targets:
        assert target.sum() == 0
        target[:] = 1


def test_different_objects_do_not_wait_for_each_other(slow):
    proxies = [slow.proxy(n, populate_target=False) for n in range(8)]
    SlowConnector.until = staticmethod(lambda: SlowConnector.gets == 8)
    assert at_once(*[lambda proxy=proxy: proxy + 0 for proxy in proxies]) == list(range(8))
    assert SlowConnector.gets == 8


def test_one_proxy_is_resolved_once_by_many_threads(slow):
    proxy = slow.proxy([1], populate_target=False)
    SlowConnector.until = staticmethod(waiting(15))
    assert at_once(*[lambda: proxy[0]] * 16) == [1] * 16
    assert SlowConnector.gets == 1


def test_all_who_wait_learn_of_a_missing_object(slow):
    key = slow.put(1)
    slow.evict(key)
    SlowConnector.until = staticmethod(waiting(3))
    assert at_once(*[lambda: slow.get(key, default="none")] * 4) == ["none"] * 4


def test_all_who_wait_learn_of_an_error():
    flights, calls = SingleFlight(), []

    def fail():
        calls.append(1)
        assert becomes(waiting(3), within=10)
        raise OSError("planted")

    results = at_once(*[lambda: flights.run("key", fail)] * 4)
    assert all(isinstance(result, OSError) for result in results)
    assert len(calls) == 1


def test_a_follower_keeps_its_own_deadline():
    flights, release = SingleFlight(), threading.Event()
    leader = threading.Thread(target=flights.run, args=("key", release.wait))
    leader.start()
    with pytest.raises(DeadlineError):
        flights.run("key", list, timeout=0.05)
    release.set()
    leader.join()


def test_a_leader_in_a_hurry_does_not_fail_patient_followers():
    flights, attempts = SingleFlight(), []

    def work():
        attempts.append(1)
        if len(attempts) == 1:
            assert becomes(waiting(2), within=10)
            raise DeadlineError("planted")
        return "value"

    results = at_once(*[lambda: flights.run("key", work, timeout=5)] * 3)
    assert results.count("value") == 2
    assert sum(isinstance(result, DeadlineError) for result in results) == 1


def test_a_forked_child_does_not_wait_for_threads_it_does_not_have(slow):
    import os

    key, forked = slow.put("x"), threading.Event()
    SlowConnector.until = staticmethod(lambda: forked.is_set() or os.getpid() != parent)
    parent = os.getpid()
    fetching = threading.Thread(target=slow.get, args=(key,))
    fetching.start()
    assert becomes(lambda: SlowConnector.gets, within=10)
    child = os.fork()
    if child == 0:
        os._exit(0 if slow.get(key) == "x" and pickle.loads(pickle.dumps(psk.Proxy(list))) == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    forked.set()
    fetching.join()


def test_an_object_evicted_while_it_is_fetched_does_not_come_back_from_the_cache():
    class LateConnector(LocalConnector):
        """A local channel that takes a while to hand out what it has found."""

        in_memory = False

        def get(self, key, **options):
            found = super().get(key, **options)
            has_found.set()
            assert go_on.wait(10)
            return found

    has_found, go_on = threading.Event(), threading.Event()

    with Store("late", LateConnector()) as store:
        for target in ([1, 2], "text"):  # kept as a payload, and as an object
            key = store.put(target)
            fetching = threading.Thread(target=store.get, args=(key,))
            fetching.start()
            assert has_found.wait(10)
            store.evict(key)
            go_on.set()
            fetching.join()
            has_found.clear()
            assert not store.is_cached(key)
            assert store.get(key) is None


def test_what_interrupts_the_leader_is_not_raised_for_its_followers():
    flights = SingleFlight()
    begun, go_on = threading.Event(), threading.Event()
    results = []

    def interrupted():
        begun.set()
        go_on.wait(10)
        raise KeyboardInterrupt

    def lead():
        with pytest.raises(KeyboardInterrupt):
            flights.run("key", interrupted)

    def follow():
        begun.wait(10)
        results.append(flights.run("key", lambda: "value"))

    threads = [threading.Thread(target=lead), threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    assert becomes(waiting(1), within=10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert results == ["value"]


def test_what_is_read_while_a_store_is_cleared_does_not_stay_in_the_cache():
    class WatchedConnector(LocalConnector):
        """A local channel whose objects are read once more just before they go."""

        in_memory = False

        def clear(self, **options):
            assert store.get(key) == [1]
            return super().clear(**options)

    with Store("cleared", WatchedConnector()) as store:
        key = store.put([1])
        assert store.clear() == 1
        assert store.get(key) is None
