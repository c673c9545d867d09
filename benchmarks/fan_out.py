"""Measure how long one array of 200 MB takes to eight tasks in two processes."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from ray_rival import ray_turns
from rivals import memory_stores, workers
from row import Row
from timing import take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

REPETITIONS = 5
TASKS = 8
ITEMS = 25_000_000


def measure() -> Iterator[Row]:
    """Time from put to last result, by proxy through either library and by value, with the same workers.

    The array is a new one each turn; within a turn each library's cache may spare a worker to fetch it again.
    """
    with memory_stores() as stores, workers(2) as pool, ray_turns() as ray:
        contestants = {name: partial(fan_out, pool, store) for name, store in stores.items()}
        contestants["value"] = partial(fan_out, pool, None)
        if ray:
            contestants["ray"] = partial(ray, "fan_out")
        samples = take_turns(contestants, REPETITIONS)
    seconds = {name: measures["all"] for name, measures in samples.items()}
    ours, theirs, rays = (seconds.get(name, []) for name in ("psk", "proxystore", "ray"))
    yield Row(
        "shm: fan-out of a 200 MB array to 8 tasks in a pool of 2",
        "s",
        ours,
        theirs,
        ray=rays,
        ratio=0.25,
        digits=3,
    )
    by_value = [
        [value / proxy for value, proxy in zip(seconds["value"], each, strict=bool(each))] for each in (ours, theirs)
    ]
    yield Row("... by value it takes so many times as long", "times", *by_value)


def fan_out(pool: Executor, store: Any | None) -> dict[str, float]:
    array = new_array()
    key = None
    start = perf_counter()
    if store is None:
        passed: Any = array
    else:
        key = store.put(array)
        passed = store.proxy_from_key(key)
    means = list(pool.map(mean, [passed] * TASKS))
    seconds = perf_counter() - start
    assert means == [array.mean()] * TASKS
    if store is not None:
        store.evict(key)
    return {"all": seconds}


def mean(array: np.ndarray) -> float:
    return float(array.mean())


def new_array() -> np.ndarray:
    return np.random.default_rng().random(ITEMS)
