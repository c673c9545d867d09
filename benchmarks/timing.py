"""Time libraries in turns, so that changes of the machine's speed affect them alike."""

from __future__ import annotations

import gc
from collections import defaultdict
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: By contestant, by measure: all samples, in the order in which they were taken.
Samples = dict[str, dict[str, list[float]]]


def take_turns(contestants: Mapping[str, Callable[[], Mapping[str, float]]], repetitions: int) -> Samples:
    """Sample the contestants in turns, each turn in the opposite order of the one before.

    Args:
        contestants: By name: a function that works once and gives the seconds of each of its measures. It prepares
            and cleans up outside of what it times. Its first turn is not counted.
        repetitions: How many turns are counted.
    """
    samples: Samples = {name: defaultdict(list) for name in contestants}
    order = list(contestants)
    for turn in range(repetitions + 1):
        for name in order:
            gc.collect()
            gc.disable()
            try:
                measures = contestants[name]()
            finally:
                gc.enable()
            if turn:
                for measure, seconds in measures.items():
                    samples[name][measure].append(seconds)
        order.reverse()
    return samples


def time_each(operation: Callable[[Any], Any], items: Iterable[Any]) -> tuple[float, list[Any]]:
    """Apply an operation to each item.

    Returns:
        Mean seconds per item, without the release of the results, and the results.
    """
    items = list(items)
    start = perf_counter()
    results = [operation(item) for item in items]
    return (perf_counter() - start) / len(items), results
