"""How do many threads do one thing at the same instant? Behind a barrier; the first failure is the test's."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Result = TypeVar("Result")


def in_threads(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Call `work(number)` in as many threads and give what they returned, in the order of the numbers.

    Raises:
        BaseException: What the first of them raised.
    """
    start = threading.Barrier(count)
    results: dict[int, Result] = {}
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            start.wait()
            results[number] = work(number)
        except BaseException as error:  # noqa: BLE001  raised below, in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(count)]


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Repeat `work` in another thread as long as the block runs; what it raises is raised after the block."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            while not stop.is_set():
                work()
                time.sleep(0.0002)  # work that never blocks would keep the interpreter to itself
        except BaseException as error:  # noqa: BLE001  raised below, in the thread of the test
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
