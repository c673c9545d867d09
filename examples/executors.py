"""Command-line options of the examples, and the executors that run their tasks."""

from __future__ import annotations

import argparse
import signal
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("process", "thread", "fork")


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of the options that all examples have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executor", choices=KINDS, default="process", help="process means spawned ones")
    parser.add_argument("--workers", type=int, default=2)
    return parser


@contextmanager
def open_executor(kind: str, workers: int) -> Iterator[Executor]:
    """Open an executor whose workers have all started; at the end, cancel the tasks that have not begun."""
    executor: Executor
    if kind == "thread":
        executor = ThreadPoolExecutor(workers)
    else:
        executor = ProcessPoolExecutor(workers, mp_context=get_context("fork" if kind == "fork" else "spawn"))
    try:
        with interrupts_put_off():
            started: set[int] = set()
            while len(started) < workers:
                started.update(executor.map(identify_worker, range(workers)))
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def interrupts_put_off() -> Iterator[None]:
    """Delay Ctrl-C until workers have started: one that is interrupted while it starts would never end.

    Workers inherit this for good: Ctrl-C interrupts this process, which then ends them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def identify_worker(_turn: int) -> int:
    """Return the number of the thread that runs this; the pause leaves the next turn to another worker."""
    time.sleep(0.02)
    return threading.get_native_id()
