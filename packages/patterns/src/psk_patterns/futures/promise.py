"""What is a future? The promise of one object, that any process can keep, wait for, and hear the end of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from psk import Proxy
from psk.connectors import check_timeout, shown
from psk.errors import InvalidArgumentError
from psk_patterns.futures.claim import CLAIMED, Claim, HeldClaim
from psk_patterns.futures.claiming import cancel_future, claim_future, done_error, is_cancelled
from psk_patterns.futures.factory import FutureFactory
from psk_patterns.futures.outcome import CANCELLED, RELEASED, VALUE, Outcome, released_error, whoami
from psk_patterns.futures.slots import CLEANING_SECONDS, Slots
from psk_patterns.futures.vigil import Vigil
from psk_patterns.futures.waiting import await_outcome, glance

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from psk import Store

T = TypeVar("T")

PENDING: Final = "pending"
RUNNING: Final = "running"
DONE: Final = "done"


class Future(Generic[T]):
    """Stand for an object that some process has yet to make.

    It can be pickled and used in any process that reaches its channel; all copies hear the same outcome. It is made
    by `psk_patterns.future`. What it holds in the channel stays until `release`.

    Args:
        slots: Its place in the channel.
        ttl: Seconds of a producer's lease.
        timeout: Seconds that each wait takes at most.
        is_shared: Whether there may be copies of it.

    Attributes:
        slots: Its place in the channel.
        vigil: What this object has seen there; a claim that was seen once is missed when it is gone.
        ttl: Seconds of a producer's lease.
        timeout: Seconds that each wait takes at most.
    """

    __slots__ = ("__weakref__", "_held", "_is_shared", "_number", "slots", "timeout", "ttl", "vigil")

    def __init__(self, slots: Slots, ttl: float, timeout: float, *, is_shared: bool = False) -> None:
        self.slots = slots
        self.ttl = ttl
        self.timeout = timeout
        self.vigil = Vigil(slots)
        self._number = Claim(CLAIMED).number
        self._held: HeldClaim | None = None
        self._is_shared = is_shared

    # --- what it is --------------------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """The key under which its outcome will stand."""
        return self.slots.result_key

    @property
    def keys(self) -> tuple[str, str]:
        """All keys that it has in the channel."""
        return self.slots.keys

    @property
    def uri(self) -> str:
        """The URI of its channel."""
        return self.slots.uri

    @property
    def store(self) -> Store:
        """The store that it is read through; found or opened where the future came from another process.

        Raises:
            PskError: This process does not trust, or cannot reach, its channel.
        """
        return self.slots.store()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Future):
            return NotImplemented
        return (self.uri, self.key) == (other.uri, other.key)

    def __hash__(self) -> int:
        return hash((self.uri, self.key))

    def __repr__(self) -> str:
        return f"Future({self.slots.result.reference.shown_uri!r}, {self.key!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        from psk_patterns.futures.making import restore_future  # which knows this class

        self._is_shared = True
        return restore_future, (self.slots.result, self.slots.claim, self.ttl, self.timeout)

    # --- for those who wait ------------------------------------------------------------------------------------------

    def result(self, timeout: float | None = None) -> T:
        """Wait for the outcome; give the object, or raise the error that is there instead.

        Each call gives an object of its own.

        Args:
            timeout: Seconds to wait at most; None is the future's `timeout`.

        Raises:
            FutureTimeoutError: There was no outcome in time.
            FutureCancelledError: It was cancelled.
            ProducerDied: Its producer died.
            RemoteError: Its producer failed with an exception that cannot travel.
            Exception: The one that the producer gave.
            PskError: The channel failed.
        """
        value: T = self._await(timeout).open(self.slots.name)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome; give the error, or None where there is an object (which is fetched to see that).

        Args:
            timeout: As of `result`.

        Raises:
            FutureTimeoutError: There was no outcome in time.
            FutureCancelledError: It was cancelled.
            PskError: The channel failed.
        """
        outcome = self._await(timeout)
        failure = outcome.failure(self.slots.name)
        if failure is not None and outcome.kind == CANCELLED:
            raise failure
        return failure

    def done(self) -> bool:
        """Tell whether it has an outcome."""
        return self._state() == DONE

    def running(self) -> bool:
        """Tell whether a producer has claimed it and gave no outcome yet."""
        return self._state() == RUNNING

    def cancelled(self) -> bool:
        """Tell whether it was cancelled; another outcome is fetched to see that."""
        self.slots.check_not_released()
        return is_cancelled(self.slots)

    def add_done_callback(self, function: Callable[[Future[T]], object]) -> None:
        """Have a function called with this future when it has its outcome: at once, if it has it already.

        It is called in a thread that serves all futures of the channel in this process, so it should be quick. Its
        errors go to `sys.unraisablehook`; so does a FutureTimeoutError when there is no outcome within `timeout`.

        Raises:
            InvalidArgumentError: It is no function.
            PskError: The channel is not trusted, or failed.
        """
        from psk_patterns.futures.watching import call_when_done

        self.slots.check_not_released()
        call_when_done(self, function)

    def __await__(self) -> Generator[Any, None, T]:
        from psk_patterns.futures.awaiting import await_future

        return await_future(self).__await__()

    def proxy(self, *, evict: bool = False) -> Proxy[T]:
        """Give a proxy that waits for the outcome when it is first used.

        Where the outcome is an error, using the proxy raises a ProxyResolveError whose `cause` it is.

        Args:
            evict: Release the future once the proxy is resolved.
        """
        self._is_shared = True
        made: Proxy[T] = Proxy(FutureFactory(self, evict=evict))
        return made

    # --- for those who produce ---------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Say that this process is at work on it: from now on its death is noticed, and nobody can cancel.

        The claim is a lease, renewed in the background until the outcome is set or this object is forgotten. Claiming
        twice with one object is one claim. One whose holder died can be claimed again as long as nobody was told.

        Raises:
            FutureCancelledError: It was cancelled; there is no need to work.
            FutureClaimedError: Another producer is at work on it.
            FutureDoneError: It has its outcome.
            PskError: The channel failed.
        """
        self.slots.check_not_released()
        if self._held is not None and self._held.is_ours:
            return
        # A forked child has a copy of this object, and is another producer.
        number = f"{self._number}-{os.getpid():x}"
        self._held = claim_future(self.slots, Claim(CLAIMED, number), self.ttl)
        self.vigil.claim = self._held.claim

    def set_result(self, obj: T) -> None:
        """Give the object; claims the future first, if this object has not done so.

        Args:
            obj: Any object that a store can put.

        Raises:
            FutureDoneError: It has an outcome.
            FutureCancelledError: It was cancelled.
            FutureClaimedError: Another producer is at work on it.
            SerializationError: The object cannot be encoded; the future is still yours, for `set_exception`.
            PskError: The channel failed.
        """
        self._set(Outcome(VALUE, obj))

    def set_exception(self, error: BaseException) -> None:
        """Give an error instead of the object; one that pickle cannot bring back travels as a RemoteError.

        Its traceback travels as a note. Arguments and errors otherwise as of `set_result`.
        """
        if not isinstance(error, BaseException):
            raise InvalidArgumentError(
                f"{shown(error)} is no exception", remedy="give an instance of one, or use set_result"
            )
        self._set(Outcome.of_error(error))

    # --- for whoever gives it up -------------------------------------------------------------------------------------

    def cancel(self) -> bool:
        """Cancel it if no producer has claimed it; all who wait, and whoever claims it later, hear of that.

        Returns:
            Whether it is cancelled: False if it was claimed, or has another outcome.

        Raises:
            PskError: The channel failed.
        """
        self.slots.check_not_released()
        return cancel_future(self.slots)

    def release(self) -> None:
        """Delete all that it has in the channel; this object cannot be used any more, and no copy should be.

        A producer that comes too late is refused: if it was passed on without an outcome, its channel remembers that
        for `timeout` seconds, where it keeps expiry times. Releasing twice is no error.

        Raises:
            ConnectorError: The channel failed.
        """
        from psk_patterns.futures.watching import end

        if self.slots.is_released:
            return
        slots = self.slots
        error = None if slots.store().exists(self.key) else released_error(slots.name, whoami())
        end(self, error)
        ttl = slots.lease_of(self.timeout) if self._is_shared and error is not None else None
        refused = ttl is not None and slots.write_outcome(Outcome(RELEASED, whoami()), ttl=ttl)
        self._let_go()
        slots.store().evict_batch([slots.claim_key] if refused else slots.keys, timeout=CLEANING_SECONDS)
        self.slots.is_released = True

    def _let_go(self) -> None:
        self.vigil.forget_claim()
        held, self._held = self._held, None
        if held is not None:
            held.let_go()

    def _await(self, timeout: float | None) -> Outcome:
        self.slots.check_not_released()
        check_timeout(timeout)
        return await_outcome(self.vigil, self.timeout if timeout is None else timeout)

    def _state(self) -> str:
        self.slots.check_not_released()
        present = glance(self.slots.store(), self.keys)
        if self.vigil.sees(present):
            return DONE
        if self.vigil.claim is None:
            return PENDING
        if self.slots.claim_key in present:
            return RUNNING
        return DONE if self.vigil.misses_claim() else PENDING

    def _set(self, outcome: Outcome) -> None:
        self.claim()
        written = self.slots.write_outcome(outcome)
        self._let_go()
        self.slots.drop_claim()
        if not written:
            raise done_error(self.slots)
