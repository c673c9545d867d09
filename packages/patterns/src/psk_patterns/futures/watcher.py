"""Watch many futures in one daemon thread per channel, for callbacks, coroutines and waits for several futures."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk import Proxy, aresolve
from psk.connectors import SupportsExpiry
from psk.errors import (
    DeadlineError,
    ProxyResolveError,
    PskError,
    SigningError,
    UntrustedChannelError,
    report_ignored,
)
from psk.fork import after_fork_in_child
from psk_patterns.errors import FutureError
from psk_patterns.futures.waiting import (
    CHECK_SECONDS,
    PAUSE_SECONDS,
    UNREACHABLE,
    await_outcome,
    present_keys,
    timeout_error,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Collection, Iterable

    from psk import Store
    from psk_patterns.futures.outcome import Outcome
    from psk_patterns.futures.state import FutureState

IDLE_SECONDS: Final = 1.0
"""Seconds that the thread waits for more futures before it ends."""

SETTLE_SECONDS: Final = 0.001
"""Seconds that it waits for more futures once one was added, since they come in groups."""

WAKE_TTL: Final = 60.0
"""Seconds after which the channel removes the object of a wake-up whose process died."""

CALL_SECONDS: Final = 5.0
"""Seconds for one call for a wake-up."""

TRIGGER_SECONDS: Final = 1.0
"""Seconds that the thread waits for the object of a wake-up that another thread is putting."""

READING_SECONDS: Final = 60.0
"""Seconds for a coroutine to fetch an outcome that exists."""


class Subscription:
    """A request to be notified of the end of a future.

    Args:
        state: The future's.
        notify: Called once, in the watching thread: with None when the future has an outcome, else with the error that
            ends the watch. It must be quick and not raise.
        timeout: Seconds for which to watch.

    Attributes:
        is_dropped: Whether it was cancelled.
    """

    __slots__ = ("deadline", "is_dropped", "notify", "state", "timeout")

    def __init__(self, state: FutureState, notify: Callable[[PskError | None], None], timeout: float) -> None:
        self.state = state
        self.notify = notify
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self.is_dropped = False


class _WakeUp:
    """A reserved key that the watching thread waits for, and that `trigger` puts an object under to wake it."""

    def __init__(self, store: Store) -> None:
        self.key = store.reserve(timeout=CALL_SECONDS)
        self._store = store
        self.is_triggered = False

    def trigger(self) -> None:
        """Wake the waiting thread; called once, after `is_triggered` was set."""
        ttl = WAKE_TTL if self._store.supports(SupportsExpiry) else None
        with suppress(PskError):  # the thread finds what is new at its next look
            self._store.fulfil(self.key, b"", ttl=ttl, timeout=CALL_SECONDS, serializer="bytes")

    def end(self, present: Collection[str]) -> bool:
        """Remove the object once nothing can trigger it any more; return whether it was triggered."""
        if self.is_triggered:
            with suppress(PskError):
                if self.key not in present:  # the trigger came too late, and may still be putting it
                    with suppress(DeadlineError):
                        self._store.wait(self.key, timeout=TRIGGER_SECONDS)
                self._store.evict(self.key, timeout=CALL_SECONDS)
        return self.is_triggered


class Watcher:
    """The subscriptions to futures of one channel, and the thread that watches these."""

    def __init__(self) -> None:
        # Re-entrant, since a finaliser or a signal handler may run in between. And entered by itself: an interrupt may
        # leave a lock that Condition's own methods have entered locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._subscriptions: set[Subscription] = set()
        self._thread: threading.Thread | None = None
        self._wake_up: _WakeUp | None = None

    def add(self, subscriptions: Iterable[Subscription]) -> None:
        """Start watching."""
        with self._lock:
            self._subscriptions.update(each for each in subscriptions if not each.is_dropped)
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._changed.notify()
            wake_up, self._wake_up = self._wake_up, None
            if wake_up is not None:
                wake_up.is_triggered = True
        if wake_up is not None:
            wake_up.trigger()

    def _start(self) -> None:
        thread = threading.Thread(target=self._watch, name="psk-futures", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._subscriptions.clear()
            raise FutureError(
                "no future can be watched: no thread can be started",
                remedy="raise the limit of threads; while the interpreter exits, no future can be watched",
            ) from error
        self._thread = thread

    def remove(self, subscriptions: Iterable[Subscription]) -> None:
        """Stop watching; unknown subscriptions are ignored."""
        with self._lock:
            for subscription in subscriptions:
                subscription.is_dropped = True
                self._subscriptions.discard(subscription)

    def end(self, key: str, error: PskError | None) -> None:
        """Notify all who watch the future with this result key, which is about to be released."""
        with self._lock:
            concerned = [each for each in self._subscriptions if each.state.result_key == key]
        for subscription in concerned:
            self._notify(subscription, error)

    def _watch(self) -> None:
        checked = time.monotonic()
        while subscriptions := self._next():
            try:
                store = self._store_of(subscriptions)
                if store is None:
                    continue
                self._listen(store, subscriptions)
                if time.monotonic() - checked >= CHECK_SECONDS:
                    checked = time.monotonic()
                    self._check_claims(store, subscriptions)
            except BaseException:  # noqa: BLE001  an unreachable channel, or a connector that exits; waits have deadlines
                time.sleep(PAUSE_SECONDS)
            self._drop_late(subscriptions)
            del subscriptions

    def _next(self) -> list[Subscription]:
        """Return all subscriptions, waiting a little where there are none; an empty list ends the thread."""
        with self._lock:
            if not self._subscriptions and not self._changed.wait_for(lambda: self._subscriptions, IDLE_SECONDS):
                self._thread = None
            return list(self._subscriptions)

    def _store_of(self, subscriptions: list[Subscription]) -> Store | None:
        """Return a store of the channel; None where no subscription may use it."""
        for subscription in subscriptions:
            try:
                return subscription.state.store()
            except (SigningError, UntrustedChannelError) as error:
                self._notify(subscription, error)
        return None

    def _listen(self, store: Store, subscriptions: list[Subscription]) -> None:
        """Wait for a change, and notify those whom it concerns."""
        wake_up = _WakeUp(store)
        with self._lock:
            if self._subscriptions.difference(subscriptions):  # added before they could trigger it
                return
            self._wake_up = wake_up
        left = min(each.deadline for each in subscriptions) - time.monotonic()
        keys = dict.fromkeys(key for each in subscriptions for key in each.state.awaited_keys)
        present: set[str] = set()
        try:
            with suppress(DeadlineError):
                present.update(store.wait([*keys, wake_up.key], timeout=max(min(left, CHECK_SECONDS), 0.0)))
        finally:
            with self._lock:
                self._wake_up = None
            if wake_up.end(present):
                time.sleep(SETTLE_SECONDS)
        for subscription in subscriptions:
            self._judge(subscription, partial(subscription.state.note, present))

    def _check_claims(self, store: Store, subscriptions: list[Subscription]) -> None:
        """Notice the producers that have died."""
        claimed = [each for each in subscriptions if each.state.seen_claim is not None]
        if not claimed:
            return
        present = set(present_keys(store, list(dict.fromkeys(each.state.claim_key for each in claimed))))
        for subscription in claimed:
            if subscription.state.claim_key not in present and subscription in self._subscriptions:
                self._judge(subscription, subscription.state.note_lost_claim)

    def _judge(self, subscription: Subscription, look: Callable[[], bool]) -> None:
        try:
            ended = look()
        except (DeadlineError, *UNREACHABLE):
            raise
        except PskError as error:
            self._notify(subscription, error)
        else:
            if ended:
                self._notify(subscription, None)

    def _drop_late(self, subscriptions: list[Subscription]) -> None:
        now = time.monotonic()
        for subscription in subscriptions:
            if now >= subscription.deadline:
                self._notify(subscription, timeout_error(subscription.state, subscription.timeout))

    def _notify(self, subscription: Subscription, error: PskError | None) -> None:
        with self._lock:
            if subscription not in self._subscriptions:
                return
            self._subscriptions.discard(subscription)
        try:
            subscription.notify(error)
        except BaseException:  # noqa: BLE001  the thread serves others, also when a callback exits
            report_ignored(subscription.notify, "psk_patterns: ignored an exception of a callback of a future")


_watchers: dict[str, Watcher] = {}


def watch(subscriptions: Iterable[Subscription]) -> None:
    """Start watching futures, on any channels.

    Raises:
        PskError: This process does not trust, or cannot reach, one of the channels; then none is watched.
    """
    grouped = _by_channel(subscriptions)
    for group in grouped.values():
        for subscription in group:
            subscription.state.store()  # which checks that it may be used
    for uri, group in grouped.items():
        _watcher_of(uri).add(group)


def unwatch(subscriptions: Iterable[Subscription]) -> None:
    """Stop watching; unknown subscriptions are ignored."""
    for uri, group in _by_channel(subscriptions).items():
        _watcher_of(uri).remove(group)


def ended_now(subscriptions: Iterable[Subscription]) -> set[Subscription]:
    """Return those whose future has an outcome now, in one exchange per channel where the channel can.

    Raises:
        PskError: As `watch`.
    """
    ended: set[Subscription] = set()
    for group in _by_channel(subscriptions).values():
        stores = [each.state.store() for each in group]
        present = set(present_keys(stores[0], [key for each in group for key in each.state.keys]))
        ended.update(each for each in group if each.state.note(present))
    return ended


def notify_released(state: FutureState, error: PskError | None) -> None:
    """Notify all in this process who watch a future that is about to be released.

    Args:
        state: The future's state.
        error: Why it has no outcome; None where it has one.
    """
    watcher = _watchers.get(state.uri)
    if watcher is not None:
        watcher.end(state.result_key, error)


async def await_in_loop(state: FutureState, timeout: float) -> Outcome:
    """Wait for an outcome without blocking the running event loop; cancelling the task leaves the future alone.

    Args:
        state: The future's.
        timeout: Seconds to wait at most.

    Raises:
        PskError: As `await_outcome`.
    """
    import asyncio  # expensive, and already imported where there is an event loop

    loop = asyncio.get_running_loop()
    told: asyncio.Future[PskError | None] = loop.create_future()

    def notify(error: PskError | None) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(_settle, told, error)

    subscription = Subscription(state, notify, timeout)
    try:
        await _in_background(lambda: watch([subscription]))
        error = await told
    finally:
        unwatch([subscription])
    if error is not None:
        raise error
    outcome: Outcome = await _in_background(lambda: await_outcome(state, READING_SECONDS))
    return outcome


def _settle(told: asyncio.Future[PskError | None], error: PskError | None) -> None:
    if not told.done():  # it is done if the task was cancelled
        told.set_result(error)


async def _in_background(call: Callable[[], Any]) -> Any:
    """Run a blocking call in psk's own pool of threads, which is reached through a proxy's factory."""
    waited: Proxy[Any] = Proxy(lambda: (call(),))
    try:
        return (await aresolve(waited))[0]
    except ProxyResolveError as error:
        raise error.cause or error from None


def _by_channel(subscriptions: Iterable[Subscription]) -> dict[str, list[Subscription]]:
    grouped: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        grouped.setdefault(subscription.state.uri, []).append(subscription)
    return grouped


def _watcher_of(uri: str) -> Watcher:
    # Atomic: there is no lock that a finaliser or a signal handler could find held.
    return _watchers.setdefault(uri, Watcher())


@after_fork_in_child
def _reset() -> None:
    _watchers.clear()  # the threads do not exist in the child, and the callbacks are the parent's
