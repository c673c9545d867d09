"""How many tasks has an executor, how many are done, and when is the last one?"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from psk.fork import after_fork_in_child
from psk.unraisable import report_ignored
from psk_patterns.errors import ExecutorClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk_patterns.executor.inputs import Inputs
    from psk_patterns.executor.task_future import TaskFuture

_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


class Ledger:
    """The tasks of one executor.

    Args:
        name: What messages call the executor.
        progress: Called with the number of tasks that are done, and of all.
    """

    def __init__(self, name: str, progress: Callable[[int, int], object] | None) -> None:
        self._name = name
        self._progress = progress
        self.renew_lock()
        self._pending: set[TaskFuture[Any]] = set()
        # Known by their inputs, not only counted: after an interrupt nobody knows whether one was counted.
        self._open: set[Inputs] = set()
        self._left = self._done = 0
        self._closed = False
        self._finally: Callable[[], object] | None = None
        _ledgers.add(self)

    def open(self, task: Inputs) -> None:
        """Count a task that is about to be submitted.

        Raises:
            ExecutorClosedError: There shall be no more.
        """
        with self._lock:
            if self._closed:
                raise ExecutorClosedError(
                    f"a task was submitted to {self._name} after its shutdown", remedy="submit it before, or open one"
                )
            self._open.add(task)

    def withdraw(self, task: Inputs) -> None:
        """Count a task no more, if it was counted: it could not be submitted."""
        with self._lock:
            self._open.discard(task)
        self._end()

    def enter(self, future: TaskFuture[Any]) -> None:
        """Remember the future of a submitted task until it is done."""
        with self._lock:
            self._pending.add(future)

    def report(self, task: Inputs) -> None:
        """Count a task as done, and tell whoever wants to know."""
        with self._lock:
            if task not in self._open:
                return
            self._done += 1
            done, total = self._done, self._left + len(self._open)
        if self._progress is not None:
            try:
                self._progress(done, total)
            except Exception:  # noqa: BLE001  it is the user's, and no task is to suffer from it
                report_ignored(self._progress, "psk could not report the progress of an executor")

    def leave(self, future: TaskFuture[Any], task: Inputs) -> None:
        """Forget a future that is done."""
        with self._lock:
            self._pending.discard(future)
            if task in self._open:
                self._open.remove(task)
                self._left += 1
        self._end()

    def close(self, finally_: Callable[[], object] | None) -> None:
        """Take no more tasks, and call a function when the last one is done."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._finally = finally_
        self._end()

    def cancel(self) -> None:
        """Cancel every task that has not begun."""
        with self._lock:
            pending = list(self._pending)
        for future in pending:
            future.cancel()

    def wait(self) -> None:
        """Wait until all tasks are done, as long as they may take."""
        with self._lock:
            self._changed.wait_for(lambda: not self._open)

    def _end(self) -> None:
        with self._lock:
            if self._open:
                return
            last = self._finally if self._closed else None
            if last is not None:
                self._finally = None
            self._changed.notify_all()
        if last is not None:
            last()

    def renew_lock(self) -> None:
        """Start afresh in a forked child: whoever held the lock is not there."""
        # Entered by itself: an interrupt may leave what Condition's own methods have entered locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)


@after_fork_in_child
def _renew_locks() -> None:
    for ledger in list(_ledgers):
        ledger.renew_lock()
