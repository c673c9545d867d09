"""Lend the connections to one server to one call at a time: a bounded pool, own to each process.

A signal handler may raise between any two instructions, as Ctrl-C does. So there is no counter and no lock that such a
call could leave behind: what it held goes with its frames, and a connection that nobody holds makes room for another.
"""

from __future__ import annotations

import time
import weakref
from threading import get_ident
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from psk.connectors.arguments import deadline_error
from psk.connectors.waiting import Wake
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LOOK_AGAIN_SECONDS: Final = 0.05
"""Seconds between two looks of a call that waits for a connection: an interrupted call wakes nobody."""


class Pooled(Protocol):
    """A connection that a `Pool` can lend."""

    def is_usable(self) -> bool:
        """Tell, without asking the server, whether the connection is open and no answer is due."""
        ...

    def close(self) -> None:
        """Close the connection; never raises."""
        ...

    def forget(self) -> None:
        """Give up a forked child's copy of the connection, of which the server must not notice anything."""
        ...


T = TypeVar("T", bound=Pooled)


class Pool(Generic[T]):
    """Lend connections to one server: at most so many, and the one that was used last is used next.

    Thread-safe. A signal handler may borrow while its thread uses a connection: such a call is not counted. A forked
    child begins with an empty pool.

    Args:
        connect: Makes a connection before a deadline (by `time.monotonic`).
        size: Most connections at a time.
    """

    def __init__(self, connect: Callable[[float], T], size: int) -> None:
        self._connect = connect
        self._size = size
        self._is_closed = False
        self._begin()
        after_fork_in_child(self, Pool._continue_in_child)

    def _begin(self) -> None:
        self._idle: list[T] = []
        self._calls: list[weakref.ref[Borrowed[T]]] = []
        self._freed = Wake()
        self._is_contended = False  # whether a call has ever waited: else there is nobody to wake

    def borrow(self, deadline: float) -> Borrowed[T]:
        """Lend a connection for the length of a `with` block.

        Entering the block raises DeadlineError if all connections are in use until the deadline, and what `connect`
        raises.

        Args:
            deadline: When there must be one, by `time.monotonic`.
        """
        return Borrowed(self, deadline)

    def close(self) -> None:
        """Close the idle connections now, and those in use when they come back."""
        self._is_closed = True
        self.drop_idle()

    def drop_idle(self) -> None:
        """Close the connections that no call uses: their server has gone away."""
        while (connection := self._pop_idle()) is not None:
            connection.close()

    def _pop_idle(self) -> T | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _lend(self, call: Borrowed[T]) -> T:
        while not self._admit(call):
            left = call.deadline - time.monotonic()
            if left <= 0:
                raise deadline_error(f"waiting for one of {self._size} connections")
            self._is_contended = True
            if self._freed.wait(min(left, _LOOK_AGAIN_SECONDS)) and len(self._idle) > 1:
                self._freed.set()  # several came back at once, and one of those who wait was woken
        while (connection := self._pop_idle()) is not None:
            if connection.is_usable():
                return connection
            connection.close()
        return self._connect(call.deadline)

    def _admit(self, call: Borrowed[T]) -> bool:
        """Let a call have a connection if fewer calls than connections came before it, in the order of the list."""
        calls = self._calls
        mine = weakref.ref(call, calls.remove)  # C code alone: nothing can interrupt it
        calls.append(mine)
        if len(calls) <= self._size:
            return True
        before = 0
        for each in list(calls):
            if each is mine:
                return True
            other = each()
            # A call within a call of this thread, by a signal handler or a finaliser, must not wait for the outer one.
            before += other is not None and not other.is_over and other.thread != call.thread
            if before >= self._size:
                calls.remove(mine)
                break
        return False

    def _take_back(self, call: Borrowed[T], connection: T, error: BaseException | None) -> None:
        if call.calls is not self._calls:
            return  # the process was forked in the block: the connection is its parent's
        if error is None and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()
        call.is_over = True  # not before: the next call takes this connection, and makes none
        if self._is_contended:
            self._freed.set()
        if self._is_closed or isinstance(error, OSError):
            self.drop_idle()

    def _continue_in_child(self) -> None:
        idle, calls = self._idle, self._calls
        self._begin()
        for connection in idle:
            connection.forget()
        for call in [each() for each in calls]:
            if call is not None and hasattr(call, "connection"):
                call.connection.forget()


class Borrowed(Generic[T]):
    """A connection for the length of a `with` block, as `Pool.borrow` returns it.

    An error in the block closes the connection, since an answer may still be due. After an OSError the idle
    connections are closed too: they lead to the same server, and would each cost a call its deadline.
    """

    __slots__ = ("__weakref__", "_pool", "calls", "connection", "deadline", "is_over", "thread")

    connection: T

    def __init__(self, pool: Pool[T], deadline: float) -> None:
        self._pool = pool
        self.deadline = deadline
        self.calls = pool._calls  # noqa: SLF001  of this module; a forked child has another list
        self.thread = get_ident()
        self.is_over = False

    def __enter__(self) -> T:
        self.connection = connection = self._pool._lend(self)  # noqa: SLF001  of this module
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool._take_back(self, self.connection, error)  # noqa: SLF001  of this module
