"""Measure a chain of tasks that need the result of the one before, and take a while to start."""

from __future__ import annotations

from functools import partial
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from rivals import memory_stores, workers
from row import Row
from timing import take_turns

from psk import Store
from psk_patterns import future

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

REPETITIONS = 2
TASKS = 10
#: Half of each task's second is start-up, which needs no input.
START_UP = WORK = 0.5
#: All start up together, and then each works when the one before it is done.
IDEAL = START_UP + TASKS * WORK
NBYTES = 1_000_000


def measure() -> Iterator[Row]:
    """Time from the first submission to the last result, with the same workers: one for each task.

    ProxyStore's futures have their default options: they look once a second.
    """
    with memory_stores() as stores, workers(TASKS) as pool:
        contestants = {name: partial(pipelined, pool, store) for name, store in stores.items()}
        contestants["value"] = partial(one_by_one, pool)
        samples = take_turns(contestants, REPETITIONS)
    ours, theirs, by_value = (samples[name]["all"] for name in ("psk", "proxystore", "value"))
    what = f"shm: chain of {TASKS} tasks of 1 s, half of it start-up, by futures"
    yield Row(what, "s", ours, theirs, limit=1.05 * IDEAL, digits=3)
    multiples = [[value / IDEAL for value in each] for each in (ours, theirs)]
    yield Row(f"... over the {IDEAL:g} s that are possible", "times", *multiples, limit=1.05, digits=3)
    multiples = [[value / chain for value, chain in zip(by_value, each, strict=True)] for each in (ours, theirs)]
    yield Row("... by value, one after the other, it takes so many times as long", "times", *multiples, digits=2)


def pipelined(pool: Executor, store: Any) -> dict[str, float]:
    """Submit all tasks at once, with proxies of what has yet to be made."""
    start = perf_counter()
    made = [future(store) if isinstance(store, Store) else store.future() for _ in range(TASKS)]
    needed = [None, *(each.proxy() for each in made[:-1])]
    for promise, proxy in zip(made, needed, strict=True):
        pool.submit(keep, promise, proxy)
    result = made[-1].result()
    seconds = perf_counter() - start
    assert result == bytes([TASKS]) * NBYTES
    for promise in made:
        if isinstance(store, Store):
            promise.release()
        else:
            store.evict(promise._factory.key)  # noqa: SLF001  it has no public name
    return {"all": seconds}


def keep(promise: Any, needed: Any) -> None:
    if hasattr(promise, "claim"):  # so that waiting processes notice if this one dies; ProxyStore has no equivalent
        promise.claim()
    sleep(START_UP)
    promise.set_result(work(needed))


def one_by_one(pool: Executor) -> dict[str, float]:
    """Submit each task when the result of the one before is here."""
    start = perf_counter()
    result = None
    for _ in range(TASKS):
        result = pool.submit(run, result).result()
    seconds = perf_counter() - start
    assert result == bytes([TASKS]) * NBYTES
    return {"all": seconds}


def run(needed: bytes | None) -> bytes:
    sleep(START_UP)
    return work(needed)


def work(needed: Any) -> bytes:
    """Use what the task before made, and make the next."""
    turn = 0 if needed is None else needed[0]
    sleep(WORK)
    return bytes([turn + 1]) * NBYTES
