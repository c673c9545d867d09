"""How do many threads that want the same thing at once cause it to be done once?"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from psk.errors import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable

#: A follower waits for its leader, whose own calls all end by deadlines far below this.
PATIENCE_SECONDS = 600.0


class Flight:
    """One piece of work under way, and the locks of those who wait for it; None seals the list at landing."""

    __slots__ = ("error", "result", "waiters")

    def __init__(self) -> None:
        self.waiters: list[threading.Lock | None] = []
        self.result: Any = None
        self.error: BaseException | None = None

    def join(self) -> threading.Lock | None:
        """Give the lock that the landing will release; None if the flight has landed without us."""
        waiter = threading.Lock()
        waiter.acquire()
        self.waiters.append(waiter)
        # Appending is atomic: who stands before the seal is seen by the leader, who stands behind it came too late.
        return None if None in self.waiters[: self.waiters.index(waiter)] else waiter

    def land(self) -> None:
        """Wake all who wait."""
        for waiter in self.waiters:
            if waiter is not None:
                waiter.release()


def _as_it_is(result: Any) -> Any:
    return result


class SingleFlight:
    """Let the first caller for a key do the work and the others wait for its result.

    No lock is held meanwhile, and a caller who stays alone pays for two dictionary operations.
    """

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}

    def run(
        self,
        key: str,
        work: Callable[..., Any],
        arguments: tuple[Any, ...] = (),
        *,
        share: Callable[[Any], Any] = _as_it_is,
        timeout: float | None = None,
    ) -> Any:
        """Do the work for a key, or wait for the caller who is doing it.

        Args:
            key: Names the work.
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
        own = Flight()
        flight = self._flights.setdefault(key, own)
        if flight is own:
            return self._lead(key, own, work, arguments, share)
        patience = PATIENCE_SECONDS if timeout is None else timeout
        deadline = time.monotonic() + patience
        while flight is not own:
            waiter = flight.join()
            if waiter is not None:
                if not waiter.acquire(timeout=max(0.0, deadline - time.monotonic())):
                    raise DeadlineError(
                        f"another thread has been fetching {key!r} for {patience:g} s and has not finished",
                        remedy="raise the timeout, or see what the channel is doing",
                    )
                if flight.error is None:
                    return flight.result
                # The leader's deadline may have been shorter than ours, and what interrupted its thread was not meant
                # for this one: try again in our own time.
                if isinstance(flight.error, Exception) and not isinstance(flight.error, DeadlineError):
                    raise flight.error
            flight = self._flights.setdefault(key, own)
        return self._lead(key, own, work, arguments, share)

    def _lead(
        self,
        key: str,
        own: Flight,
        work: Callable[..., Any],
        arguments: tuple[Any, ...],
        share: Callable[[Any], Any],
    ) -> Any:
        try:
            own.result = work(*arguments)
            del self._flights[key]
            own.waiters.append(None)
            if len(own.waiters) > 1:
                own.result = share(own.result)
        except BaseException as error:
            own.error = error
            self._flights.pop(key, None)
            own.waiters.append(None)
            raise
        finally:
            own.land()
        return own.result
