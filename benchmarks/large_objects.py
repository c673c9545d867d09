"""Measure how long a put and a get of 100 MB take."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from rivals import Pair, file_pairs
from row import Row
from timing import take_turns, time_each

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 15


def measure() -> Iterator[Row]:
    """Put and get new arrays, and get one array again with the caches in use."""
    array = np.random.default_rng(1).random(12_500_000)
    with file_pairs() as pairs:
        once = take_turns({name: partial(put_and_get, pair, array) for name, pair in pairs.items()}, REPETITIONS)
        again = take_turns(
            {name: partial(get_again, pair.reader, pair.writer.put(array)) for name, pair in pairs.items()},
            REPETITIONS,
        )
    ours, theirs = once["psk"], once["proxystore"]
    yield Row("file on tmpfs: get a 100 MB array, verified", "ms", ours["get"], theirs["get"], ratio=0.35)
    yield Row("file on tmpfs: put a 100 MB array, with checksum", "ms", ours["put"], theirs["put"], ratio=0.5)
    ours, theirs = again["psk"], again["proxystore"]
    yield Row("... get it a third time (psk: own memory; theirs: shared)", "ms", ours["get"], theirs["get"], digits=3)


def put_and_get(pair: Pair, array: np.ndarray) -> dict[str, float]:
    put, (key,) = time_each(pair.writer.put, [array])
    get, (copy,) = time_each(pair.reader.get, [key])
    assert copy[-1] == array[-1]
    pair.reader.evict(key)
    return {"put": put, "get": get}


def get_again(store: object, key: object) -> dict[str, float]:
    # psk keeps a large payload from its second fetch on.
    store.get(key)
    store.get(key)
    seconds, _ = time_each(store.get, [key])
    return {"get": seconds}
