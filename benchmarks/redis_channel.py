"""Measure put, get, batches and waits through Redis, beside redis-py itself."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from proxystore.connectors.redis import RedisConnector as TheirRedisConnector
from proxystore.store import Store as TheirStore
from rivals import Pair
from row import Row
from timing import take_turns, time_each
from waiting import WAKES, idle_share, p99, wake_times

from psk import Store

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "packages" / "connector-redis" / "tests"))

from servers import RedisServer  # noqa: E402  the servers of the tests; after the path to them

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

REPETITIONS = 15
SMALL_REPETITIONS = 40
OBJECTS = 250
BATCH = 1_000


def measure() -> Iterator[Row]:
    """Put and get an array, bytes, and many bytes at once, each one new; then wait for some."""
    with redis_server() as server:
        array = np.random.default_rng(1).random(12_500_000)
        with pairs(server) as stores, closing(server.client()) as client:
            once = take_turns(
                {
                    **{name: partial(put_and_get, pair, array) for name, pair in stores.items()},
                    "raw": partial(set_and_get, client, array.tobytes()),
                },
                REPETITIONS,
            )
        yield from large_rows(once)
        small = os.urandom(1000)
        with pairs(server) as stores, closing(server.client()) as client:
            each = take_turns(
                {
                    **{name: partial(put_and_get_each, pair, small) for name, pair in stores.items()},
                    "raw": partial(set_and_get_each, client, small),
                },
                SMALL_REPETITIONS,
            )
        yield from small_rows(each)
        with Store("waiting", server.uri) as store:
            wakes = wake_times(store, in_thread=False)
            what = f"redis, two processes: wait(key) wakes after the put, p99 of {WAKES:,}"
            yield Row(what, "ms", [p99(wakes)], [], limit=5, digits=2)
            yield Row("... processor time while it waits", "%", [idle_share(store)], [], limit=1, digits=2)


def large_rows(samples: dict[str, dict[str, list[float]]]) -> Iterator[Row]:
    ours, theirs, raw = (samples[name] for name in ("psk", "proxystore", "raw"))
    for operation, what, command, limit in (
        ("put", "put a 100 MB array, with checksum", "set(bytes)", 0.42),
        ("get", "get a 100 MB array, verified", "get", 0.6),
    ):
        yield Row(f"redis: {what}", "ms", ours[operation], theirs[operation])
        over = [ratios(library[operation], raw[operation]) for library in (ours, theirs)]
        yield Row(f"... over redis-py's own `{command}` of the bytes", "times", *over, limit=limit, digits=2)


def small_rows(samples: dict[str, dict[str, list[float]]]) -> Iterator[Row]:
    ours, theirs, raw = (samples[name] for name in ("psk", "proxystore", "raw"))
    for operation, command in (("put", "set"), ("get", "get")):
        yield Row(f"redis: {operation} 1 kB, bytes", "us", ours[operation], theirs[operation])
        beyond = [one - other for one, other in zip(ours[operation], raw[operation], strict=True)]
        yield Row(f"... beyond redis-py's own `{command}`", "us", beyond, [], limit=10)
        together = f"{operation}_batch"
        yield Row(f"redis: {operation} 1 kB, each of {BATCH:,} in a batch", "us", ours[together], theirs[together])
        over = [ratios(library[together], library[operation]) for library in (ours, theirs)]
        yield Row("... over one by one", "times", *over, limit=0.1, digits=3)


def put_and_get(pair: Pair, array: np.ndarray) -> dict[str, float]:
    put, (key,) = time_each(pair.writer.put, [array])
    get, (copy,) = time_each(pair.reader.get, [key])
    assert copy[-1] == array[-1]
    pair.reader.evict(key)
    return {"put": put, "get": get}


def set_and_get(client: redis.Redis, data: bytes) -> dict[str, float]:
    put, _ = time_each(partial(client.set, "raw"), [data])
    get, (copy,) = time_each(client.get, ["raw"])
    assert copy == data
    client.delete("raw")
    return {"put": put, "get": get}


def put_and_get_each(pair: Pair, data: bytes) -> dict[str, float]:
    put, keys = time_each(pair.writer.put, [data] * OBJECTS)
    get, copies = time_each(pair.reader.get, keys)
    put_batch, (more,) = time_each(pair.writer.put_batch, [[data] * BATCH])
    get_batch, (more_copies,) = time_each(partial(get_all, pair.reader), [more])
    assert copies[-1] == more_copies[-1] == data
    for key in [*keys, *more]:
        pair.reader.evict(key)
    return {"put": put, "get": get, "put_batch": put_batch / BATCH, "get_batch": get_batch / BATCH}


def set_and_get_each(client: redis.Redis, data: bytes) -> dict[str, float]:
    names = [f"raw{number}" for number in range(OBJECTS)]
    put, _ = time_each(lambda name: client.set(name, data), names)
    get, copies = time_each(client.get, names)
    assert copies[-1] == data
    client.delete(*names)
    return {"put": put, "get": get}


def get_all(store: Any, keys: list[Any]) -> list[Any]:
    """Get several at once, where the library can."""
    return store.get_batch(keys) if hasattr(store, "get_batch") else [store.get(key) for key in keys]


def ratios(samples: list[float], others: list[float]) -> list[float]:
    """Divide what was taken in the same turn."""
    return [one / other for one, other in zip(samples, others, strict=True)]


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Start a server that keeps everything in memory alone."""
    with tempfile.TemporaryDirectory(prefix="psk-bench-") as folder, RedisServer(folder) as server:
        yield server


@contextmanager
def pairs(server: RedisServer) -> Iterator[dict[str, Pair]]:
    """Open two stores of each library on a server."""
    ours = Pair(*(Store(f"ours-{role}", server.uri) for role in Pair._fields))
    theirs = Pair(
        *(
            TheirStore(f"theirs-{role}", TheirRedisConnector(server.host, server.port, clear=False))
            for role in Pair._fields
        )
    )
    try:
        yield {"psk": ours, "proxystore": theirs}
    finally:
        for store in (*ours, *theirs):
            store.close()
