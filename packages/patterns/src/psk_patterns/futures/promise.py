"""The future: the promise of one object that any process can fulfil or wait for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from psk import Proxy
from psk.connectors import check_timeout, shown
from psk.errors import CapabilityError, InvalidArgumentError, report_ignored
from psk_patterns.arguments import check_lifetime, check_store
from psk_patterns.deferred_cleanup import later
from psk_patterns.errors import FutureError
from psk_patterns.futures.outcome import CANCELLED, RELEASED, VALUE, Outcome, released_error, this_process
from psk_patterns.futures.state import CLAIMED, CLEANING_SECONDS, Claim, FutureState
from psk_patterns.futures.waiting import await_outcome, present_keys
from psk_patterns.futures.watcher import Subscription, await_in_loop, notify_released, watch
from psk_patterns.leases import LeaseHolder, check_lease

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from psk import Store
    from psk.errors import PskError
    from psk.store import Lifetime, StoreFactory

T = TypeVar("T")

PENDING: Final = "pending"
RUNNING: Final = "running"
DONE: Final = "done"


class Future(Generic[T]):
    """A placeholder for an object that some process has yet to make.

    It can be pickled and used in any process that reaches its channel; all copies have the same outcome. It is made
    by `psk_patterns.future`. What it stores in the channel stays until `release`.

    Args:
        state: Its keys in the channel.
        ttl: Seconds of a producer's lease.
        timeout: Seconds that each wait takes at most.
        is_shared: Whether there may be copies of it.

    Attributes:
        state: Its keys in the channel.
        ttl: Seconds of a producer's lease.
        timeout: Seconds that each wait takes at most.
    """

    __slots__ = ("__weakref__", "_claimed_by", "_holders", "_is_shared", "_number", "state", "timeout", "ttl")

    def __init__(self, state: FutureState, ttl: float, timeout: float, *, is_shared: bool = False) -> None:
        self.state = state
        self.ttl = ttl
        self.timeout = timeout
        self._number = os.urandom(8).hex()
        self._claimed_by = 0
        #: More than one if several threads claimed it at the same moment.
        self._holders: set[LeaseHolder] = set()
        self._is_shared = is_shared

    @property
    def key(self) -> str:
        """The key of its outcome."""
        return self.state.result_key

    @property
    def keys(self) -> tuple[str, str]:
        """All keys that it has in the channel."""
        return self.state.keys

    @property
    def uri(self) -> str:
        """The URI of its channel."""
        return self.state.uri

    @property
    def store(self) -> Store:
        """The store that it is read through; found or opened if the future came from another process.

        Raises:
            PskError: This process does not trust, or cannot reach, its channel.
        """
        return self.state.store()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Future):
            return NotImplemented
        return (self.uri, self.key) == (other.uri, other.key)

    def __hash__(self) -> int:
        return hash((self.uri, self.key))

    def __repr__(self) -> str:
        return f"Future({self.state.result_factory.reference.shown_uri!r}, {self.key!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        self._is_shared = True
        return restore_future, (self.state.result_factory, self.state.claim_factory, self.ttl, self.timeout)

    def result(self, timeout: float | None = None) -> T:
        """Wait for the outcome, and return the object or raise the error.

        Each call returns an object of its own.

        Args:
            timeout: Seconds to wait at most; None is the future's `timeout`.

        Raises:
            FutureTimeoutError: There was no outcome in time.
            FutureCancelledError: It was cancelled.
            ProducerDied: Its producer died.
            RemoteError: Its producer failed with an exception that cannot be pickled.
            Exception: The one that the producer set.
            PskError: The channel failed.
        """
        value: T = self._await(timeout).open(self.state.name)
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the outcome, and return the error, or None where there is an object, which is fetched.

        Args:
            timeout: As in `result`.

        Raises:
            FutureTimeoutError: There was no outcome in time.
            FutureCancelledError: It was cancelled.
            PskError: The channel failed.
        """
        outcome = self._await(timeout)
        failure = outcome.failure(self.state.name)
        if failure is not None and outcome.kind == CANCELLED:
            raise failure
        return failure

    def done(self) -> bool:
        """Return whether it has an outcome."""
        return self._progress() == DONE

    def running(self) -> bool:
        """Return whether a producer has claimed it and has set no outcome yet."""
        return self._progress() == RUNNING

    def cancelled(self) -> bool:
        """Return whether it was cancelled; another outcome is fetched to find out."""
        self.state.check_not_released()
        return self.state.is_cancelled()

    def add_done_callback(self, function: Callable[[Future[T]], object]) -> None:
        """Call a function with this future when it has an outcome: at once, if it has one already.

        The call is made in a thread that serves all futures of the channel in this process, so it should be quick. Its
        errors go to `sys.unraisablehook`; so does a FutureTimeoutError if there is no outcome within `timeout`.

        Raises:
            InvalidArgumentError: It cannot be called.
            PskError: The channel is not trusted, or failed.
        """
        self.state.check_not_released()
        if not callable(function):
            raise InvalidArgumentError(f"{shown(function)} cannot be called", remedy="pass a function of one argument")

        def notify(error: PskError | None) -> None:
            if type(error) is FutureError:  # it was released by a process that does not need it any more
                return
            if error is not None:
                report_ignored(function, f"psk_patterns: not called, since {self!r} had no outcome", error)
                return
            try:
                function(self)
            except KeyboardInterrupt:  # the user's, in the caller's thread; the watching thread reports it
                raise
            except BaseException:  # noqa: BLE001  a result that is SystemExit must not end the watching thread
                report_ignored(function, f"psk_patterns: ignored an exception of a callback of {self!r}")

        if self.done():
            notify(None)
        else:
            watch([Subscription(self.state, notify, self.timeout)])

    def __await__(self) -> Generator[Any, None, T]:
        async def result() -> T:
            outcome = await await_in_loop(self.state, self.timeout)
            value: T = outcome.open(self.state.name)
            return value

        return result().__await__()

    def proxy(self, *, evict: bool = False) -> Proxy[T]:
        """Return a proxy that waits for the outcome when it is first used.

        If the outcome is an error, using the proxy raises a ProxyResolveError whose `cause` is that error.

        Args:
            evict: Release the future once the proxy is resolved.
        """
        self._is_shared = True
        return Proxy(FutureFactory(self, evict=evict))

    def claim(self) -> None:
        """Announce that this process produces the object: its death is noticed, and no process can cancel the future.

        The claim is a lease, renewed in the background until the outcome is set or this object is dropped. Claiming
        twice with one object makes one claim. A claim whose producer died can be replaced until a process was told.

        Raises:
            FutureCancelledError: It was cancelled; there is no need to work.
            FutureClaimedError: Another producer has claimed it.
            FutureDoneError: It has an outcome.
            PskError: The channel failed.
        """
        self.state.check_not_released()
        process = os.getpid()  # a forked child's copy of this object is another producer
        if self._claimed_by == process:
            return
        lease = self.state.claim(Claim.make(CLAIMED, f"{self._number}-{process:x}"), self.ttl)
        if lease is not None:
            # A lost claim needs no report: the outcome is written only where there is none.
            holder = LeaseHolder(self.store, lease, on_lost=lambda _key: None)
            self._holders.add(holder)  # first: after an interrupt, the finaliser closes it
            holder.add(self.state.claim_key)
        self._claimed_by = process

    def set_result(self, obj: T) -> None:
        """Set the object; claims the future first, if this object has not done so.

        Args:
            obj: Any object that a store can put.

        Raises:
            FutureDoneError: It has an outcome.
            FutureCancelledError: It was cancelled.
            FutureClaimedError: Another producer has claimed it.
            SerializationError: The object cannot be encoded; the claim stays, so that `set_exception` can follow.
            PskError: The channel failed.
        """
        self._set(Outcome(VALUE, obj))

    def set_exception(self, error: BaseException) -> None:
        """Set an error instead of the object; one that cannot be pickled travels as a RemoteError.

        Its traceback travels as a note. Raises the errors of `set_result`.
        """
        if not isinstance(error, BaseException):
            raise InvalidArgumentError(
                f"{shown(error)} is not an exception", remedy="pass an instance of one, or use set_result"
            )
        self._set(Outcome.of_error(error))

    def cancel(self) -> bool:
        """Cancel it if no producer has claimed it; all who wait for it, or claim it later, are told.

        Returns:
            Whether it is cancelled: False if it was claimed, or has another outcome.

        Raises:
            PskError: The channel failed.
        """
        self.state.check_not_released()
        return self.state.cancel()

    def release(self) -> None:
        """Delete all that it has in the channel; neither this object nor any copy can be used afterwards.

        A producer that comes too late is refused: if the future was shared and has no outcome, its channel remembers
        that for `timeout` seconds, if it supports expiry. Releasing twice has no effect.

        Raises:
            ConnectorError: The channel failed.
        """
        if self.state.is_released:
            return
        state = self.state
        error = None if state.store().exists(self.key) else released_error(state.name, this_process())
        notify_released(state, error)
        ttl = state.lease_of(self.timeout) if self._is_shared and error is not None else None
        refused = ttl is not None and state.write_outcome(Outcome(RELEASED, this_process()), ttl=ttl)
        self._end_claim()
        state.store().evict_batch([state.claim_key] if refused else state.keys, timeout=CLEANING_SECONDS)
        state.is_released = True

    def _end_claim(self) -> None:
        self.state.seen_claim = None
        for holder in tuple(self._holders):
            holder.close()
            self._holders.discard(holder)
        self._claimed_by = 0

    def __del__(self) -> None:
        # A producer that drops its future will never set an outcome: waiting processes must learn that.
        for holder in getattr(self, "_holders", ()):  # an interrupt may have left this object half made
            later(holder.close)

    def _await(self, timeout: float | None) -> Outcome:
        self.state.check_not_released()
        check_timeout(timeout)
        return await_outcome(self.state, self.timeout if timeout is None else timeout)

    def _progress(self) -> str:
        self.state.check_not_released()
        present = present_keys(self.state.store(), self.keys)
        if self.state.note(present):
            return DONE
        if self.state.seen_claim is None:
            return PENDING
        if self.state.claim_key in present:
            return RUNNING
        return DONE if self.state.note_lost_claim() else PENDING

    def _set(self, outcome: Outcome) -> None:
        self.claim()
        written = self.state.write_outcome(outcome)
        self._end_claim()
        self.state.drop_claim()
        if not written:
            raise self.state.done_error()


class FutureFactory(Generic[T]):
    """Wait for a future when a proxy of its result is used.

    Args:
        future: The future.
        evict: Release it once it has given its result.
    """

    __slots__ = ("evict", "future")
    __module__ = "psk_patterns.futures"  # pickles contain it

    def __init__(self, future: Future[T], evict: bool = False) -> None:
        self.future = future
        self.evict = evict

    def __call__(self) -> T:
        """Return the future's result, or raise its error."""
        result = self.future.result()
        if self.evict:
            self.future.release()
        return result

    @property
    def factory(self) -> StoreFactory[Any]:
        """The factory that fetches the outcome, for `psk.get_key` and `psk.get_store`."""
        return self.future.state.result_factory

    def __repr__(self) -> str:
        return f"FutureFactory({self.future!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FutureFactory, (self.future, self.evict)


def future(store: Store, *, ttl: float = 10.0, timeout: float = 600.0, lifetime: Lifetime | None = None) -> Future[Any]:
    """Make a future whose outcome will be put into a store.

    The futures of a store that signs are believed only by processes that have its key. Outcomes are pickled, whatever
    the store's serializer.

    Args:
        store: Any store whose channel can reserve keys. Where the channel has no expiry, the death of a producer is
            not noticed, and waiting ends by its timeout; where it cannot notify, waiting polls.
        ttl: Seconds after which a producer that has claimed the future counts as dead if it does not renew its claim;
            at least 0.3.
        timeout: Seconds that each wait takes at most, where no other timeout is given.
        lifetime: Deletes at its end what the future has in the channel.

    Raises:
        CapabilityError: The channel cannot reserve keys, or the store does not decode pickles.
        InvalidArgumentError: `ttl` or `timeout` is not a number of seconds, `ttl` is too small, or an argument is not a
            store or a lifetime.
        ConnectorError: The channel failed.
    """
    if check_store(store).config().codecs == "raw":
        raise CapabilityError(
            f"store {store.name!r} cannot keep a future: it decodes only raw codecs, and an outcome may be an error",
            remedy="open a store with codecs='any' over the same channel, signed if others can write to it",
        )
    _check_times(ttl, timeout)
    if lifetime is not None:
        check_lifetime(lifetime)
    made: Future[Any] = Future(FutureState.reserve(store), ttl, timeout)
    if lifetime is not None:
        # A lifetime with a `ttl` may renew its objects, and would keep a dead producer's claim alive. There, claims and
        # cancellations expire by themselves; any other lifetime only deletes them.
        keys = made.keys if getattr(lifetime, "ttl", None) is None else (made.key,)
        lifetime.add_key(*keys, store=store)
    return made


def restore_future(result: Any = None, claim: Any = None, ttl: Any = None, timeout: Any = None) -> Future[Any]:
    """Rebuild a future that was pickled; opens nothing yet.

    Args:
        result: Fetches the outcome: a StoreFactory.
        claim: Fetches the claim: a StoreFactory.
        ttl: Seconds of a producer's lease.
        timeout: Seconds that each wait takes at most.

    Raises:
        InvalidReferenceError: It is damaged or forged.
        InvalidArgumentError: Its times are.
    """
    state = FutureState(result, claim)
    _check_times(ttl, timeout)
    return Future(state, ttl, timeout, is_shared=True)


restore_future.__module__ = "psk_patterns.futures"  # pickles contain it


def _check_times(ttl: float, timeout: float) -> None:
    check_lease(ttl)
    check_timeout(timeout)
    if timeout is None:
        raise InvalidArgumentError("a future without a timeout might wait for ever", remedy="give seconds as a number")
