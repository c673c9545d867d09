"""Tasks whose arguments are the outcomes of other tasks: submitted when those are done, by whichever is last."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from psk_patterns.executor.task_future import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


def submit_after(futures: Collection[Future[Any]], submit: Callable[[], Any]) -> Future[Any]:
    """Submit a task when futures are done, without a thread that waits for them.

    Args:
        futures: What to wait for; at least one.
        submit: Called once, in the thread of the future that is done last, and gives the engine's future.

    Returns:
        A future of the task's outcome, or of the error of `submit`; it can be cancelled until that is called.
    """
    outcome: Future[Any] = Future()
    countdown = _Countdown(len(futures), submit, outcome)
    for future in tuple(futures):
        future.add_done_callback(countdown)
    return outcome


_here = threading.local()


class _Countdown:
    """The callback of each awaited future; the last one submits the task.

    A future keeps its callbacks when it is done, so this one keeps nothing then: what it awaits goes with its user.
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
        due = getattr(_here, "due", None)
        if due is not None:
            # This is a callback of a task that was just ended below: a chain of tasks must not become one of calls.
            due.append(self)
            return
        _here.due = due = deque([self])
        try:
            while due:
                due.popleft().end()
        finally:
            del _here.due

    def end(self) -> None:
        """Submit the task, now that what it awaits is done."""
        submit, outcome = self._submit, self._outcome
        self._submit = self._outcome = None
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            submit().add_done_callback(partial(_relay, outcome))
        except BaseException as error:  # noqa: BLE001  whoever waits for the outcome is to hear of it
            outcome.set_exception(error)
        finally:
            del submit, outcome  # an error's traceback would keep them


def _relay(outcome: Future[Any], inner: Any) -> None:
    result, error = outcome_of(inner)
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
