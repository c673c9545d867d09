"""Pass the same objects through Ray: a program for an environment of its own, with one turn per line of input."""

from __future__ import annotations

import json
import os
import sys
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import ray

#: As many as Ray needs until its store has touched its memory once, however it distributes objects in it.
FIRST_TURNS = 5
LARGE_OBJECTS = 5
SMALL_OBJECTS = 250


@ray.remote(num_cpus=0)
class Reader:
    """A worker that keeps an array of its own to compare with."""

    def __init__(self, array: np.ndarray) -> None:
        self.local = array.copy()

    def resolve(self, references: list[Any]) -> dict[str, float]:
        """Get arrays one after another, then use all of each, beside the own one."""
        times, arrays = [], []
        for reference in references:
            start = perf_counter()
            array = ray.get(reference)
            array[-1]
            times.append(perf_counter() - start)
            arrays.append(array)
        sums = []
        for array in arrays:
            start = perf_counter()
            array.sum()
            used = perf_counter()
            self.local.sum()
            sums.append((used - start) / (perf_counter() - used))
        return {"first": times[0], "resolve": median(times[1:]), "sum": median(sums)}


class Turns:
    """What can be asked for, by name."""

    def __init__(self) -> None:
        self.array = np.random.default_rng(1).random(12_500_000)
        self.reader = Reader.remote(self.array)
        self.small = os.urandom(1000)
        for _ in range(FIRST_TURNS):
            self.hand_over()

    def hand_over(self) -> dict[str, float]:
        """Put large arrays, which a worker gets."""
        start = perf_counter()
        references = [ray.put(self.array) for _ in range(LARGE_OBJECTS)]
        seconds = (perf_counter() - start) / LARGE_OBJECTS
        # In a list they come as they are, unresolved.
        return {"put": seconds, **ray.get(self.reader.resolve.remote(references))}

    def put_and_get(self) -> dict[str, float]:
        """Put small objects and get them in the same process."""
        start = perf_counter()
        references = [ray.put(self.small) for _ in range(SMALL_OBJECTS)]
        put = perf_counter()
        objects = [ray.get(reference) for reference in references]
        end = perf_counter()
        assert objects[-1] == self.small
        return {"put": (put - start) / SMALL_OBJECTS, "get": (end - put) / SMALL_OBJECTS}

    def fan_out(self) -> dict[str, float]:
        """Pass a new array to tasks."""
        array = np.random.default_rng().random(25_000_000)
        start = perf_counter()
        reference = ray.put(array)
        means = ray.get([mean.remote(reference) for _ in range(8)])
        seconds = perf_counter() - start
        assert means == [array.mean()] * 8
        return {"all": seconds}


@ray.remote
def mean(array: np.ndarray) -> float:
    return float(array.mean())


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints to it
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=2_000_000_000,
        log_to_driver=False,
        logging_level="error",
        _temp_dir=sys.argv[1],
    )
    turns = Turns()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(getattr(turns, line.strip())()), file=answers, flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
