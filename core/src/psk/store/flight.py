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
    """One piece of work under way."""

    __slots__ = ("done", "error", "followers", "result")

    def __init__(self) -> None:
        self.done = threading.Lock()  # held while under way: cheaper than an Event, and as good
        self.done.acquire()  # noqa: SIM115  released by whoever lands the flight
        self.followers = 0
        self.result: Any = None
        self.error: BaseException | None = None


class SingleFlight:
    """Let the first caller for a key do the work and the others wait for its result. No lock is held meanwhile."""

    __slots__ = ("_flights", "_lock")

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._lock = threading.Lock()

    def run(
        self,
        key: str,
        work: Callable[[], Any],
        *,
        share: Callable[[Any], Any] = lambda result: result,
        timeout: float | None = None,
    ) -> Any:
        """Do the work for a key, or wait for the caller who is doing it.

        Args:
            key: Names the work.
            work: Called once, by the first caller, in its own thread.
            share: Turns the result into something that several callers can use; called only if there are several.
            timeout: Seconds a follower waits at most.

        Returns:
            The result, or what `share` made of it.

        Raises:
            DeadlineError: The leader has not finished in time.
            BaseException: Whatever `work` raised, for all who waited.
        """
        deadline = time.monotonic() + (PATIENCE_SECONDS if timeout is None else timeout)
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if flight is None:
                    own = self._flights[key] = Flight()
                    break
                flight.followers += 1
            if not flight.done.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise DeadlineError(
                    f"another thread has been fetching {key!r} for {timeout} s and has not finished",
                    remedy="raise the timeout, or see what the channel is doing",
                )
            flight.done.release()
            if flight.error is None:
                return flight.result
            # The leader's deadline may have been shorter than ours: try again in our own time.
            if not isinstance(flight.error, DeadlineError):
                raise flight.error
        return self._lead(key, own, work, share)

    def _lead(self, key: str, own: Flight, work: Callable[[], Any], share: Callable[[Any], Any]) -> Any:
        try:
            result = work()
            with self._lock:
                del self._flights[key]
            own.result = share(result) if own.followers else result
        except BaseException as error:
            own.error = error
            with self._lock:
                if self._flights.get(key) is own:
                    del self._flights[key]
            raise
        finally:
            own.done.release()
        return own.result
