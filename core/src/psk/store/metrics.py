"""How often, how long and over how many bytes does a store do what it does?"""

from __future__ import annotations

import threading
from bisect import bisect_left
from functools import partial, wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.store.objects import ObjectMethods

#: Upper bounds of the histogram's buckets in seconds: 1 us, 2 us, 4 us, ... 67 s, and one for all that is longer.
BOUNDS: tuple[float, ...] = tuple(1e-6 * 2**power for power in range(27))
#: Which methods are timed, by the name under which they are reported.
STORE_METHODS = (
    "put",
    "get",
    "exists",
    "evict",
    "proxy",
    "wait",
    "put_batch",
    "get_batch",
    "evict_batch",
    "proxy_batch",
    "reserve",
    "fulfil",
    "renew",
    "take",
    "swap",
    "stat",
    "list",
    "clear",
)


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
        self.minimum = min(self.minimum, seconds)
        self.maximum = max(self.maximum, seconds)
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def quantile(self, fraction: float) -> float:
        """Give an upper bound in seconds of the shortest `fraction` of all durations, exact to a factor of two."""
        wanted = fraction * self.count
        seen = 0
        for bound, count in zip((*BOUNDS, self.maximum), self.buckets, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, self.maximum)
        return 0.0

    def as_dict(self) -> dict[str, float]:
        """Give count and durations in seconds."""
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
        times: Durations by operation: `store.put`, `store.get`, ... as the caller sees them; within them
            `store.serialize`, `store.deserialize`, `connector.put` and `connector.get` (fetch and checks), a batch
            that the channel moves together being one. `aput` and `aget` count as `put` and `get`.
        nbytes: Payload bytes by direction: `put` and `get`.
        failures: How often each operation raised.
    """

    def __init__(self, cache: Any) -> None:
        self.times: dict[str, Histogram] = {}
        self.nbytes = {"put": 0, "get": 0}
        self.failures: dict[str, int] = {}
        self._cache = cache
        # Re-entrant: a finaliser or a signal handler that comes in between may use the store.
        self._lock = threading.RLock()

    @property
    def cache_hits(self) -> int:
        """How many gets the cache served."""
        return int(self._cache.hits)

    @property
    def cache_misses(self) -> int:
        """How many gets the cache could not serve."""
        return int(self._cache.misses)

    def record(
        self, operation: str, seconds: float, direction: str = "", nbytes: int = 0, *, failed: bool = False
    ) -> None:
        """Count one operation."""
        with self._lock:
            histogram = self.times.get(operation)
            if histogram is None:
                histogram = self.times[operation] = Histogram()
            histogram.add(seconds)
            if direction:
                self.nbytes[direction] += nbytes
            if failed:
                self.failures[operation] = self.failures.get(operation, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Give everything as plain values; durations are in seconds."""
        with self._lock:
            return {
                "times": {operation: histogram.as_dict() for operation, histogram in self.times.items()},
                "nbytes": dict(self.nbytes),
                "failures": dict(self.failures),
                "cache": {"hits": self.cache_hits, "misses": self.cache_misses},
            }


def instrument(store: ObjectMethods) -> StoreMetrics:
    """Time a store's operations by wrapping them on this one instance; a store without metrics pays nothing."""
    metrics = StoreMetrics(store._reader.cache)  # noqa: SLF001  the one switch, kept out of the code it measures
    measure = partial(_measure, metrics)
    for method in STORE_METHODS:
        measure(store, method, f"store.{method}")
    measure(store, "resolve_reference", "factory.resolve")
    measure(store._encoder, "encode", "store.serialize")  # noqa: SLF001  as above
    measure(store._reader, "decode", "store.deserialize")  # noqa: SLF001
    for place in ("_place", "_place_together", "_place_reserved", "_place_swapped"):
        measure(store, place, "connector.put", "put")
    for fetch in ("fetch", "fetch_batch"):
        measure(store._reader, fetch, "connector.get", "get")  # noqa: SLF001
    measure(store, "_fetch_claimed", "connector.get", "get")
    # Where a channel has no coroutines, the methods above do their work.
    measure(store, "_put_async", "store.put", awaited=True)
    measure(store, "_get_async", "store.get", awaited=True)
    measure(store, "_place_async", "connector.put", "put", awaited=True)
    measure(store, "_fetch_async", "connector.get", "get", awaited=True)
    return metrics


def _measure(
    metrics: StoreMetrics, owner: Any, method: str, operation: str, direction: str = "", *, awaited: bool = False
) -> None:
    call: Callable[..., Any] = getattr(owner, method)

    def count(start: float, arguments: tuple[Any, ...], result: Any) -> None:
        seconds = perf_counter() - start
        moved = (arguments[0] if direction == "put" else result) if direction else None
        parts = moved if isinstance(moved, list) else [moved]
        metrics.record(operation, seconds, direction, sum(getattr(part, "nbytes", 0) for part in parts))

    def measured(*args: Any, **options: Any) -> Any:
        start = perf_counter()
        try:
            result = call(*args, **options)
        except BaseException:
            metrics.record(operation, perf_counter() - start, failed=True)
            raise
        count(start, args, result)
        return result

    async def measured_awaiting(*args: Any, **options: Any) -> Any:
        start = perf_counter()
        try:
            result = await call(*args, **options)
        except BaseException:
            metrics.record(operation, perf_counter() - start, failed=True)
            raise
        count(start, args, result)
        return result

    setattr(owner, method, wraps(call)(measured_awaiting if awaited else measured))
