"""Count and time the operations of a store, in the right units and only on request."""

import asyncio
import os
import pickle
import signal
import threading
import time

import pytest

from psk import Store, get_key
from psk.connectors import SupportsTake
from psk.connectors.local import LocalConnector
from psk.errors import SerializationError
from psk.store.events import Histogram


class SlowConnector(LocalConnector):
    """A local channel whose every get takes 20 ms."""

    in_memory = False

    def get(self, key, **options):
        time.sleep(0.02)
        return super().get(key, **options)


def test_a_store_without_metrics_has_none(store):
    assert store.metrics is None
    assert "put" not in vars(store)


def test_operations_are_counted_and_timed_in_seconds():
    with Store("metered", SlowConnector(), metrics=True) as store:
        key = store.put([1, 2])
        store.get(key)
        store.get(key)
        proxy = store.proxy(b"x" * 1000, populate_target=False)
        assert proxy == b"x" * 1000
        seen = store.metrics.as_dict()
        times = seen["times"]
        assert times["store.put"]["count"] == 1
        assert times["store.get"]["count"] == 2
        assert times["store.serialize"]["count"] == times["connector.put"]["count"] == 2
        assert times["connector.get"]["count"] == 2
        assert 0.02 <= times["connector.get"]["min_s"] < 2
        assert 0.02 <= times["factory.resolve"]["total_s"] < 2
        assert times["store.get"]["max_s"] >= times["connector.get"]["min_s"]
        assert seen["nbytes"]["put"] > 1000
        assert seen["cache"] == {"hits": 1, "misses": 2}
        assert seen["failures"] == {}
        store.clear()


def test_a_forked_child_counts_though_another_thread_was_counting_in_its_parent():
    with Store("forked", LocalConnector(), metrics=True) as store:
        counting, forked = threading.Event(), threading.Event()

        def count_for_long():
            with store.metrics._lock:
                counting.set()
                forked.wait(30)

        thread = threading.Thread(target=count_for_long)
        thread.start()
        assert counting.wait(10)
        child = os.fork()
        if not child:
            signal.alarm(10)
            try:
                os._exit(store.exists("0" * 32))
            finally:
                os._exit(2)
        forked.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0


def test_failures_are_counted():
    with Store("failing", LocalConnector(), metrics=True) as store:
        try:
            store.put(n for n in ())
        except Exception:  # noqa: BLE001
            assert store.metrics.failures == {"store.put": 1, "store.serialize": 1}


def test_a_histogram_bounds_its_quantiles():
    histogram = Histogram()
    for milliseconds in range(1, 101):
        histogram.add(milliseconds / 1000)
    assert histogram.count == 100
    assert histogram.minimum == 0.001
    assert histogram.maximum == 0.1
    assert 0.05 <= histogram.quantile(0.5) <= 0.1
    assert histogram.quantile(1.0) == 0.1
    assert Histogram().quantile(0.5) == 0


def test_every_way_in_and_out_is_counted_in_bytes(uri):
    with Store("all ways", uri, metrics=True) as store:
        keys = store.put_batch([b"x" * 1000] * 3)
        reserved = store.reserve()
        store.fulfil(reserved, b"x" * 1000)
        assert store.metrics.nbytes["put"] > 4000
        assert store.get_batch([*keys, reserved]) == [b"x" * 1000] * 4
        assert store.metrics.nbytes["get"] == store.metrics.nbytes["put"]
        assert {"store.put_batch", "store.get_batch", "store.reserve", "store.fulfil"} <= store.metrics.times.keys()
        store.clear()


def test_what_coroutines_do_is_counted_like_the_rest(uri):
    async def work(store):
        key = await store.aput(b"x" * 1000)
        assert await store.aget(key) == b"x" * 1000
        assert await store.aproxy(b"x" * 1000, populate_target=False) == b"x" * 1000
        assert await store.await_key(key) == key
        with pytest.raises(SerializationError):
            await store.aput(n for n in ())

    with Store("coroutines", uri, metrics=True, cache_size=0) as store:
        asyncio.run(work(store))
        seen = store.metrics.as_dict()
        counts = {operation: times["count"] for operation, times in seen["times"].items()}
        assert counts == {
            "store.put": 2,
            "store.get": 1,
            "store.proxy": 1,
            "store.wait": 1,
            "factory.resolve": 1,
            "store.serialize": 3,
            "store.deserialize": 2,
            "connector.put": 2,
            "connector.get": 2,
            **({"store.verify": 2} if store.connector.leaves_host else {}),
        }
        assert seen["failures"] == {"store.put": 1, "store.serialize": 1}
        assert seen["nbytes"]["put"] == seen["nbytes"]["get"] > 2000
        store.clear()


def test_every_resolve_and_every_take_is_counted(uri):
    with Store("ways out", uri, metrics=True, cache_size=0, register=True) as store:
        proxies = [
            *store.proxy_batch([b"x" * 1000] * 2, populate_target=False),
            store.proxy_from_key(store.put(b"x" * 1000)),
            pickle.loads(pickle.dumps(store.proxy(b"x" * 1000))),
        ]
        for proxy in proxies:
            assert proxy == b"x" * 1000
        moved = store.metrics.nbytes
        assert moved["get"] == moved["put"] > 4000
        assert store.metrics.times["factory.resolve"].count == store.metrics.times["connector.get"].count == 4
        if store.supports(SupportsTake):
            assert store.take(get_key(proxies[0]), "one") == b"x" * 1000
            assert moved["get"] == moved["put"] * 5 // 4
            assert store.metrics.times["connector.get"].count == 5
        store.clear()
