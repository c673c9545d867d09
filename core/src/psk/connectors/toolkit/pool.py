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


class _Seat(Generic[T]):
    """One of the pool's connections, or the right to make one; free again once it is given up, or nobody holds it."""

    __slots__ = ("__weakref__", "connection", "home", "is_given_up", "thread")

    connection: T

    def __init__(self, home: list[_Seat[T]]) -> None:
        self.home = home  # the pool's list of idle seats, another one in each process
        self.thread = get_ident()
        self.is_given_up = False


class Pool(Generic[T]):
    """Lend connections to one server: at most so many, and the one that was used last is used next.

    Thread-safe. A signal handler may borrow while its thread uses a connection: such a call is not counted. A forked
    child begins with an empty pool.

    Args:
        connect: Makes a connection before a deadline (by `time.monotonic`).
        size: Most connections at a time.
    """

    __slots__ = ("__weakref__", "_connect", "_freed", "_idle", "_is_closed", "_is_contended", "_seats", "_size")

    def __init__(self, connect: Callable[[float], T], size: int) -> None:
        self._connect = connect
        self._size = size
        self._is_closed = False
        self._begin()
        after_fork_in_child(self, Pool._continue_in_child)

    def _begin(self) -> None:
        self._idle: list[_Seat[T]] = []
        self._seats: list[weakref.ref[_Seat[T]]] = []
        self._freed = Wake()
        self._is_contended = False  # whether a call has ever waited: else there is nothing to wake

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
        while self._idle:
            try:
                seat = self._idle.pop()
            except IndexError:  # another thread was faster
                return
            self._give_up(seat)

    def _take(self, deadline: float) -> _Seat[T]:
        while (seat := self._idle_seat() or self._new_seat()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise deadline_error(f"waiting for one of {self._size} connections")
            if not self._is_contended:
                self._is_contended = True
                continue  # to look once more: a connection may have come back before it was known that this call waits
            if self._freed.wait(min(left, _LOOK_AGAIN_SECONDS)) and len(self._idle) > 1:
                self._freed.set()  # several came back at once, and one of those who wait was woken
        if not hasattr(seat, "connection"):
            seat.connection = self._connect(deadline)
        return seat

    def _idle_seat(self) -> _Seat[T] | None:
        while self._idle:
            try:
                seat = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            seat.thread = get_ident()
            if seat.connection.is_usable():
                return seat
            self._give_up(seat)
        return None

    def _new_seat(self) -> _Seat[T] | None:
        """Take a seat if one is free: first come, first served, in the order of the list."""
        seat = _Seat(self._idle)
        seats = self._seats
        mine = weakref.ref(seat, seats.remove)  # C code alone: nothing can interrupt it
        seats.append(mine)
        # A call within a call of this thread, by a signal handler or a finaliser, must not wait for the outer one.
        before = 0
        for other in list(seats):
            if other is mine:
                return seat
            taken = other()
            before += taken is not None and not taken.is_given_up and taken.thread != seat.thread
            if before >= self._size:
                return None
        return None

    def _put_back(self, seat: _Seat[T], *, is_sound: bool) -> None:
        if seat.home is not self._idle:
            return  # from before a fork
        if is_sound and not self._is_closed:
            seat.thread = 0
            self._idle.append(seat)
        else:
            self._give_up(seat)
        if self._is_contended:
            self._freed.set()
        if self._is_closed:
            self.close()

    def _give_up(self, seat: _Seat[T]) -> None:
        seat.is_given_up = True
        seat.connection.close()

    def _continue_in_child(self) -> None:
        for seat in [one() for one in self._seats]:
            if seat is not None and hasattr(seat, "connection"):
                seat.connection.forget()
        self._begin()


class Borrowed(Generic[T]):
    """A connection for the length of a `with` block, as `Pool.borrow` returns it.

    An error in the block closes the connection, since an answer may still be due. After an OSError the idle
    connections are closed too: they lead to the same server, and would each cost a call its deadline.
    """

    __slots__ = ("_deadline", "_pool", "_seat")

    def __init__(self, pool: Pool[T], deadline: float) -> None:
        self._pool = pool
        self._deadline = deadline

    def __enter__(self) -> T:
        self._seat = seat = self._pool._take(self._deadline)  # noqa: SLF001  of this module
        return seat.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seat = self._seat
        del self._seat
        self._pool._put_back(seat, is_sound=kind is None)  # noqa: SLF001  of this module
        if isinstance(error, OSError):
            self._pool.drop_idle()
