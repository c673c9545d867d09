"""Report what a store does to its subscribers: its metrics, and the observers of plug-ins.

Imported only for a store that has a subscriber. Everywhere else `events` is None.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from psk.errors import report_ignored
from psk.fork import after_fork_in_child
from psk.plugins import installed, load
from psk.plugins.discovery import NOT_ALLOWED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token
    from types import TracebackType

    from psk.store.cache import Cache

T = TypeVar("T")


class Event:
    """A part of a store's call: a context manager while it runs, which subscribers get when it has ended.

    The `with` block gets `moved`, to be called with each payload that moves.

    Attributes:
        operation: What was done: `connector.get`, `store.serialize`, ... as in `StoreMetrics.times`.
        seconds: How long it took.
        sizes: The keys of the objects it was about, with the bytes of each payload that moved; 0 if none did.
        failed: Whether it raised.
    """

    __slots__ = ("_start", "events", "failed", "operation", "seconds", "sizes")

    failed: bool
    seconds: float

    def __init__(self, events: Events, operation: str) -> None:
        self.events = events
        self.operation = operation
        self.sizes: dict[str, int] = {}

    def __enter__(self) -> Callable[[str, int], None]:
        self._start = perf_counter()
        return self.moved

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = perf_counter() - self._start
        self.failed = error is not None
        for subscriber in self.events.subscribers:
            subscriber(self)

    def moved(self, key: str, nbytes: int) -> None:
        """Note that the payload of a key moved, in this event and in that of the call in progress."""
        self.sizes[key] = nbytes
        call = _call.get()
        if call is not None and call.events is self.events:
            call.sizes[key] = nbytes


class Call(Event):
    """A call of a store: `store.put`, `store.get`, ... or `factory.resolve`, with all that moved in it."""

    __slots__ = ("_token",)

    _token: Token[Call | None]

    def __enter__(self) -> Callable[[str, int], None]:
        self._token = _call.set(self)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            _call.reset(self._token)
        except ValueError:  # a coroutine that is closed, not awaited, ends in a context that is not its own
            return
        super().__exit__(kind, error, traceback)


#: The call in progress, of whatever store.
_call: ContextVar[Call | None] = ContextVar("psk call", default=None)

Subscriber: TypeAlias = "Callable[[Event], object]"


class Events:
    """Where one store reports what it does.

    Args:
        observers: A subscriber that asks which objects a call was about, so that calls keep account of them; or None.

    Attributes:
        subscribers: Functions that are called with each event when it has ended.
    """

    def __init__(self, observers: Subscriber | None = None) -> None:
        self.subscribers: tuple[Subscriber, ...] = () if observers is None else (observers,)
        kind = Event if observers is None else Call
        #: Make the event of a call of the store, which runs in a `with` block.
        self.running: Callable[[str], Event] = partial(kind, self)

    def count(self, cache: Cache) -> StoreMetrics:
        """Count and time events from now on, and the hits of a cache."""
        metrics = StoreMetrics(cache)
        self.subscribers += (metrics.hear,)
        return metrics

    def transfer(self, name: str) -> Event:
        """Return the event of a transfer, which runs in a `with` block."""
        return Event(self, name)

    def step(self, name: str, function: Callable[..., T], *args: Any, **options: Any) -> T:
        """Call a function as a part of the call in progress."""
        with Event(self, name):
            return function(*args, **options)

    def about(self, *keys: str) -> None:
        """Note that the call in progress is about these keys, whether or not their payloads move."""
        call = _call.get()
        if call is not None and call.events is self:
            for key in keys:
                call.sizes.setdefault(key, 0)


#: Upper bounds of the histogram's buckets in seconds: 1 us, 2 us, 4 us, ... 67 s. One more bucket has the rest.
BOUNDS: tuple[float, ...] = tuple(1e-6 * 2**power for power in range(27))
#: Operations in which payloads move, with the direction.
DIRECTIONS = {"connector.put": "put", "connector.get": "get"}


class Histogram:
    """Durations of one operation, in seconds.

    Attributes:
        count: How many there were.
        total: Their sum.
        minimum: The shortest one.
        maximum: The longest one.
        last: The latest one.
        buckets: How many fell at or below each of `BOUNDS` and above the one before; the last counts the rest.
    """

    __slots__ = ("buckets", "count", "last", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = self.last = self.maximum = 0.0
        self.minimum = float("inf")
        self.buckets = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self.total += seconds
        self.last = seconds
        if seconds < self.minimum:  # noqa: PLR1730  min() and max() would take as long as all the rest
            self.minimum = seconds
        if seconds > self.maximum:  # noqa: PLR1730  as above
            self.maximum = seconds
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def quantile(self, fraction: float) -> float:
        """Return an upper bound in seconds of the shortest `fraction` of all durations, exact to a factor of two."""
        wanted = fraction * self.count
        seen = 0
        for bound, count in zip((*BOUNDS, self.maximum), self.buckets, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, self.maximum)
        return 0.0

    def as_dict(self) -> dict[str, float]:
        """Return count and durations in seconds."""
        return {
            "count": self.count,
            "total_s": self.total,
            "mean_s": self.total / self.count if self.count else 0.0,
            "min_s": self.minimum if self.count else 0.0,
            "max_s": self.maximum,
            "last_s": self.last,
            "p50_s": self.quantile(0.5),
            "p99_s": self.quantile(0.99),
        }


class StoreMetrics:
    """What one store did since it was opened; bounded in memory, whatever the number of objects.

    Attributes:
        times: Durations by operation. `store.put`, `store.get`, ... are the calls of a user, the asynchronous ones
            included; `factory.resolve` is the resolution of a proxy. Within them are `store.serialize`,
            `connector.put`, `connector.get`, `store.verify` (checksum and signature of what was fetched) and
            `store.deserialize`. A batch that the channel moves together is one call of the connector.
        nbytes: Payload bytes by direction: `put` and `get`.
        failures: How often each operation raised.
    """

    def __init__(self, cache: Cache) -> None:
        self.times: dict[str, Histogram] = {}
        self.nbytes = {"put": 0, "get": 0}
        self.failures: dict[str, int] = {}
        self._cache = cache
        self._renew_lock()
        after_fork_in_child(self, StoreMetrics._renew_lock)

    def _renew_lock(self) -> None:
        # Re-entrant: a finaliser or a signal handler that interrupts a call may use the store. In a forked child, the
        # thread that held it does not exist.
        self._lock = threading.RLock()

    @property
    def cache_hits(self) -> int:
        """Number of gets that the cache served."""
        return self._cache.hits

    @property
    def cache_misses(self) -> int:
        """Number of gets that the cache could not serve."""
        return self._cache.misses

    def hear(self, event: Event) -> None:
        """Count an event of the store: this is what subscribes to them."""
        operation = event.operation
        with self._lock:
            histogram = self.times.get(operation)
            if histogram is None:
                histogram = self.times[operation] = Histogram()
            histogram.add(event.seconds)
            if operation in DIRECTIONS:
                self.nbytes[DIRECTIONS[operation]] += sum(event.sizes.values())
            if event.failed:
                self.failures[operation] = self.failures.get(operation, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values; durations are in seconds."""
        with self._lock:
            return {
                "times": {operation: histogram.as_dict() for operation, histogram in self.times.items()},
                "nbytes": dict(self.nbytes),
                "failures": dict(self.failures),
                "cache": {"hits": self.cache_hits, "misses": self.cache_misses},
            }


def events_of(store: str, *, wanted: bool) -> Events | None:
    """Return the events of a store, with the observers of this process among the subscribers.

    Args:
        store: The store's name.
        wanted: Whether there will be other subscribers.

    Returns:
        None if nobody would hear of them. A store that an observer opens for itself has no observers.
    """
    if _telling.get():
        observers: tuple[Observer, ...] = ()
    else:
        if not _observers:
            with _quietly():
                _observers.append(_load_observers())
        observers = _observers[0]
    if observers:
        return Events(partial(_tell_observers, store, observers))
    return Events() if wanted else None


#: The hook that each operation is reported to.
HOOKS = {
    **dict.fromkeys(("store.put", "store.put_batch", "store.fulfil", "store.swap"), "psk_after_put"),
    **dict.fromkeys(("store.proxy", "store.proxy_batch"), "psk_after_put"),
    **dict.fromkeys(("store.get", "store.get_batch", "store.take"), "psk_after_get"),
    **dict.fromkeys(("store.evict", "store.evict_batch"), "psk_after_evict"),
    "factory.resolve": "psk_after_resolve",
}


class Observer:
    """The hooks of one plug-in. One that raises is reported once, and does not disturb the store.

    Args:
        entry_point: The plug-in's name, for reports.
        hooks: What `psk.plugins.load` returned.
    """

    __slots__ = ("_entry_point", "_hooks", "_reported")

    def __init__(self, entry_point: str, hooks: Any) -> None:
        self._entry_point = entry_point
        self._hooks = hooks
        self._reported: set[str] = set()

    def tell(self, hook: str, **event: Any) -> None:
        """Call the plug-in's implementation of a hook, if it has one."""
        try:
            getattr(self._hooks, hook)(**event)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  the failure of an observer is not one of the store
            if hook not in self._reported:
                self._reported.add(hook)
                report_ignored(f"{self._entry_point}: {hook}", "Exception ignored in a plug-in of psk")


#: Whether observers run here: nobody hears of what they do themselves.
_telling: ContextVar[bool] = ContextVar("psk telling observers", default=False)
#: The observers of this process, once they have been loaded.
_observers: list[tuple[Observer, ...]] = []


@contextmanager
def _quietly() -> Iterator[None]:
    token = _telling.set(True)
    try:
        yield
    finally:
        _telling.reset(token)


def _load_observers() -> tuple[Observer, ...]:
    observers = []
    seen = set()
    for plugin in installed():
        if plugin.kind != "observer" or plugin.status == NOT_ALLOWED or plugin.name in seen:
            continue
        seen.add(plugin.name)
        try:
            observers += [Observer(plugin.entry_point, hooks) for hooks in load(plugin.kind, plugin.name)]
        except Exception:  # noqa: BLE001  whatever is wrong with an observer, the store opens
            report_ignored(plugin.entry_point, "psk continues without an observer")
    return tuple(observers)


def _tell_observers(store: str, observers: tuple[Observer, ...], event: Event) -> None:
    hook = None if event.failed or _telling.get() else HOOKS.get(event.operation)
    if hook is None or not event.sizes:
        return
    seconds = event.seconds / len(event.sizes)
    with _quietly():
        for key, nbytes in event.sizes.items():
            for observer in observers:
                observer.tell(hook, store=store, key=key, nbytes=nbytes, seconds=seconds)
