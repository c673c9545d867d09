"""Run work in a bounded pool of daemon threads, which end when idle."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from psk.errors import ShortageError, report_ignored
from psk.fork import after_fork_in_child
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")

IDLE_SECONDS = 1.0
"""Seconds that a thread waits for more work before it ends."""

MAX_THREADS = 32
"""The number of threads that work at once; further tasks wait."""

MAX_ASIDE = 256
"""The number of further threads, one for each that has stepped aside while it waits."""


class _Pool:
    """Tasks and the threads that run them; a forked child gets a new pool, for it has none of these threads."""

    __slots__ = ("aside", "changed", "idle", "lock", "tasks", "workers")

    def __init__(self) -> None:
        # Re-entrant: a finaliser that runs while the pool is locked may start a task. And entered by itself: an
        # interrupt may leave what Condition's own methods have entered locked.
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.tasks: deque[Callable[[], object]] = deque()
        self.workers: set[threading.Thread] = set()
        self.idle = 0
        self.aside = 0

    def add(self, task: Callable[[], object]) -> None:
        with self.lock:
            self.tasks.append(task)
            self.changed.notify()
        try:
            # A task that waits for the task it starts must not wait for a place in its own pool.
            self.grow(beyond=threading.current_thread() in self.workers)
        except RuntimeError:
            with self.lock:
                if not self.workers and task in self.tasks:
                    self.tasks.remove(task)
                    raise

    def grow(self, *, beyond: bool = False) -> None:
        """Start a thread if a task waits for one and there is a place for it, or if it may go beyond all places."""
        worker = None
        try:
            with self.lock:
                is_full = len(self.workers) >= MAX_THREADS + min(self.aside, MAX_ASIDE)
                if len(self.tasks) > self.idle and (beyond or not is_full):
                    worker = threading.Thread(target=self.work, name="psk-background", daemon=True)
                    self.workers.add(worker)
            # Without the lock: `start` waits for the thread, in which the garbage collector may run finalisers.
            if worker is not None:
                worker.start()
        except BaseException as error:
            if worker is not None and not worker.is_alive():  # an interrupt may have come later
                self.workers.discard(worker)
            if isinstance(error, RuntimeError):
                raise ShortageError(
                    "no thread can be started for work in the background",
                    remedy="raise the limit of threads; none can be started while the interpreter exits",
                ) from error
            raise

    def work(self) -> None:
        me = threading.current_thread()
        while True:
            with self.lock:
                self.idle += 1
                try:
                    while not self.tasks:
                        if not self.changed.wait(IDLE_SECONDS) and not self.tasks:
                            self.workers.discard(me)
                            return
                finally:
                    self.idle -= 1
                task = self.tasks.popleft()
            task()
            del task  # its arguments may be large, and the next task may not come soon


_pool = _Pool()


@after_fork_in_child
def _replace_pool() -> None:
    global _pool  # noqa: PLW0603  # after a fork the threads are gone, and the lock may have been copied held
    _pool = _Pool()


def start(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run a function in the background and drop its result.

    An exception goes to `sys.unraisablehook`. A forked child does not run the waiting tasks of its parent.
    """
    context = copy_context()

    def task() -> None:
        try:
            context.run(function, *args, **kwargs)
        except BaseException:  # noqa: BLE001  # no caller can catch it, and the thread serves other tasks
            report_ignored(function, "Exception ignored in background task")

    _pool.add(task)


def submit(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Run a function in the background.

    Returns:
        The future of its result. A forked child must not wait for a future of its parent.
    """
    with on_demand:
        from concurrent.futures import Future  # takes 17 ms to import, and most processes never submit

    future: Future[T] = Future()
    context = copy_context()

    def task() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(function, *args, **kwargs)
        except BaseException as error:  # noqa: BLE001  # raised where the result is requested
            future.set_exception(error)
        else:
            future.set_result(result)

    _pool.add(task)
    return future


@contextmanager
def stepping_aside() -> Iterator[None]:
    """Give up this thread's place in the pool while it only waits; does nothing in other threads.

    Otherwise waits could occupy all places of the pool, and the work that they wait for would never start.
    """
    pool = _pool
    if threading.current_thread() not in pool.workers:
        yield
        return
    with pool.lock:
        pool.aside += 1
    try:
        with suppress(RuntimeError):  # no thread can be started: the tasks wait for one that comes back
            pool.grow()
        yield
    finally:
        with pool.lock:
            pool.aside -= 1
