"""Measure how long an array of 100 MB takes to another process of this host."""

from __future__ import annotations

import pickle
from functools import cache, partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from ray_rival import ray_turns
from rivals import memory_stores, workers
from row import Row
from timing import take_turns, time_each

from psk import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

REPETITIONS = 10
OBJECTS = 5
ITEMS = 12_500_000


def measure() -> Iterator[Row]:
    """Put new arrays and resolve them in a worker that has the store open; then put one into a new store each time."""
    array = np.random.default_rng(1).random(ITEMS)
    there = array.copy()
    with memory_stores() as stores, workers(1) as worker, ray_turns() as ray:
        contestants = {name: partial(hand_over, store, worker, array, there) for name, store in stores.items()}
        if ray:
            contestants["ray"] = partial(ray, "hand_over")
        warm = take_turns(contestants, REPETITIONS)
        ours, theirs, rays = (warm.get(name, {}) for name in ("psk", "proxystore", "ray"))
        cold = take_turns(
            {"psk": partial(put_into_new_store, array), "proxystore": partial(put, stores["proxystore"], array)},
            REPETITIONS,
        )
    yield Row(
        "shm: resolve a 100 MB array in another process, writable (Ray: read-only)",
        "ms",
        ours["resolve"],
        theirs["resolve"],
        ray=rays.get("resolve", []),
        limit=0.1,
        digits=3,
    )
    yield Row(
        "... the first one after a pause, when caches of the processor hold other things",
        "ms",
        ours["first"],
        theirs["first"],
        ray=rays.get("first", []),
        digits=3,
    )
    yield Row(
        "... its first sum, over a sum of an array made there",
        "times",
        ours["sum"],
        theirs["sum"],
        ray=rays.get("sum", []),
        limit=1.35,
        digits=2,
    )
    yield Row(
        "shm: put a 100 MB array, where one was evicted before",
        "ms",
        ours["put"],
        theirs["put"],
        ray=rays.get("put", []),
    )
    yield Row(
        "... over a copy by one thread into memory that is there",
        "times",
        ratios(ours["put"], ours["copy"]),
        ratios(theirs["put"], theirs["copy"]),
        limit=0.65,
        digits=2,
    )
    if rays:
        yield Row("... over Ray's put", "times", ratios(ours["put"], rays["put"]), [], limit=0.75, digits=2)
    yield Row("... the first put of a new store", "ms", cold["psk"]["put"], cold["proxystore"]["put"])
    yield Row(
        "... over a plain copy: `array.copy()`, which maps new memory too",
        "times",
        cold["psk"]["times"],
        cold["proxystore"]["times"],
        limit=1.3,
        digits=2,
    )


def ratios(samples: list[float], others: list[float]) -> list[float]:
    """Divide what was taken in the same turn."""
    return [one / other for one, other in zip(samples, others, strict=True)]


def hand_over(store: Any, worker: Executor, array: np.ndarray, there: np.ndarray) -> dict[str, float]:
    seconds, keys = time_each(store.put, [array] * OBJECTS)
    copying, _ = time_each(partial(np.copyto, there), [array] * OBJECTS)
    # As bytes: a worker keeps its last arguments for a while, and with them arrays that are evicted here.
    measures = worker.submit(resolve, [pickle.dumps(store.proxy_from_key(key)) for key in keys]).result()
    for key in keys:
        store.evict(key)
    return {"put": seconds, "copy": copying, **measures}


def resolve(pickled: list[bytes]) -> dict[str, float]:
    """Use proxies for the first time, one after another, then all of each array, beside an array of this process."""
    proxies, local = [pickle.loads(each) for each in pickled], array_of_this_process()
    first, *others = [time_each(last_item, [proxy])[0] for proxy in proxies]
    sums = []
    for proxy in proxies:
        theirs, _ = time_each(whole_sum, [proxy])
        ours, _ = time_each(whole_sum, [local])
        sums.append(theirs / ours)
        proxy[0] = 2.0
        assert proxy[0] == 2.0
    return {"first": first, "resolve": median(others), "sum": median(sums)}


def last_item(array: np.ndarray) -> float:
    return array[-1]


def whole_sum(array: np.ndarray) -> float:
    return array.sum()


@cache
def array_of_this_process() -> np.ndarray:
    return np.random.default_rng(2).random(ITEMS)


def put_into_new_store(array: np.ndarray) -> dict[str, float]:
    with Store("new", "shm://") as store:
        return put(store, array)


def put(store: Any, array: np.ndarray) -> dict[str, float]:
    seconds, (key,) = time_each(store.put, [array])
    start = perf_counter()
    copy = array.copy()
    copying = perf_counter() - start
    assert copy[-1] == array[-1]
    store.evict(key)
    return {"put": seconds, "times": seconds / copying}
