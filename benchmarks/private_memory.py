"""Measure the private memory of a put and a get of 1 GB, beyond the array and the stored copy."""

from __future__ import annotations

import os
import re
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rivals import memory_stores, opened_again, workers
from row import Row
from timing import take_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

REPETITIONS = 2
NBYTES = 1_000_000_000
SAMPLING_SECONDS = 0.001
#: What the array itself takes of a reader's private memory: psk maps the stored copy, ProxyStore reads into an own one.
OF_THE_ARRAY = {"psk": 0, "proxystore": NBYTES}
#: What a worker holds from one task to the next.
HELD: dict[str, Any] = {}


def measure() -> Iterator[Row]:
    """Watch RssAnon (proc_pid_status(5)) of one process that puts and of one that gets and sums, new ones each turn."""
    with memory_stores() as stores:
        samples = take_turns(
            {name: partial(put_and_get, store, OF_THE_ARRAY[name]) for name, store in stores.items()}, REPETITIONS
        )
    for operation, what in (
        ("put", "shm: most private memory while a 1 GB array is put"),
        ("get", "... got and summed"),
    ):
        yield Row(
            f"{what}, beyond the array itself",
            "MB",
            samples["psk"][operation],
            samples["proxystore"][operation],
            limit=16,
        )


def put_and_get(store: Any, of_the_array: int) -> dict[str, float]:
    with workers(1) as writer, workers(1) as reader:
        for worker in (writer, reader):
            worker.submit(open_store, type(store), store.config(), store.put(np.zeros(100_000))).result()
        writer.submit(make_array).result()
        key, put = watched(writer, partial(put_array))
        last, get = watched(reader, partial(get_array, key))
    assert last == 1.0
    store.evict(key)
    return {"put": put, "get": get - of_the_array}


def open_store(kind: Any, config: Any, key: Any) -> None:
    """Open the store of another process, and load what a first get loads."""
    HELD["store"] = opened_again(kind, config)
    HELD["store"].get(key).sum()
    HELD["store"].evict(key)


def make_array() -> None:
    HELD["array"] = np.ones(NBYTES // 8)


def put_array() -> Any:
    return HELD["store"].put(HELD["array"])


def get_array(key: Any) -> float:
    HELD["array"] = HELD["store"].get(key)
    HELD["array"].sum()
    return float(HELD["array"][-1])


def watched(worker: Executor, task: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result of a task, and by how much its process grew meanwhile at most.

    Another process measures: a thread of the same one would wait while an array is copied.
    """
    status = Path(f"/proc/{worker.submit(os.getpid).result()}/status")
    before = private_bytes(status)
    sizes = [before]
    future = worker.submit(task)
    while wait([future], SAMPLING_SECONDS).not_done:
        sizes.append(private_bytes(status))
    sizes.append(private_bytes(status))
    return future.result(), max(sizes) - before


def private_bytes(status: Path) -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", status.read_text(encoding="ascii"))
    assert found
    return int(found[1]) * 1024
