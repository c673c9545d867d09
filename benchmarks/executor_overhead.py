"""Measure the overhead of submitting a task with small arguments through a store's executor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from proxystore.store.executor import ProxyType as TheirProxyType
from proxystore.store.executor import StoreExecutor as TheirStoreExecutor
from rivals import memory_stores
from rivals import workers as processes
from row import Row
from timing import take_turns

from psk_patterns import ProxySize, StoreExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPETITIONS = 15
TASKS = 400
WORKERS = 2


def measure() -> Iterator[Row]:
    """Submit many tasks at once, and one after the other, to a pool itself and through each library's executor."""
    for kind, pool in (("threads", ThreadPoolExecutor), ("processes", processes)):
        with pool(WORKERS) as workers, memory_stores() as stores:
            contestants = {
                "plain": workers,
                "psk": StoreExecutor(workers, stores["psk"], ProxySize(100_000)),
                # It has no policy by size; one that selects none of these arguments is equivalent.
                "proxystore": TheirStoreExecutor(workers, stores["proxystore"], TheirProxyType(bytearray)),
            }
            samples = take_turns({name: partial(run, each) for name, each in contestants.items()}, REPETITIONS)
        plain, ours, theirs = (samples[name] for name in ("plain", "psk", "proxystore"))
        for measure_, what in (("at once", f"each of {TASKS} at once"), ("each", "one after the other")):
            beyond = [
                [one - other for one, other in zip(library[measure_], plain[measure_], strict=True)]
                for library in (ours, theirs)
            ]
            targets: dict[str, float] = {"limit": 8} if kind == "threads" else {"ratio": 1.2}
            yield Row(f"executor: task of small arguments, {what}, beyond the pool of {kind}", "us", *beyond, **targets)


def run(executor: Any) -> dict[str, float]:
    return {"at once": time_tasks(executor, submit_all), "each": time_tasks(executor, submit_each)}


def time_tasks(executor: Any, run_all: Callable[[Any], int]) -> float:
    start = perf_counter()
    total = run_all(executor)
    seconds = perf_counter() - start
    assert total == sum(range(TASKS)) + TASKS * len("small")
    return seconds / TASKS


def submit_all(executor: Any) -> int:
    futures = [executor.submit(task, number, "small", flag=True) for number in range(TASKS)]
    return sum(future.result() for future in futures)


def submit_each(executor: Any) -> int:
    return sum(executor.submit(task, number, "small", flag=True).result() for number in range(TASKS))


def task(number: int, text: str, *, flag: bool) -> int:
    return number + len(text) * flag
