"""What does one get for a submitted task? A future that knows what was put for it."""

from __future__ import annotations

import concurrent.futures
import weakref
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from psk_patterns.deferred_cleanup import later

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk_patterns.executor.inputs import Inputs
    from psk_patterns.executor.ledger import Ledger

T = TypeVar("T")
Receive: TypeAlias = "Callable[[Any], tuple[Any, Callable[[], object] | None]]"


class TaskFuture(concurrent.futures.Future[T]):
    """The outcome of a task of a `StoreExecutor`; it works with everything that takes `concurrent.futures.Future`.

    Only a `StoreExecutor` makes one.
    """

    def __init__(self, inputs: Inputs, *, retries: bool) -> None:
        super().__init__()
        self._inner: Any = None
        self._inputs = inputs
        self._retries = retries
        self._is_wanted = True
        self._evict_result: Callable[[], object] | None = None
        if retries and (inputs.keys or inputs.awaited):
            weakref.finalize(self, later, inputs.release)

    def cancel(self) -> bool:
        """Try to cancel the task; that does not succeed once a worker has begun it.

        Returns:
            Whether it is cancelled.
        """
        inner = self._inner
        if inner is None:
            return super().cancel()
        # Its own callback brings the cancellation here; an engine over a network may need a while for that.
        return bool(inner.cancel()) or self.cancelled()

    def running(self) -> bool:
        """Tell whether a worker is at the task, as far as the wrapped executor says."""
        running = getattr(self._inner, "running", None)
        return not self.done() and running is not None and bool(running())

    def release(self) -> None:
        """Let the arguments go that were put into the store: at once if the task is done, else when it is.

        Needed with `retries=True` only, and there instead of dropping the future; doing so twice is no error.
        """
        self._retries = False
        if self.done():
            self._inputs.release()

    def abandon(self) -> None:
        """Want no result any more: cancel the task if it has not begun, and let go what was put for it.

        What a result refers to goes too, also if it is not owned; so nobody else may have seen it.
        """
        self._is_wanted = False
        self.cancel()
        self.release()
        if self.done() and self._evict_result is not None:
            self._evict_result()

    def follow(self, inner: Any, receive: Receive, ledger: Ledger) -> None:
        """Take over the outcome of the wrapped executor's future; once, by the executor.

        Args:
            inner: That future.
            receive: Gives the result that its result stands for, and what evicts its objects if nobody owns them.
            ledger: Is told when the task is done.
        """
        self._inner = inner
        ledger.enter(self)
        inner.add_done_callback(_Relay(self, receive, ledger))

    def _conclude(self, inner: Any, receive: Receive, ledger: Ledger) -> None:
        result, error = outcome_of(inner)
        if error is None:
            try:
                result, self._evict_result = receive(result)
            except Exception as failure:  # noqa: BLE001  the outcome of the task is that it could not be received
                result, error = None, failure
        # Whoever sees the outcome sees the store without the arguments.
        self._inputs.settle()
        if not self._retries:
            self._inputs.release()
        ledger.report(self._inputs)
        self._publish(result, error)
        # From here on the two keep each other alive no more: dropping this one is noticed.
        self._inner = None
        if not self._retries:  # it was asked for meanwhile
            self._inputs.release()
        if not self._is_wanted and self._evict_result is not None:
            self._evict_result()
        ledger.leave(self, self._inputs)

    def _publish(self, result: Any, error: BaseException | None) -> None:
        if isinstance(error, _TaskCancelledError):
            super().cancel()
            self.set_running_or_notify_cancel()
        elif error is not None:
            self.set_exception(error)
        else:
            self.set_result(result)


class _TaskCancelledError(CancelledError):
    """The task was cancelled, which is more than that it raised a CancelledError: that may be another future's."""


class _Relay:
    """The callback of the wrapped executor's future, which forgets ours as soon as it is done."""

    __slots__ = ("_parts",)

    def __init__(self, future: TaskFuture[Any], receive: Receive, ledger: Ledger) -> None:
        self._parts: Any = (future, receive, ledger)

    def __call__(self, inner: Any) -> None:
        parts, self._parts = self._parts, None
        if parts is not None:
            future, receive, ledger = parts
            future._conclude(inner, receive, ledger)  # noqa: SLF001  of the same file


def outcome_of(inner: Any) -> tuple[Any, BaseException | None]:
    """Give a done future's result or its error, without leaving this frame in the error's traceback if possible."""
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
