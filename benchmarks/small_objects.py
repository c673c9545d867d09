"""Measure how long a put and a get of 1 kB take."""

from __future__ import annotations

import os
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from ray_rival import ray_turns
from rivals import Pair, file_pairs, local_pairs, memory_pairs
from row import Row
from timing import take_turns, time_each

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 40
OBJECTS = 250


#: psk's time as a multiple of ProxyStore's that is to be reached; 1, if omitted.
RATIOS = {
    ("shm", "put"): 0.45,
    ("shm", "get"): 0.6,
    ("file on tmpfs", "put"): 0.5,
    ("file on tmpfs", "get"): 0.7,
}
CHANNELS = {"in process": local_pairs, "file on tmpfs": file_pairs, "shm": memory_pairs}


def measure() -> Iterator[Row]:
    """Put and get bytes and arrays through each channel, then get one object again with the caches in use."""
    objects = {"bytes": os.urandom(1000), "an array": np.random.default_rng(1).random(125)}
    for channel, open_pairs in CHANNELS.items():
        for kind, obj in objects.items():
            with open_pairs() as pairs, ray_turns() if (channel, kind) == ("shm", "bytes") else nullcontext() as ray:
                contestants = {name: partial(put_and_get, pair, obj) for name, pair in pairs.items()}
                if ray:
                    contestants["ray"] = partial(ray, "put_and_get")
                samples = take_turns(contestants, REPETITIONS)
            ours, theirs, rays = (samples.get(name, {}) for name in ("psk", "proxystore", "ray"))
            for operation in ("put", "get"):
                yield Row(
                    f"{channel}: {operation} 1 kB, {kind}",
                    "us",
                    ours[operation],
                    theirs[operation],
                    ray=rays.get(operation, []),
                    ratio=RATIOS.get((channel, operation), 1.0),
                )
    for kind, obj in objects.items():
        with file_pairs() as pairs:
            samples = take_turns(
                {name: partial(get_again, pair.reader, pair.writer.put(obj)) for name, pair in pairs.items()},
                REPETITIONS,
            )
        what = f"cached: get 1 kB again, {kind}"
        yield Row(what, "us", samples["psk"]["get"], samples["proxystore"]["get"], digits=2)


def put_and_get(pair: Pair, obj: Any) -> dict[str, float]:
    put, keys = time_each(pair.writer.put, [obj] * OBJECTS)
    get, copies = time_each(pair.reader.get, keys)
    assert bytes(copies[-1]) == bytes(obj)
    for key in keys:
        pair.reader.evict(key)
    return {"put": put, "get": get}


def get_again(store: Any, key: Any) -> dict[str, float]:
    seconds, _ = time_each(store.get, [key] * OBJECTS)
    return {"get": seconds}
