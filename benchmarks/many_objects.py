"""Measure stores of many objects: opening beside them, all processes at once, listing and clearing."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from rivals import memory_directory
from row import Row
from timing import take_turns

from psk import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENED_BESIDE = 1_000_000
LISTED = 100_000
PROCESSES = 64
OPENINGS = 50
REPETITIONS = 20
CLEARINGS = 3


def measure() -> Iterator[Row]:
    """Open, list and clear stores on file, in memory, and on shm."""
    for channel in ("file", "shm"):
        with new_store(channel) as empty, new_store(channel) as full:
            fill(full)
            samples = take_turns({"none": partial(opening, empty), "many": partial(opening, full)}, REPETITIONS)
        none, many = (samples[name]["open"] for name in ("none", "many"))
        yield Row(f"{channel}: open beside {OPENED_BESIDE:,} objects", "ms", many, [], digits=2)
        yield times(f"{channel}: the same, as a multiple of beside none", many, none, 1.5)
    for channel in ("file", "shm"):
        with new_store(channel) as store:
            samples = take_turns({channel: partial(opening_at_once, store.uri)}, REPETITIONS)
        what = f"{channel}: {PROCESSES} processes open a session at once, until the last has"
        yield Row(what, "s", samples[channel]["open"], [], limit=2, digits=3)
    for channel in ("file", "shm"):
        with new_store(channel) as store:
            put_many(store)
            samples = take_turns({"psk": partial(listing, store), "bare": partial(listing_names, store)}, REPETITIONS)
            ours, bare = (samples[name]["list"] for name in ("psk", "bare"))
            yield times(f"{channel}: list {LISTED:,} objects, as a multiple of `os.listdir`", ours, bare, 2)
            samples = take_turns({"psk": partial(clearing, store), "bare": partial(unlinking, store)}, CLEARINGS)
            ours, bare = (samples[name]["clear"] for name in ("psk", "bare"))
            yield times(f"{channel}: clear {LISTED:,} objects, as a multiple of `os.unlink` for each", ours, bare, 2)


def times(what: str, ours: list[float], bare: list[float], limit: float) -> Row:
    """Return the row of what takes so many times as long as something bare that took turns with it."""
    return Row(what, "times", [one / other for one, other in zip(ours, bare, strict=True)], [], limit=limit, digits=2)


@contextmanager
def new_store(channel: str) -> Iterator[Store[Any]]:
    """Open a store with a directory of its own in memory."""
    with memory_directory() as directory:
        uri = f"file://{directory}/objects" if channel == "file" else f"shm://bench?root={directory}"
        with Store("bench", uri) as store:
            yield store


def folder(store: Store[Any]) -> Path:
    """Return the directory with a store's objects."""
    config = store.connector.config()
    return Path(config["path"]) if config["scheme"] == "file" else next(Path(config["root"]).glob("psk-*/main"))


def fill(store: Store[Any]) -> None:
    """Add names of one object, which cost less memory than as many objects; an opening cannot tell."""
    place = folder(store)
    first = place / store.put(b"1 kB".ljust(1000))
    for number in range(OPENED_BESIDE):
        os.link(first, place / f"{number:032x}")


def put_many(store: Store[Any]) -> None:
    obj = b"1 kB".ljust(1000)
    for _ in range(LISTED):
        store.put(obj)


def opening(store: Store[Any]) -> dict[str, float]:
    start = perf_counter()
    opened = [Store.from_uri(store.uri) for _ in range(OPENINGS)]
    seconds = (perf_counter() - start) / OPENINGS
    for again in opened:
        again.close()
    return {"open": seconds}


def opening_at_once(uri: str) -> dict[str, float]:
    """Return the seconds from the moment at which all processes may open a store to the last that has."""
    program = [sys.executable, Path(__file__).with_name("open_together.py"), uri, str(PROCESSES)]
    return {"open": float(subprocess.run(program, check=True, capture_output=True, text=True).stdout)}  # noqa: S603  our own program


def listing(store: Store[Any]) -> dict[str, float]:
    start = perf_counter()
    keys = store.list()
    seconds = perf_counter() - start
    assert len(keys) == LISTED
    return {"list": seconds}


def listing_names(store: Store[Any]) -> dict[str, float]:
    place = folder(store)
    start = perf_counter()
    os.listdir(place)  # noqa: PTH208  the bare call
    return {"list": perf_counter() - start}


def clearing(store: Store[Any]) -> dict[str, float]:
    put_many(store)
    start = perf_counter()
    store.clear()
    return {"clear": perf_counter() - start}


def unlinking(store: Store[Any]) -> dict[str, float]:
    put_many(store)
    place = os.open(folder(store), os.O_RDONLY)
    start = perf_counter()
    for name in os.listdir(place):  # noqa: PTH208  as above
        if len(name) == 32:
            os.unlink(name, dir_fd=place)
    seconds = perf_counter() - start
    os.close(place)
    return {"clear": seconds}
