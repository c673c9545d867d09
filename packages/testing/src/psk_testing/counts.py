"""How often is each promise tried? By default so that a suite takes seconds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SCALE: Final = "PSK_CONFORMANCE_SCALE"
"""The environment variable by which all counts are multiplied."""

COUNTS: Final = {
    "model_runs": 30,  # random sequences of calls, compared with a dictionary
    "write_races": 20,  # instants at which several writers put one object
    "take_races": 30,  # instants at which several claimants take one object
    "swap_races": 30,  # revisions that several threads try to set
    "swaps": 300,  # revisions that readers watch
    "wakings": 20,  # waiters that are woken
    "evictions": 5,  # times that all objects are put and evicted beside a reader
    "turns": 50,  # puts, gets and evictions of each of 8 threads
    "failures": 50,  # calls that fail, after which nothing may be left
    "damages": 200,  # stored objects in which something is changed
    "killed_writers": 6,  # processes that are killed while they put
    "process_turns": 60,  # operations of each of 3 processes on shared objects
    "process_races": 15,  # objects that 3 processes put, or take, at once
    "forks": 3,  # children in which a connector is used on
    "ends": 3,  # processes that end with a connector open
}
"""What each count is when nothing else is said."""


def count_of(name: str, own: Mapping[str, int]) -> int:
    """Look up how often to try something.

    Args:
        name: One of `COUNTS`.
        own: What the suite says instead.

    Raises:
        LookupError: There is no such count.
        ValueError: The variable `PSK_CONFORMANCE_SCALE` is no positive number.
    """
    unknown = {name, *own} - set(COUNTS)
    if unknown:
        message = f"the suite counts {', '.join(COUNTS)}, and has no {', '.join(map(repr, sorted(unknown)))}"
        raise LookupError(message)
    factor = float(os.environ.get(SCALE) or 1)
    if not 0 < factor < float("inf"):
        message = f"{SCALE} is what every count is multiplied with: give a positive number"
        raise ValueError(message)
    return max(1, round(own.get(name, COUNTS[name]) * factor))
