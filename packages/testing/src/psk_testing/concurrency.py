"""Run a test's work in many threads at once, beside others, and in forked children."""

from __future__ import annotations

import json
import os
import select
import signal
import threading
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


Result = TypeVar("Result")


def in_threads(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Call `work(number)` in as many threads and return their results, in the order of the numbers.

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


PATIENCE_SECONDS = 10.0


def outcome_of(call: Callable[[], object]) -> str:
    """Call, and return the name of the error, or the result in words."""
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001  told to the test
        return type(error).__name__


def in_forked_child(calls: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """Call functions in a forked child; see `in_forked_children`."""
    return in_forked_children(calls, 1)[0]


def in_forked_children(calls: Mapping[str, Callable[[], object]], count: int) -> list[dict[str, str]]:
    """Call functions in several forked children at the same time, in each one after the other.

    Args:
        calls: The functions by name.
        count: The number of children.

    Returns:
        For each child, by name, what each function returned, in words, or the name of its error; "hangs" for the one
        that did not return and nothing for those behind it.
    """
    children = [_begin(calls) for _ in range(count)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    return [_end(child, calls, deadline) for child in children]


def _begin(calls: Mapping[str, Callable[[], object]]) -> tuple[int, int]:
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads run: that is what is tried
        pid = os.fork()
    if pid == 0:
        for name, call in calls.items():
            os.write(write, json.dumps([name, outcome_of(call)]).encode() + b"\n")
        os._exit(0)
    os.close(write)
    return pid, read


def _end(child: tuple[int, int], calls: Mapping[str, Callable[[], object]], deadline: float) -> dict[str, str]:
    pid, read = child
    said = _read_all(read, deadline)
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    outcomes = dict(json.loads(line) for line in said.split(b"\n")[:-1])
    for name in calls:
        if name not in outcomes:
            outcomes[name] = "hangs"
            break
    return outcomes


def _read_all(descriptor: int, deadline: float) -> bytes:
    said = b""
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        more = os.read(descriptor, 65536)
        if not more:
            break
        said += more
    return said
