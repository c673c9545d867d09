"""Single flight: of several threads that want the same thing at once, one does the work and the others wait for it.

There is no lock here that a finaliser, a signal handler, a fork or a thread that the ending interpreter stopped could
hold. What must not be torn apart by an interrupt, such as Ctrl-C, is written without a call: CPython looks for
interrupts, and changes threads, after calls, at the start of functions and when it jumps back, and nowhere else.
"""

from __future__ import annotations

import sys
import time
from _thread import TIMEOUT_MAX, LockType, allocate_lock, get_ident
from operator import methodcaller
from typing import TYPE_CHECKING, Any, ClassVar

from psk.errors import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_waits: dict[int, Flight] = {}  # thread -> what it waits for, of whatever kind
_release = methodcaller("release")
_NOTHING = object()


class _Seal:
    """Ends a list of waiters: whoever stands behind it came too late. Released like a lock, it does nothing."""

    release = bool


_SEAL = _Seal()


class Flight:
    """One piece of work under way: who does it, and the locks of those who wait for it.

    Attributes:
        leader: The thread that does it.
        reentered: How often that thread, while at it, is doing it anew; see `SingleFlight.reenter`.
    """

    # Defaults on the class, and no __init__: a flight that nobody joins is made in a third of the time.
    leader: int
    waiters: list[LockType | _Seal]
    wake: map[Any] | None = None  # what wakes them all as it is run through; made by the first of them
    result: Any = _NOTHING
    error: Exception | None = None
    reentered = 0

    def wait(self, deadline: float) -> bool | None:
        """Wait for the end, or the deadline.

        Returns:
            Whether the leader woke us, so that its outcome is ours too; None at once if it never would.
        """
        me = get_ident()
        before = _waits.get(me)  # of the code that a signal handler or a finaliser, in which we may be, came in between
        try:
            # First said, then looked: of threads that wait for each other in a ring at least one sees it.
            _waits[me] = self
            # The interpreter's end stops all other threads.
            if self._depends_on(me) or sys.is_finalizing():
                return None
            waiter = allocate_lock()
            waiter.acquire()
            if self.wake is None:
                self.wake = map(_release, self.waiters)
            self.waiters.append(waiter)
            # Appending is atomic: the leader cares for those before the seal, and for nobody behind it.
            if _SEAL in self.waiters[: self.waiters.index(waiter)]:
                return False
            return waiter.acquire(timeout=min(max(0.0, deadline - time.monotonic()), TIMEOUT_MAX))
        finally:
            if before is not None:
                _waits[me] = before
            elif me in _waits:
                del _waits[me]

    def _depends_on(self, thread: int) -> bool:
        """Tell whether a thread leads this, or what its leader waits for, and so on."""
        ahead: Flight | None = self
        while ahead is not None and ahead.leader != thread:
            ahead = _waits.get(ahead.leader)
        return ahead is not None


class SingleFlight:
    """Let the first caller for a key do the work and the others wait for its result.

    No lock is held meanwhile, and a caller who stays alone pays for two dictionary operations. Nobody waits for
    himself: a thread that wants what depends on its own work, as a finaliser or a signal handler that came in between
    may, does that work too.
    """

    __slots__ = ("_flights",)

    #: How many seconds a follower waits that gives no timeout; the leader's own calls all end by far shorter deadlines.
    patience: ClassVar[float] = 600.0

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}

    def run(
        self,
        key: Hashable,
        work: Callable[..., Any],
        arguments: tuple[Any, ...] = (),
        *,
        share: Callable[[Any], Any] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Do the work for a key, or wait for the caller who is doing it.

        Args:
            key: Names the work; a text or a number, whose comparison runs no code of others.
            work: Called once, by the first caller, in its own thread.
            arguments: What to call it with.
            share: Turns the result into something that several callers can use; called only if there are several.
            timeout: Seconds a follower waits at most.

        Returns:
            The result, or what `share` made of it.

        Raises:
            DeadlineError: The leader has not finished in time.
            Exception: Whatever `work` raised, for all who waited.
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
            # There is no call here, so no interrupt.
            if own.result is _NOTHING:
                if key in flights and flights[key] is own:
                    del flights[key]
                own.waiters += (_SEAL,)
            if own.wake is not None:
                _ = [*own.wake]
            del own, flight  # the error's traceback holds this frame: else a cycle

    def reenter(self, flight: Flight, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:  # noqa: ARG002  for those who limit it
        """Do the work of a flight that depends on this very thread, or whose own was stopped."""
        return work(*arguments)

    def _follow(self, flight: Flight, key: Hashable, own: Flight, timeout: float | None) -> Flight:
        """Wait for a flight, or the one that follows it; give the one with a result, or that must not be waited for.

        Where no other is under way any more, that is our own, and the work ours.
        """
        patience = self.patience if timeout is None else timeout
        deadline = time.monotonic() + patience
        while flight is not own:
            woken = flight.wait(deadline)
            if woken is None or (woken and flight.result is not _NOTHING):
                return flight
            # The leader's deadline may have been shorter than ours, and what interrupted its thread was not meant for
            # this one: try again in our own time.
            if woken and flight.error is not None and not isinstance(flight.error, DeadlineError):
                raise flight.error
            if not woken and time.monotonic() >= deadline and self._flights.get(key) is flight:
                raise DeadlineError(
                    f"another thread has been fetching {key!r} for {patience:g} s and has not finished",
                    remedy="raise the timeout, or see what the channel is doing",
                )
            flight = self._flights.setdefault(key, own)
        return own


def forget_other_threads() -> None:
    """Forget in a forked child who waits for whom."""
    _waits.clear()
