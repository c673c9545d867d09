"""Work on large memory with several threads, all of which end with the call."""

from __future__ import annotations

import os
from _queue import Empty, SimpleQueue  # `queue` takes longer to import
from _thread import start_new_thread
from collections import deque
from contextlib import suppress
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Final, TypeVar

from psk.errors import ForkedConnectorError
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

MOST_THREADS: Final = 4
"""Threads of one call: more hardly copy faster, as all of them share the memory's bandwidth."""

THREAD_BYTES: Final = 2 * 1024 * 1024
"""Bytes that are worth a thread: starting one costs about as much as copying half of that."""

_LOOK_SECONDS: Final = 0.1


def for_each(function: Callable[[T], object], items: Iterable[T], nbytes: int) -> None:
    """Call a function with each item, in any order, by as many threads as pay and as this process may use cores.

    The function should release the interpreter's lock. This thread works too, and alone if no other can be started.
    When the call ends, with an error or an interrupt as well, no thread works on an item any more, or holds one.

    Args:
        function: What to call; the first exception ends the work and is raised here.
        items: What to call it with.
        nbytes: Bytes of memory to work on, in all.
    """
    todo: deque[T | None] = deque(items)
    most = min(nbytes // THREAD_BYTES, MOST_THREADS, len(todo))
    ends = [None] * MOST_THREADS  # one for each thread
    todo.extend(ends)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while (item := todo.popleft()) is not None:
                function(item)
        except BaseException as error:  # noqa: BLE001  raised below, by the thread that called
            todo.extendleft(ends)
            errors.append(error)

    threads = _Threads()
    # Twice: an interrupt may come at the start of the first.
    try:
        try:
            _calls.add(threads)
            if most > 1:
                threads.start(work, min(most, usable_cores() // len(_calls)) - 1)
            work()
        finally:
            todo.extendleft(ends)
            threads.wait()
            _calls.discard(threads)
        if errors:
            raise errors.pop()
    finally:
        todo.extendleft(ends)
        threads.wait()
        _calls.discard(threads)
        errors.clear()  # in a cycle with the frames that they hold


_calls: set[_Threads] = set()
"""The threads of all calls: those that are made at the same time share the cores."""


@after_fork_in_child
def _forget_calls() -> None:
    _calls.clear()


class _Threads:
    """The threads that help in one call. They are not in `threading`'s books, so starting one takes 10 us."""

    __slots__ = ("_ended", "_jobs", "_process", "_started", "_wake")

    def __init__(self) -> None:
        self._jobs: list[Callable[[], None]] = []
        self._started: list[int] = []
        self._ended: list[None] = []
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._process = os.getpid()

    def start(self, work: Callable[[], None], count: int) -> None:
        """Start threads, as many as the system allows."""
        self._jobs += [work] * count
        with suppress(RuntimeError):  # none left, or the interpreter is ending
            # One call in C, so that no interrupt comes between the start of a thread and its entry in the list.
            self._started.extend(map(start_new_thread, repeat(self._run, count), repeat(())))

    def wait(self) -> None:
        """Wait until none of them works any more; what interrupts that is raised afterwards."""
        self._jobs.clear()
        interrupt: BaseException | None = None
        while len(self._ended) < len(self._started):
            if os.getpid() != self._process:
                raise ForkedConnectorError(
                    "a copy of large memory cannot continue in a forked child",
                    remedy="do not return from a signal handler in a child that it forked",
                )
            try:
                self._wake.get(timeout=_LOOK_SECONDS)  # an interrupt may lose what wakes, so it only saves time
            except Empty:
                pass
            except BaseException as error:  # noqa: BLE001  raised below: they still work on the caller's memory
                interrupt = error
        if interrupt is not None:
            try:
                raise interrupt
            finally:
                interrupt = None  # in a cycle with this frame

    def _run(self) -> None:
        try:
            self._jobs.pop()()  # of which the thread holds nothing when it ends
        except IndexError:  # the work was over before it began
            pass
        finally:
            self._ended.append(None)
            self._wake.put(None)


def usable_cores() -> int:
    """Return how many cores this process may use: its affinity, and the limit of its control groups."""
    try:
        allowed = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on this system
        allowed = os.cpu_count() or 1
    return max(min(allowed, _quota()), 1)


@cache
def _quota() -> int:
    """Return how many whole cores the control groups (version 2) of this process leave it."""
    quota = MOST_THREADS
    with suppress(OSError, ValueError, StopIteration):  # not on this system, or a name that is no text
        path = "/sys/fs/cgroup" + next(line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::"))
        while path != "/sys/fs":
            with suppress(OSError, ValueError, IndexError):  # no limit, written as `max`, or none that can be read
                most, period = _lines(f"{path}/cpu.max")[0].split()
                quota = min(quota, int(most) // int(period))
            path = path[: path.rindex("/")]
    return quota


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib costs 10 ms of import
        return file.read().splitlines()
