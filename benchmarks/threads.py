"""Measure whether threads that need different objects wait for each other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from proxystore.connectors.local import LocalConnector as TheirLocalConnector
from proxystore.store import Store as TheirStore
from rivals import Pair, file_pairs, memory_pairs
from row import Row
from timing import take_turns

from psk import LocalConnector, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 5
COPYING_REPETITIONS = 15
GETTERS = 16
ITEMS = 1_250_000
THREADS = 8
LATENCY = 0.1


class SlowConnector(LocalConnector):
    """A channel whose every `get` takes 100 ms."""

    def get(self, key: Any, **options: Any) -> Any:
        """Return what the channel holds, after a while."""
        time.sleep(LATENCY)
        return super().get(key, **options)


class TheirSlowConnector(TheirLocalConnector):
    """The same for ProxyStore."""

    def get(self, key: Any) -> Any:
        """Return what the channel holds, after a while."""
        time.sleep(LATENCY)
        return super().get(key)


def measure() -> Iterator[Row]:
    """Resolve eight proxies in eight threads; one after the other would take 0.8 s. Then get arrays in threads."""
    theirs = TheirStore("theirs", TheirSlowConnector({}), register=True)
    with Store("ours", SlowConnector()) as ours, ThreadPoolExecutor(THREADS) as pool:
        samples = take_turns(
            {"psk": partial(resolve_all, ours, pool), "proxystore": partial(resolve_all, theirs, pool)}, REPETITIONS
        )
        ours.clear()
    theirs.close()
    what = "8 threads resolve 8 objects of 100 ms each"
    yield Row(what, "s", samples["psk"]["all"], samples["proxystore"]["all"], limit=0.15, digits=3)
    arrays = [np.random.default_rng(number).random(ITEMS) for number in range(GETTERS)]
    for channel, open_pairs in (("file on tmpfs", file_pairs), ("shm", memory_pairs)):
        with open_pairs() as pairs, ThreadPoolExecutor(GETTERS) as pool:
            samples = take_turns(
                {
                    **{name: partial(get_all, pair, pool, arrays) for name, pair in pairs.items()},
                    "copies": partial(copy_all, pool, arrays),
                },
                COPYING_REPETITIONS,
            )
        copying = samples["copies"]["all"]
        over = [
            [one / other for one, other in zip(samples[name]["all"], copying, strict=True)]
            for name in ("psk", "proxystore")
        ]
        what = f"{channel}: {GETTERS} threads get an array of 10 MB each, over as many that copy one"
        yield Row(what, "times", *over, limit=1.11, digits=2)


def resolve_all(store: Any, pool: ThreadPoolExecutor) -> dict[str, float]:
    proxies = [store.proxy([number], populate_target=False) for number in range(THREADS)]
    start = time.perf_counter()
    values = list(pool.map(lambda proxy: proxy[0], proxies))
    seconds = time.perf_counter() - start
    assert values == list(range(THREADS))
    return {"all": seconds}


def get_all(pair: Pair, pool: ThreadPoolExecutor, arrays: list[np.ndarray]) -> dict[str, float]:
    keys = [pair.writer.put(array) for array in arrays]
    seconds = time_all(pool, pair.reader.get, keys)
    for key in keys:
        pair.reader.evict(key)
    return {"all": seconds}


def copy_all(pool: ThreadPoolExecutor, arrays: list[np.ndarray]) -> dict[str, float]:
    return {"all": time_all(pool, np.copy, arrays)}


def time_all(pool: ThreadPoolExecutor, work: Any, items: list[Any]) -> float:
    start = time.perf_counter()
    results = list(pool.map(work, items))
    seconds = time.perf_counter() - start
    assert all(len(result) == ITEMS for result in results)
    return seconds
