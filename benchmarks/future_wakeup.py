"""Measure how soon a process that waits for a future has its result, and the processor time of waiting."""

from __future__ import annotations

import multiprocessing
import random
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from proxystore.connectors.file import FileConnector as TheirFileConnector
from proxystore.connectors.redis import RedisConnector as TheirRedisConnector
from redis_channel import redis_server
from rivals import memory_directory
from row import Row
from waiting import LATEST, SOONEST, p99, their_wake_times

from psk import Store
from psk.errors import DeadlineError
from psk_patterns import Future, future

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

WAKES = 1_000
IDLE_SECONDS = 2.0


def measure() -> Iterator[Row]:
    """Time from the beginning of `set_result`, by a process that has claimed the future, to the return of `result`."""
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(memory_directory()) for _ in range(2))
        server = stack.enter_context(redis_server())
        channels: dict[str, tuple[str, Any]] = {
            "shm": ("shm://", None),
            "file on tmpfs": (f"file://{ours}", TheirFileConnector(theirs, clear=False)),
            "redis": (server.uri, TheirRedisConnector(server.host, server.port, clear=False)),
        }
        for channel, (uri, connector) in channels.items():
            with Store("futures", uri) as store:
                wakes = wake_times(store)
                beside = [] if connector is None else their_wake_times(connector)
                what = f"{channel}, two processes: future.result() wakes after set_result, p99 of {WAKES:,}"
                yield Row(what, "ms", [p99(wakes)], [p99(beside)] if beside else [], limit=5, digits=2)
                yield Row("... median", "ms", wakes, beside, digits=2)
                yield Row("... processor time while it waits", "%", [idle_share(store)], [], limit=1, digits=2)


def wake_times(store: Store) -> list[float]:
    with producer() as producing:
        times = []
        for _ in range(WAKES):
            awaited = future(store)
            producing.send(awaited)
            awaited.result()
            woken = time.monotonic()
            times.append(woken - producing.recv())
            awaited.release()
        producing.send(None)
    return times


@contextmanager
def producer() -> Iterator[Connection]:
    ours, theirs = multiprocessing.Pipe()
    producing = multiprocessing.get_context("spawn").Process(target=produce, args=(theirs,))
    producing.start()
    try:
        yield ours
    finally:
        producing.join()
        ours.close()
        theirs.close()


def produce(orders: Connection) -> None:
    while (order := orders.recv()) is not None:
        produced: Future[bytes] = order
        produced.claim()
        time.sleep(random.uniform(SOONEST, LATEST))  # noqa: S311  a moment, not a secret
        start = time.monotonic()
        produced.set_result(b"x" * 1000)
        orders.send(start)


def idle_share(store: Store) -> float:
    """Return the part of one processor that this process uses while a thread waits for a future that was claimed."""
    awaited = future(store)
    awaited.claim()
    start, before = time.monotonic(), time.process_time()
    try:
        awaited.result(IDLE_SECONDS)
    except DeadlineError:
        return (time.process_time() - before) / (time.monotonic() - start)
    finally:
        awaited.release()
    raise AssertionError(awaited)
