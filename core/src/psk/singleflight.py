"""Deduplicate concurrent work: the first caller for a key does it, and the others wait for its result.

No lock is held that a finaliser, a signal handler, a fork or a thread stopped by the ending interpreter could leave
locked. State that an interrupt such as Ctrl-C must not tear apart changes in statements without a call: CPython
switches threads and handles signals only after calls, at the start of functions and at backward jumps.
"""

from __future__ import annotations

import sys
import time
from _thread import TIMEOUT_MAX, LockType, allocate_lock, get_ident
from operator import methodcaller
from typing import TYPE_CHECKING, Any, ClassVar

from psk.errors import DeadlineError
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

#: The flight that each thread waits for, by thread.
_waits: dict[int, Flight] = {}
_release = methodcaller("release")
_NOTHING = object()


class _Seal:
    """The end of a list of waiters: one that was appended after it came too late. Releasing it does nothing."""

    release = bool


_SEAL = _Seal()


class Flight:
    """One piece of work in progress: the thread that does it, and the locks of the threads that wait for it.

    Attributes:
        leader: The thread that does the work.
        reentered: How many nested calls in that thread are doing the same work; see `SingleFlight.reenter`.
    """

    # Defaults on the class and no __init__: creating a flight that nobody joins takes a third of the time.
    leader: int
    waiters: list[LockType | _Seal]
    wake: map[Any] | None = None  # releases the waiters as it is iterated over; created by the first of them
    result: Any = _NOTHING
    error: Exception | None = None
    reentered = 0

    def wait(self, deadline: float) -> bool | None:
        """Wait for the end of the work, or for the deadline.

        Returns:
            Whether the leader woke this thread, which then shares its outcome; None at once if it never would.
        """
        me = get_ident()
        before = _waits.get(me)  # not None in a signal handler or finaliser that interrupted a wait of this thread
        try:
            # Announce first, then look: of threads that wait for each other in a ring, at least one sees the ring.
            _waits[me] = self
            # At its end, the interpreter stops all other threads.
            if self._depends_on(me) or sys.is_finalizing():
                return None
            waiter = allocate_lock()
            waiter.acquire()
            if self.wake is None:
                self.wake = map(_release, self.waiters)
            self.waiters.append(waiter)
            # Appending is atomic: the leader wakes those before the seal, and nobody after it.
            if _SEAL in self.waiters[: self.waiters.index(waiter)]:
                return False
            return waiter.acquire(timeout=min(max(0.0, deadline - time.monotonic()), TIMEOUT_MAX))
        finally:
            if before is not None:
                _waits[me] = before
            elif me in _waits:
                del _waits[me]

    def _depends_on(self, thread: int) -> bool:
        """Tell whether a thread leads this flight, or the one that its leader waits for, and so on."""
        ahead: Flight | None = self
        while ahead is not None and ahead.leader != thread:
            ahead = _waits.get(ahead.leader)
        return ahead is not None


class SingleFlight:
    """Let the first caller for a key do the work and the others wait for its result.

    No lock is held during the work, and a caller that stays alone pays for two dictionary operations. No thread waits
    for itself: where the work depends on the calling thread, as in a finaliser or a signal handler that interrupted
    it, the caller does the work as well. A forked child starts with nothing in progress.
    """

    __slots__ = ("__weakref__", "_flights")

    #: Seconds that a follower without a timeout waits; the leader's own calls all have far shorter deadlines.
    patience: ClassVar[float] = 600.0

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}
        after_fork_in_child(self, SingleFlight._start_afresh)

    def run(
        self,
        key: Hashable,
        work: Callable[..., Any],
        arguments: tuple[Any, ...] = (),
        *,
        share: Callable[[Any], Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Do the work for a key, or wait for the caller that is doing it.

        Args:
            key: Names the work: a string or a number, whose comparison runs no foreign code.
            work: Called once, in the thread of the first caller.
            arguments: Its arguments.
            share: Turns the result into something that several callers can use; called only if there are several.
            timeout: Seconds that a follower waits at most.

        Returns:
            The result of `work`, or of `share`.

        Raises:
            DeadlineError: The leader has not finished in time.
            Exception: What `work` raised, for every caller that waited.
        """
        flights = self._flights
        flight = own = Flight()
        own.leader = get_ident()
        own.waiters = []
        try:
            flight = flights.setdefault(key, own)
            if flight is not own:
                flight = self._follow(flight, key, own, timeout)
                if flight is not own:
                    return self.reenter(flight, work, arguments) if flight.result is _NOTHING else flight.result
            result = work(*arguments)
            del flights[key]
            own.waiters += (_SEAL,)
            if own.waiters[0] is not _SEAL and share is not None:
                result = share(result)
            own.result = result
        except Exception as error:
            own.error = error
            raise
        else:
            return result
        finally:
            # No call before the seal, so no interrupt.
            if own.result is _NOTHING:
                if key in flights and flights[key] is own:
                    del flights[key]
                own.waiters += (_SEAL,)
            if own.wake is not None:
                _ = [*own.wake]
            del own, flight  # the error's traceback holds this frame: else a cycle

    def reenter(self, flight: Flight, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ARG002  for subclasses that limit it
        """Do the work of a flight that depends on the calling thread, or whose thread was stopped."""
        return work(*arguments)

    def _follow(self, flight: Flight, key: Hashable, own: Flight, timeout: float | None) -> Flight:
        """Wait for a flight, or for the one after it.

        Returns:
            The flight that has a result, or one that must not be waited for, or `own`: then no other is in progress,
            and the caller does the work.
        """
        patience = self.patience if timeout is None else timeout
        deadline = time.monotonic() + patience
        while flight is not own:
            woken = flight.wait(deadline)
            if woken is None or (woken and flight.result is not _NOTHING):
                return flight
            # The leader's deadline may have been shorter than ours, and an interrupt was meant for its thread alone:
            # try again within our own time.
            if woken and flight.error is not None and not isinstance(flight.error, DeadlineError):
                raise flight.error
            if not woken and time.monotonic() >= deadline and self._flights.get(key) is flight:
                raise DeadlineError(
                    f"another thread has been fetching {key!r} for {patience:g} s and has not finished",
                    remedy="raise the timeout, or see what the channel is doing",
                )
            flight = self._flights.setdefault(key, own)
        return own

    def _start_afresh(self) -> None:
        self._flights = {}


@after_fork_in_child
def _forget_other_threads() -> None:
    _waits.clear()
