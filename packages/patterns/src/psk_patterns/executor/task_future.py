"""The futures of submitted tasks: their outcomes, their counting, and tasks that wait for other tasks."""

from __future__ import annotations

import concurrent.futures
import threading
import weakref
from collections import deque
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from psk.errors import report_ignored
from psk.fork import after_fork_in_child
from psk_patterns.deferred_cleanup import later
from psk_patterns.errors import ExecutorClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from psk_patterns.executor.inputs import Inputs

T = TypeVar("T")
Receive: TypeAlias = "Callable[[Any], tuple[Any, Callable[[], object] | None]]"


class TaskFuture(concurrent.futures.Future[T]):
    """The outcome of a task of a `StoreExecutor`; it works with everything that takes `concurrent.futures.Future`.

    Only a `StoreExecutor` makes one.
    """

    # Defaults on the class: an executor makes one of these for every task.
    _inner: Any = None
    _is_wanted = True
    _evict_result: Callable[[], object] | None = None

    def __init__(self, inputs: Inputs, *, retries: bool) -> None:
        super().__init__()
        self._inputs = inputs
        self._retries = retries

    def cancel(self) -> bool:
        """Try to cancel the task, which fails once a worker has begun it.

        Returns:
            Whether it is cancelled.
        """
        inner = self._inner
        # The inner future's callback cancels this one, which may take a while if the engine is remote.
        return (inner is not None and bool(inner.cancel())) or self.cancelled()

    def running(self) -> bool:
        """Return whether a worker runs the task, as far as the wrapped executor tells."""
        running = getattr(self._inner, "running", None)
        return not self.done() and running is not None and bool(running())

    def release(self) -> None:
        """Evict the arguments that were put into the store: at once if the task is done, else when it is.

        Needed with `retries=True` only, instead of dropping the future; twice has no effect.
        """
        self._retries = False
        if self.done():
            self._inputs.release()

    def abandon(self) -> None:
        """Give up the result: cancel the task if it has not begun, and evict what was put for it.

        The objects of the result are evicted too, owned or not; so no other code may have seen it.
        """
        self._is_wanted = False
        self.cancel()
        self.release()
        if self.done() and self._evict_result is not None:
            self._evict_result()

    def follow(self, inner: Any, receive: Receive, tasks: Tasks) -> None:
        """Take over the outcome of the wrapped executor's future; called once, by the executor.

        Args:
            inner: That future.
            receive: Unpacks its result; returns that, and what evicts its objects if they are not owned.
            tasks: Is told when the task is done.
        """
        self._inner = inner
        if self._retries and (self._inputs.keys or self._inputs.awaited):
            weakref.finalize(self, later, self._inputs.release)
        inner.add_done_callback(_Relay(self, receive, tasks))

    def _conclude(self, inner: Any, receive: Receive, tasks: Tasks) -> None:
        result, error = _outcome_of(inner)
        if error is None:
            try:
                result, self._evict_result = receive(result)
            except Exception as failure:  # noqa: BLE001  a result that cannot be received is the task's failure
                result, error = None, failure
        # A caller that sees the outcome finds the store without the arguments.
        self._inputs.settle()
        if not self._retries:
            self._inputs.release()
        tasks.report(self)
        self._publish(result, error)
        # Without the reference to each other, dropping this future is noticed.
        self._inner = None
        if self._inputs.keys and not self._retries:  # `release` was called meanwhile
            self._inputs.release()
        if not self._is_wanted and self._evict_result is not None:
            self._evict_result()
        tasks.leave(self)

    def _publish(self, result: Any, error: BaseException | None) -> None:
        if error is None:
            self.set_result(result)
        elif isinstance(error, _TaskCancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
        else:
            self.set_exception(error)


class _TaskCancelledError(CancelledError):
    """The task was cancelled; a plain CancelledError may be what the task raised, of another future."""


class _Relay:
    """The callback of the wrapped executor's future, which forgets ours when it is done."""

    __slots__ = ("_parts",)

    def __init__(self, future: TaskFuture[Any], receive: Receive, tasks: Tasks) -> None:
        self._parts: Any = (future, receive, tasks)

    def __call__(self, inner: Any) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            future, receive, tasks = parts
            future._conclude(inner, receive, tasks)  # noqa: SLF001  of this module


def _outcome_of(inner: Any) -> tuple[Any, BaseException | None]:
    """Return a done future's result or its error, without adding this frame to the error's traceback if possible."""
    cancelled = getattr(inner, "cancelled", None)
    if cancelled is not None and cancelled():
        return None, _TaskCancelledError()
    exception = getattr(inner, "exception", None)
    error = None if exception is None else exception()
    if error is not None:
        return None, error
    try:
        return inner.result(), None
    except BaseException as failure:  # noqa: BLE001  a task may raise anything
        if cancelled is None and type(failure) is CancelledError:
            return None, _TaskCancelledError()
        return None, failure


class Tasks:
    """The unfinished tasks of one executor, and their number.

    Args:
        name: What messages call the executor.
        progress: Called with the number of tasks that are done, and of all.
    """

    def __init__(self, name: str, progress: Callable[[int, int], object] | None) -> None:
        self._name = name
        self._progress = progress
        # A set, not a number: after an interrupt it is not known whether a task was counted.
        self._open: set[TaskFuture[Any]] = set()
        self._left = self._done = 0
        self._closed = False
        self._finally: Callable[[], object] | None = None
        self._reset()
        after_fork_in_child(self, Tasks._reset)

    def _reset(self) -> None:
        # Entered by itself: an interrupt may leave a lock that Condition's own methods have entered locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def open(self, task: TaskFuture[Any]) -> None:
        """Count a task that is about to be submitted.

        Raises:
            ExecutorClosedError: The executor was shut down.
        """
        with self._lock:
            if self._closed:
                raise ExecutorClosedError(
                    f"a task was submitted to {self._name} after its shutdown",
                    remedy="submit it before, or make another executor",
                )
            self._open.add(task)

    def report(self, task: TaskFuture[Any]) -> None:
        """Call the progress function for a task that is about to be done."""
        if self._progress is None or task not in self._open:
            return
        with self._lock:
            self._done += 1
            done, total = self._done, self._left + len(self._open)
        try:
            self._progress(done, total)
        except Exception:  # noqa: BLE001  the user's function must not make a task fail
            report_ignored(self._progress, "psk could not report the progress of an executor")

    def leave(self, task: TaskFuture[Any], *, is_done: bool = True) -> None:
        """Forget a task that is done, or that could not be submitted and does not count."""
        with self._lock:
            if task in self._open:
                self._open.remove(task)
                self._left += is_done
        self._end()

    def close(self, finally_: Callable[[], object] | None) -> None:
        """Accept no more tasks, and call a function when the last one is done."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._finally = finally_
        self._end()

    def cancel(self) -> None:
        """Cancel every task that has not begun."""
        with self._lock:
            tasks = list(self._open)
        for task in tasks:
            task.cancel()

    def wait(self) -> None:
        """Wait until all tasks are done, without a time limit."""
        with self._lock:
            self._changed.wait_for(lambda: not self._open)

    def _end(self) -> None:
        if self._open:
            return
        with self._lock:
            if self._open:
                return
            last = self._finally if self._closed else None
            if last is not None:
                self._finally = None
            self._changed.notify_all()
        if last is not None:
            last()


def submit_after(futures: Collection[Future[Any]], submit: Callable[[], Any]) -> Future[Any]:
    """Submit a task when other futures are done, without a thread that waits for them.

    Args:
        futures: What to wait for; at least one.
        submit: Called once, in the thread of the future that is done last; returns the engine's future.

    Returns:
        A future of the task's outcome, or of the error of `submit`; it can be cancelled until that is called.
    """
    outcome: Future[Any] = Future()
    countdown = _Countdown(len(futures), submit, outcome)
    for future in tuple(futures):
        future.add_done_callback(countdown)
    return outcome


_local = threading.local()


class _Countdown:
    """The callback of each awaited future; the last one submits the task.

    A done future keeps its callbacks, so this one drops its references then.
    """

    __slots__ = ("_left", "_lock", "_outcome", "_submit")

    def __init__(self, left: int, submit: Callable[[], Any], outcome: Future[Any]) -> None:
        self._left = left
        self._lock = threading.Lock()
        self._submit: Any = submit
        self._outcome: Any = outcome

    def __call__(self, _done: Future[Any]) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
        due = getattr(_local, "due", None)
        if due is not None:
            # A callback of a task that is being ended below: a long chain of tasks must not become one of calls.
            due.append(self)
            return
        _local.due = due = deque([self])
        try:
            while due:
                due.popleft().end()
        finally:
            del _local.due

    def end(self) -> None:
        """Submit the task, whose awaited futures are done."""
        submit, outcome = self._submit, self._outcome
        self._submit = self._outcome = None
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            submit().add_done_callback(partial(_relay, outcome))
        except BaseException as error:  # noqa: BLE001  callers that wait for the outcome get it
            outcome.set_exception(error)
        finally:
            del submit, outcome  # an error's traceback would keep them


def _relay(outcome: Future[Any], inner: Any) -> None:
    result, error = _outcome_of(inner)
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
