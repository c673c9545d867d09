"""Measure the memory that a workflow in stages takes in the store, beside one that evicts by hand.

Each stage has 16 tasks in 2 processes; those of the second and third use one result of the stage before, and let it go
when they are done. Run as a program, it takes the megabytes of one result:

    python benchmarks/staged_workflow.py [megabytes]
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from proxystore.connectors.file import FileConnector as TheirFileConnector
from proxystore.store import Store as TheirStore
from proxystore.store.executor import ProxyType as TheirProxyType
from proxystore.store.executor import StoreExecutor as TheirStoreExecutor
from proxystore.store.ref import borrow as their_borrow
from proxystore.store.scopes import mark_refs_out_of_scope as their_mark
from rivals import memory_directory, workers
from row import Row
from table import results_table

from psk import Store, StoreConfig, get_or_create_store
from psk_patterns import ProxySize, StoreExecutor, borrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor

NBYTES: Final = 100_000_000
STAGES: Final = 3
TASKS: Final = 16
WORKERS: Final = 2
REPETITIONS: Final = 5
#: Half a minute each.
THEIR_REPETITIONS: Final = 1
TTL: Final = 3.0
#: What a task does besides; shorter than the work on 100 MB, longer than an eviction takes.
WORK_SECONDS: Final = 0.05
RAISING: Final = frozenset({3, 11})
KILLED: Final = 7


class OnPurposeError(Exception):
    """What the tasks raise that are to fail."""


def measure(nbytes: int = NBYTES) -> Iterator[Row]:
    """Run the workflow with owned results and with eviction by hand, in turns; then with failures."""
    for faults, name in ((False, ""), (True, "; 2 tasks raise, 1 worker is killed")):
        runs: dict[type, list[Run]] = {ByHand: [], Owned: [], Theirs: []}
        for turn in range(REPETITIONS):
            for kind, seen in runs.items():
                # Its owners do not survive a broken pool.
                if kind is not Theirs or (turn < THEIR_REPETITIONS and not faults):
                    seen.append(run(kind, nbytes, faults=faults))
        hand, *both = runs.values()
        what = f"{STAGES} stages of {TASKS} x {nbytes // 1_000_000} MB{name}"
        # Of all runs together: whether two workers put at the same moment, which is one result more, is chance.
        usual = mean(each.peak for each in hand)
        peaks = [[mean(each.peak for each in them) / usual] if them else [] for them in both]
        yield Row(f"{what}: mean peak in the store, over eviction by hand", "times", *peaks, limit=1.05, digits=3)
        left = [[each.left / nbytes for each in them] for them in (*both, hand)]
        yield Row("... left in the store at the end, over one result", "times", left[0], left[1], limit=0)
        yield Row("... left where a program evicts by hand", "times", left[2], [])
        yield Row("... from the first task to the last result", "s", *[[it.seconds for it in them] for them in both])


class Run:
    """What was seen of one workflow.

    Attributes:
        peak: Bytes in the store at most.
        left: Bytes in it at the end, after what may yet expire.
        seconds: From the first task to the last result.
    """

    peak = 0
    left = 0
    seconds = 0.0


class ByHand:
    """Workers put results and send keys; the program evicts each key when the task that uses it is done."""

    patience = 0.0

    def __init__(self, nbytes: int) -> None:
        self.store = Store("staged", "shm://", register=True)
        self.nbytes = nbytes
        self.pool = self.open_pool()

    def open_pool(self) -> Executor:
        """Start processes, and what submits to them."""
        return workers(WORKERS)

    def submit(self, function: Callable[..., Any], given: Any, fault: str) -> Future[Any]:
        """Submit a task that uses a result of the stage before, or None."""
        return self.pool.submit(use_and_put, self.store.config(), function, given, self.nbytes, fault)

    def let_go(self, given: Any) -> None:
        """Have done with such a result."""
        self.store.evict(given)

    def held(self) -> int:
        """Return the number of bytes in the store."""
        return sum(stat.nbytes for key in self.store.list() if (stat := self.store.stat(key)))

    def close(self) -> None:
        """Remove what is left."""
        self.store.clear()
        self.store.close()


def use_and_put(config: StoreConfig, function: Callable[..., Any], given: Any, nbytes: int, fault: str) -> Any:
    store = get_or_create_store(config)
    result = function(None if given is None else store.get(given), nbytes, fault)
    return store.put(result) if isinstance(result, np.ndarray) else result


class Owned(ByHand):
    """Results come back owned; a task borrows one, and the program drops it when the task is done."""

    patience = TTL + 1

    def open_pool(self) -> Executor:
        """Do as `ByHand` does."""
        return StoreExecutor(workers(WORKERS), self.store, ProxySize(self.nbytes // 2), ttl=TTL)

    def submit(self, function: Callable[..., Any], given: Any, fault: str) -> Future[Any]:
        """Do as `ByHand` does."""
        return self.pool.submit(function, given if given is None else borrow(given), self.nbytes, fault)

    def let_go(self, given: Any) -> None:
        """Do nothing: the caller drops it."""


class Theirs(Owned):
    """The same in ProxyStore, whose owners cannot be evicted while borrowed, so each borrow has to be ended.

    They are in reference cycles, so that their objects stay until the garbage collector runs, at the latest at the end.
    """

    patience = 1.0

    def __init__(self, nbytes: int) -> None:
        self._folder = memory_directory()
        self.folder = self._folder.__enter__()
        # A name of its own: owners that are dropped after the end open and register the store once more.
        name = Path(self.folder).name
        self.store = TheirStore(name, TheirFileConnector(self.folder, clear=False), register=True)
        self.nbytes = nbytes
        self.lent: dict[int, Any] = {}
        self.pool = self.open_pool()

    def open_pool(self) -> Executor:
        """Do as `ByHand` does."""
        return TheirStoreExecutor(workers(WORKERS), self.store, TheirProxyType(np.ndarray), close_store=False)

    def submit(self, function: Callable[..., Any], given: Any, fault: str) -> Future[Any]:
        """Do as `ByHand` does."""
        if given is None:
            return self.pool.submit(function, None, self.nbytes, fault)
        self.lent[id(given)] = their_borrow(given)
        return self.pool.submit(function, self.lent[id(given)], self.nbytes, fault)

    def let_go(self, given: Any) -> None:
        """End the borrow: the caller drops the owner, which evicts."""
        their_mark(self.lent.pop(id(given)))

    def held(self) -> int:
        """Do as `ByHand` does."""
        with suppress(FileNotFoundError):
            return sum(entry.stat().st_size for entry in os.scandir(self.folder))
        return 0

    def close(self) -> None:
        """Do as `ByHand` does."""
        self.store.close()
        self._folder.__exit__(None, None, None)


def run(kind: type[ByHand], nbytes: int, *, faults: bool) -> Run:
    contestant = kind(nbytes)
    try:
        with watched(contestant) as seen:
            made = run_stage(contestant, make, dict.fromkeys(range(TASKS)), faults=False)
            changed = run_stage(contestant, change, made, faults=faults)
            totals = run_stage(contestant, first_item, changed, faults=False)
            contestant.pool.shutdown()
        assert len(totals) == TASKS - len(RAISING) * faults
        assert set(totals.values()) == {2}
    finally:
        contestant.close()
    return seen


def run_stage(
    contestant: ByHand, function: Callable[..., Any], inputs: dict[int, Any], *, faults: bool
) -> dict[int, Any]:
    """Run a function on each input and drop the input; repeat the tasks that a killed worker lost."""
    results = {}
    first = True
    while inputs:
        pending = {}
        with suppress(BrokenProcessPool):  # raised by those that are submitted when the worker is dead already
            for number, given in inputs.items():
                pending[contestant.submit(function, given, fault_of(number, first=first) if faults else "")] = number
        for future in as_completed(pending):
            try:
                results[pending[future]] = future.result()
            except BrokenProcessPool:
                continue
            except OnPurposeError:
                pass
            given = inputs.pop(pending[future])
            if given is not None:
                contestant.let_go(given)
            del given
        if inputs:
            contestant.pool.shutdown()
            contestant.pool = contestant.open_pool()
        first = False
    return results


def fault_of(number: int, *, first: bool) -> str:
    return "raise" if number in RAISING else "die" * (first and number == KILLED)


@contextmanager
def watched(contestant: ByHand) -> Iterator[Run]:
    """Check a store all the time, and again when what may expire has done so."""
    seen, done = Run(), threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            seen.peak = max(seen.peak, contestant.held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    try:
        yield seen
    finally:
        seen.seconds = time.perf_counter() - start
        done.set()
        watcher.join()
    end = time.monotonic() + contestant.patience
    while (left := contestant.held()) and time.monotonic() < end:
        gc.collect()
        time.sleep(0.05)
    seen.left = left


def make(_nothing: None, nbytes: int, fault: str) -> np.ndarray:
    work(fault)
    return np.ones(nbytes, dtype="u1")


def change(array: np.ndarray, nbytes: int, fault: str) -> np.ndarray:
    work(fault)
    assert len(array) == nbytes
    return array + np.uint8(1)


def first_item(array: np.ndarray, nbytes: int, fault: str) -> int:
    work(fault)
    assert len(array) == nbytes
    return int(array[0])


def work(fault: str) -> None:
    time.sleep(WORK_SECONDS)
    if fault == "raise":
        raise OnPurposeError
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    print(results_table([row.as_dict() for row in measure(int(sys.argv[1]) * 1_000_000 if sys.argv[1:] else NBYTES)]))
