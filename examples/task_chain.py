"""Run a chain of tasks that take a while to start, stage by stage or pipelined by futures.

The tasks have the shape of the 1000 Genomes workflow: several read the variants of the individuals, one merges them,
one selects the harmful ones, and some look for mutations that the members of a population share. By value, a task is
submitted when its inputs exist, so each stage waits for the start-up of its tasks, and everything passes through this
process. By future, all tasks are submitted at once with proxies of results that do not exist yet: they start up
together, and each continues as soon as its inputs exist. The genotypes are random. The start-up is a sleep, in place of
imports, containers, or the queue of a batch system.

    python examples/task_chain.py [--start-up 0.5] [--variants 40000] [--executor process|thread|fork] [--workers 8]
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from channel import temporary_store
from cost import Cost, counted
from executors import open_executor, option_parser
from saved import count, duration, megabytes, table

from psk_patterns import future

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from psk import Store
    from psk_patterns import Future

    Genotypes = NDArray[np.bool_]

CHUNKS = 4
INDIVIDUALS = 500
POPULATIONS = ("AFR", "EUR")
WAIT_SECONDS = 60.0


def individuals(chunk: int, variants: int) -> Genotypes:
    """Return which individual (column) has which variant (row), in one part of the chromosome."""
    random = np.random.default_rng(chunk)
    frequency = random.beta(0.5, 2.0, size=(variants // CHUNKS, 1))
    return random.random((variants // CHUNKS, INDIVIDUALS)) < frequency


def merge(parts: list[Genotypes]) -> Genotypes:
    return np.concatenate(parts)


def sifting(genotypes: Genotypes) -> Genotypes:
    """Keep the variants that are rare, as harmful ones are."""
    return genotypes[genotypes.mean(axis=1) < 0.05]


def mutation_overlap(genotypes: Genotypes, population: str) -> float:
    """Return how many mutations two members of a population share, in the mean over all pairs."""
    members = genotypes[:, POPULATIONS.index(population) :: len(POPULATIONS)].astype(np.float32)
    shared = members.T @ members
    return float((shared.sum() - shared.trace()) / (shared.size - len(shared)))


def start(start_up: float, task: Callable[..., Any], *inputs: Any) -> Any:
    """Run a task where a worker is, after what it takes to start it."""
    time.sleep(start_up)
    return task(*inputs)


def by_value(executor: Executor, variants: int, start_up: float) -> list[float]:
    """Submit each task when the results that it needs are here."""
    reading = [executor.submit(start, start_up, individuals, chunk, variants) for chunk in range(CHUNKS)]
    merged = executor.submit(start, start_up, merge, [each.result() for each in reading]).result()
    sifted = executor.submit(start, start_up, sifting, merged).result()
    overlaps = [executor.submit(start, start_up, mutation_overlap, sifted, name) for name in POPULATIONS]
    return [each.result() for each in overlaps]


def by_future(executor: Executor, store: Store, variants: int, start_up: float) -> list[float]:
    """Submit all tasks at once, producers before consumers, so that no pool is too small."""
    with promises(store, CHUNKS + 2 + len(POPULATIONS)) as made:
        parts, (merged, sifted), overlaps = made[:CHUNKS], made[CHUNKS : CHUNKS + 2], made[CHUNKS + 2 :]
        for chunk, part in enumerate(parts):
            executor.submit(keep, part, start_up, individuals, chunk, variants)
        executor.submit(keep, merged, start_up, merge, [part.proxy() for part in parts])
        executor.submit(keep, sifted, start_up, sifting, merged.proxy())
        for overlap, name in zip(overlaps, POPULATIONS, strict=True):
            executor.submit(keep, overlap, start_up, mutation_overlap, sifted.proxy(), name)
        return [overlap.result() for overlap in overlaps]


def keep(promise: Future[Any], start_up: float, task: Callable[..., Any], *inputs: Any) -> None:
    """Run a task in a worker, and fulfil the future of its result, or set its error."""
    promise.claim()  # from here on, waiting processes notice if this one dies
    try:
        promise.set_result(start(start_up, task, *inputs))
    except Exception as error:  # noqa: BLE001  whatever it is, those who wait must know
        promise.set_exception(error)


@contextmanager
def promises(store: Store, number: int) -> Iterator[list[Future[Any]]]:
    """Make futures for a `with` block, and release them afterwards."""
    made = [future(store, timeout=WAIT_SECONDS) for _ in range(number)]
    try:
        yield made
    finally:
        for each in made:
            each.release()


def main() -> None:
    parser = option_parser(__doc__)
    parser.set_defaults(workers=8)
    parser.add_argument("--start-up", type=float, default=0.5, help="seconds before a task can work; default 0.5")
    parser.add_argument("--variants", type=int, default=40_000, help="rows of the genotypes; default 40,000")
    options = parser.parse_args()
    waited, pipelined = Cost(), Cost()
    with temporary_store() as store, open_executor(options.executor, options.workers) as executor:
        with counted(waited):
            expected = by_value(executor, options.variants, options.start_up)
        with counted(pipelined):
            overlaps = by_future(executor, store, options.variants, options.start_up)
        left = len(store.list())
    assert overlaps == expected, "futures changed the result"
    assert left == 0, "objects were left"
    found = ", ".join(f"{name} {value:.1f}" for name, value in zip(POPULATIONS, overlaps, strict=True))
    print(f"{options.variants:,} variants of {INDIVIDUALS} individuals; mutations that two of them share: {found}")
    print("(the same by value and by future)\n")
    figures = [
        ("time", waited.seconds, pipelined.seconds, duration),
        ("bytes through the executor", waited.sent + waited.received, pipelined.sent + pipelined.received, megabytes),
    ]
    print(table("stage by stage", "by future", figures))
    print(f"\nobjects left: {count(left)}")


if __name__ == "__main__":
    main()
