"""Keep the open connections to one server: a bounded pool, own to each process.

A signal handler may raise between any two instructions, as Ctrl-C does. So there is no counter and no lock that such a
call could leave behind: what it held goes with its frames, and a connection that nobody holds is closed and makes
room for another.
"""

from __future__ import annotations

import time
import weakref
from threading import get_ident
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from psk.connectors import Wake, deadline_error
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from psk_connector_redis.link import Link

_ASKING: Final = pack(b"ASKING")

_LOOK_AGAIN_SECONDS: Final = 0.05
"""How often a call that waits for a connection looks for itself: one that was cut short wakes nobody."""


class _Seat:
    """One of the pool's connections, or the right to make one; free again once it is given up, or nobody holds it.

    Args:
        home: The pool's list of idle seats, another one in each process.
    """

    __slots__ = ("__weakref__", "home", "is_given_up", "link", "thread")

    link: Link

    def __init__(self, home: list[_Seat]) -> None:
        self.home = home
        self.thread = get_ident()
        self.is_given_up = False


class Pool:
    """Links to one server: at most so many, the one used last is used next.

    Args:
        dial: Makes a new link before a deadline.
        size: Most links at a time.
    """

    __slots__ = ("_dial", "_freed", "_idle", "_is_closed", "_seats", "_size")

    def __init__(self, dial: Callable[[float], Link], size: int) -> None:
        self._dial = dial
        self._size = size
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._idle: list[_Seat] = []
        self._seats: list[weakref.ref[_Seat]] = []
        self._freed = Wake()

    def borrow(self, deadline: float) -> _Seat:
        """Hand out a link that is alive as far as can be seen without asking; give it back with `put_back`.

        Raises:
            DeadlineError: All are in use, and time is up.
        """
        while (seat := self._idle_seat() or self._new_seat()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise deadline_error(f"waiting for one of {self._size} connections")
            if self._freed.wait(min(left, _LOOK_AGAIN_SECONDS)) and len(self._idle) > 1:
                self._freed.set()  # several came back at once, and one of those who wait was woken
        if not hasattr(seat, "link"):
            seat.link = self._dial(deadline)
        return seat

    def _idle_seat(self) -> _Seat | None:
        while self._idle:
            try:
                seat = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            seat.thread = get_ident()
            if seat.link.is_usable():
                return seat
            self._give_up(seat)
        return None

    def _new_seat(self) -> _Seat | None:
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

    def put_back(self, seat: _Seat, *, is_sound: bool) -> None:
        """Take a link back; one that an error may have left in mid-sentence is closed."""
        if seat.home is not self._idle:
            return  # from before a fork
        if is_sound and not self._is_closed:
            seat.thread = 0
            self._idle.append(seat)
        else:
            self._give_up(seat)
        self._freed.set()
        if self._is_closed:
            self.close()

    def _give_up(self, seat: _Seat) -> None:
        seat.is_given_up = True
        seat.link.close()

    def drop_idle(self) -> None:
        """Close the links that nobody uses: their server went away."""
        while self._idle:
            try:
                seat = self._idle.pop()
            except IndexError:
                return
            self._give_up(seat)

    def close(self) -> None:
        """Close the idle links now and those in use when they come back."""
        self._is_closed = True
        self.drop_idle()

    def forget(self) -> None:
        """In a forked child: close this process's copies of the parent's descriptors, and begin anew."""
        for seat in [one() for one in self._seats]:
            if seat is not None and hasattr(seat, "link"):
                seat.link.close()
        self._begin()


class Borrowed:
    """A link for the length of a `with` block. An error in it closes the connection: an answer may be due still.

    Args:
        pool: Whose link.
        deadline: When one must be there, by `time.monotonic`.
        is_asking: Whether the server is to answer for a name that is on its way to it (the next command only).
    """

    __slots__ = ("_deadline", "_is_asking", "_pool", "_seat")

    def __init__(self, pool: Pool, deadline: float, *, is_asking: bool = False) -> None:
        self._pool = pool
        self._deadline = deadline
        self._is_asking = is_asking

    def __enter__(self) -> Link:
        self._seat = seat = self._pool.borrow(self._deadline)
        link = seat.link
        if self._is_asking:
            try:
                link.send((_ASKING,), self._deadline)
                link.reply(self._deadline)  # if it is a refusal, the next command is refused too
            except BaseException:
                self._pool.put_back(seat, is_sound=False)
                raise
        return link

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seat = self._seat
        del self._seat
        self._pool.put_back(seat, is_sound=kind is None)
        if isinstance(error, OSError | RedisError):
            # The others lead to the same server, and would each cost a call its deadline.
            self._pool.drop_idle()
