"""Count and time what a store does."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk.store.cache import Cache
    from psk.store.events import Event

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
        # Re-entrant: a finaliser or a signal handler that interrupts a call may use the store.
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
