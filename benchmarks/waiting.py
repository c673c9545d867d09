"""Measure how soon a waiting `wait` wakes, and its processor time."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from contextlib import ExitStack, contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from proxystore.connectors.file import FileConnector as TheirFileConnector
from proxystore.connectors.local import LocalConnector as TheirLocalConnector
from proxystore.store import Store as TheirStore
from rivals import memory_directory
from row import Row

from psk import Store
from psk.errors import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

WAKES = 1_000
#: ProxyStore looks once a second, so its wakes are few, and measured side by side.
THEIR_WAKES = 50
#: How long before the put the wait begins, in seconds.
SOONEST, LATEST = 0.001, 0.010
IDLE_SECONDS = 2.0


def measure() -> Iterator[Row]:
    """Time from the beginning of the put to the return of the wait; another thread puts, or another process."""
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(memory_directory()) for _ in range(2))
        channels = {
            "local, two threads": ("local://waiting", TheirLocalConnector({})),
            "file on tmpfs, two processes": (f"file://{ours}", TheirFileConnector(theirs, clear=False)),
            "shm, two processes": ("shm://", None),
        }
        for channel, (uri, connector) in channels.items():
            with Store("waiting", uri) as store:
                wakes = wake_times(store, in_thread=channel.startswith("local"))
                beside = [] if connector is None else [p99(their_wake_times(connector))]
                what = f"{channel}: wait(key) wakes after the put, p99 of {WAKES:,}"
                yield Row(what, "ms", [p99(wakes)], beside, limit=5, digits=2)
                yield Row("... processor time while it waits", "%", [idle_share(store)], [], limit=1, digits=2)
                store.clear()


def wake_times(store: Store, *, in_thread: bool) -> list[float]:
    with producer(store.uri, in_thread=in_thread) as producing:
        times = []
        for _ in range(WAKES):
            key = store.reserve()
            producing.send(key)
            store.wait(key)
            woken = time.monotonic()
            times.append(woken - producing.recv())
            store.evict(key)
        producing.send(None)
    return times


@contextmanager
def producer(uri: str, *, in_thread: bool) -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    kind: Any = threading.Thread if in_thread else multiprocessing.get_context("spawn").Process
    producing = kind(target=produce, args=(uri, theirs))
    producing.start()
    try:
        yield ours
    finally:
        producing.join()
        ours.close()
        theirs.close()


def produce(uri: str, orders: Connection) -> None:
    store = Store("producing", uri)
    while key := orders.recv():
        time.sleep(random.uniform(SOONEST, LATEST))  # noqa: S311  a moment, not a secret
        start = time.monotonic()
        store.fulfil(key, b"x" * 1000)
        orders.send(start)
    store.close()


def their_wake_times(connector: Any) -> list[float]:
    """Have threads wait for futures, and fulfil each at some moment of two seconds."""
    store = TheirStore("theirs-waiting", connector, register=True)
    futures = [store.future() for _ in range(THEIR_WAKES)]
    woken = [0.0] * THEIR_WAKES
    threads = [threading.Thread(target=await_future, args=(future, woken, n)) for n, future in enumerate(futures)]
    for thread in threads:
        thread.start()
    put = []
    for future in futures:
        time.sleep(random.uniform(0, 4 / THEIR_WAKES))  # noqa: S311  the same
        put.append(time.monotonic())
        future.set_result(b"x" * 1000)
    for thread in threads:
        thread.join()
    store.close()
    return [end - start for start, end in zip(put, woken, strict=True)]


def await_future(future: Any, woken: list[float], number: int) -> None:
    future.result()
    woken[number] = time.monotonic()


def idle_share(store: Store) -> float:
    """Return the part of one processor that this process uses while a thread waits in vain."""
    key = store.reserve()
    start, before = time.monotonic(), time.process_time()
    try:
        store.wait(key, timeout=IDLE_SECONDS)
    except DeadlineError:
        return (time.process_time() - before) / (time.monotonic() - start)
    raise AssertionError(key)


def p99(samples: list[float]) -> float:
    return quantiles(samples, n=100, method="inclusive")[-1]
