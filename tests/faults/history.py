"""Check the history of a write-once store: whether every answer was right given all concurrent operations."""

from __future__ import annotations

import json
import time
from typing import NamedTuple

CLOCK = time.CLOCK_BOOTTIME if hasattr(time, "CLOCK_BOOTTIME") else time.CLOCK_MONOTONIC


class Event(NamedTuple):
    """One operation: what was done to which key, what came back, and when it began and ended.

    `value` is what was put, or what a get returned (None for a missing object).
    """

    operation: str
    key: str
    value: str | None
    begin: float
    end: float

    def line(self):
        """Give the event as one line, to report it from another process."""
        return json.dumps(self)

    @classmethod
    def of_line(cls, line):
        """Read an event from its line."""
        return cls(*json.loads(line))


def record(operation, key, call):
    """Run a call and give its event; `call` returns the value."""
    begin = time.clock_gettime(CLOCK)
    value = call()
    return Event(operation, key, value, begin, time.clock_gettime(CLOCK))


def violations(events):
    """List what cannot be: a wrong value, a lost object, an evicted one that came back.

    Each key is put at most once with one value and evicted at most once or more. A get may see either side of an
    operation that overlaps it in time, and only what is right of one that does not.
    """
    found = []
    by_key: dict[str, list[Event]] = {}
    for event in events:
        by_key.setdefault(event.key, []).append(event)
    for key, own in by_key.items():
        puts = [event for event in own if event.operation == "put"]
        evicts = [event for event in own if event.operation == "evict"]
        for seen in (event for event in own if event.operation == "get"):
            if seen.value is not None:
                if not any(put.value == seen.value and put.begin <= seen.end for put in puts):
                    found.append(f"wrong: {key} was {seen.value!r}, which nobody had put")
                elif any(evict.end < seen.begin for evict in evicts):
                    found.append(f"back from the dead: {key} was there after it had been evicted")
            elif any(put.end < seen.begin for put in puts) and not any(evict.begin < seen.end for evict in evicts):
                found.append(f"lost: {key} was missing after its put was acknowledged, and nobody had evicted it")
    return found
