"""How are the results of a mapped function handed out in order, and what becomes of those that nobody fetches?"""

from __future__ import annotations

import time
import weakref
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from psk.errors import DeadlineError
from psk_patterns.deferred_cleanup import later

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterable, Iterator
    from typing import Self

    from psk_patterns.executor.task_future import TaskFuture

T = TypeVar("T")


class MapResults(Generic[T]):
    """The results of `StoreExecutor.map`, in the order of the items; an iterator that can be closed.

    Closing it, dropping it, or an error that it raises, cancels the tasks that have not begun, and lets go what was
    put for all that is left.

    Args:
        futures: One for each item, or each chunk of items.
        timeout: Seconds from now within which the last result is to be there; None is for ever.
        in_chunks: Whether each future gives a list of results.
    """

    def __init__(self, futures: deque[TaskFuture[Any]], timeout: float | None, *, in_chunks: bool) -> None:
        self._futures = futures
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._in_chunks = in_chunks
        self._ready: Iterator[T] = iter(())
        # Not the interpreter's end: the executor itself sees to its tasks then.
        weakref.finalize(self, later, abandon, futures).atexit = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for result in self._ready:
            return result
        if not self._futures:
            raise StopIteration
        try:
            result = self._next_result()
        except BaseException:
            self.close()
            raise
        if not self._in_chunks:
            return result
        self._ready = iter(result)
        return next(self)

    def close(self) -> None:
        """Want no more results; closing twice is no error."""
        self._ready = iter(())
        abandon(self._futures)

    def _next_result(self) -> Any:
        left = None if self._end is None else max(0.0, self._end - time.monotonic())
        future = self._futures.popleft()
        try:
            return future.result(left)
        except TimeoutError:
            if future.done():  # then it is the task's own error
                raise
            self._futures.appendleft(future)
            raise DeadlineError(
                f"{len(self._futures)} tasks of a map had no result within {self._timeout:g} s",
                remedy="give a longer timeout, or more workers",
            ) from None
        finally:
            del future  # an error that is raised here would keep it


def abandon(futures: deque[TaskFuture[Any]]) -> None:
    """Cancel what has not begun, and let go what was put for the rest."""
    while futures:
        futures.popleft().abandon()


def in_chunks(calls: Iterable[T], size: int) -> Iterator[list[T]]:
    """Give items in lists of some size, the last of which may be shorter."""
    rest = iter(calls)
    for first in rest:
        yield list(chain([first], islice(rest, size - 1)))
