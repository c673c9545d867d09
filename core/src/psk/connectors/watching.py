"""Serve registered waits on a channel that can set something when an object arrives."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from psk.connectors.arguments import validate_plain_key
from psk.connectors.duties import ContextManaged, Finalised
from psk.connectors.waiting import WakePipe
from psk.errors import ConnectorClosedError, ShortageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.connectors.arguments import Key


class Settable(Protocol):
    """An object that a source sets: a `Wake`, an `Arrival`, or anything else that can be set from any thread."""

    def set(self) -> None:
        """Take note, without waiting."""


class Source(Protocol):
    """A source that reports arrivals."""

    def present(self, keys: Sequence[Key], /) -> list[Key]:
        """Return those keys that have an object."""

    def tell(self, keys: Sequence[Key], settable: Settable, /) -> None:
        """Set something whenever an object arrives under one of some keys, and when the connector is closed."""

    def tell_no_more(self, keys: Sequence[Key], settable: Settable, /) -> None:
        """End what `tell` began; after this call it is not set any more."""


class Arrival:
    """Note in a watcher's queue that an object may have arrived."""

    __slots__ = ("__weakref__", "_arrived", "_key", "_pipe", "callback")

    def __init__(self, key: Key, callback: Callable[[Key], object], arrived: deque[Key], pipe: WakePipe) -> None:
        self.callback = callback
        self._key = key
        self._arrived = arrived
        self._pipe = pipe

    def set(self) -> None:
        """Queue the key, and make the descriptor readable."""
        self._arrived.append(self._key)
        self._pipe.set()


class ToldWatcher(ContextManaged, Finalised):
    """Keep callbacks by key, and call those whose key the source told of; see `psk.connectors.Watcher`.

    Args:
        source: What tells of arrivals.
        check_open: Raises if the connector was closed, or cannot be used in this process.
        look_interval: Seconds between two looks for all keys, where what the source tells may be lost; None: never.
    """

    __slots__ = (
        "__weakref__",
        "_arrivals",
        "_arrived",
        "_check_open",
        "_look_at",
        "_look_interval",
        "_pipe",
        "_source",
    )

    def __init__(self, source: Source, check_open: Callable[[], object], *, look_interval: float | None = None) -> None:
        self._look_interval = look_interval
        self._look_at = 0.0
        self._check_open = check_open
        self._arrivals: dict[Key, Arrival] = {}
        self._arrived: deque[Key] = deque()
        self._source = source
        try:
            self._pipe = WakePipe()
        except OSError as error:
            raise ShortageError(
                f"no descriptor is left to watch with: {error}", remedy="raise the limit of open files (ulimit -n)"
            ) from error

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        """Have `callback(key)` called once the object exists."""
        self.discard(validate_plain_key(key))
        self._check()
        self._arrivals[key] = arrival = Arrival(key, callback, self._arrived, self._pipe)
        self._source.tell([key], arrival)
        if self._pipe.fileno() < 0:  # another thread has closed it, perhaps before the source was asked
            self._arrivals.pop(key, None)
            self._source.tell_no_more([key], arrival)
            self._check()
        arrival.set()  # the object may exist already

    def discard(self, key: Key) -> None:
        """Forget a key."""
        arrival = self._arrivals.get(key)
        if arrival is not None:
            self._source.tell_no_more([key], arrival)  # first: after an interrupt `close` does it again
            self._arrivals.pop(key, None)

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when an object has arrived, or the connector was closed."""
        return self._pipe.fileno()

    def dispatch(self) -> float | None:
        """Call the callbacks of the objects that exist now; return the seconds after which to look again."""
        self._check()
        self._pipe.clear()
        told = [self._arrived.popleft() for _ in range(len(self._arrived))]
        now = time.monotonic()
        if self._look_interval is not None and now >= self._look_at:
            self._look_at = now + self._look_interval
            told = list(self._arrivals)
        wanted = [key for key in dict.fromkeys(told) if key in self._arrivals]
        ready = deque(self._source.present(wanted)) if wanted else deque()
        try:
            while ready:
                key = ready.popleft()
                arrival = self._arrivals.get(key)
                if arrival is not None:
                    self.discard(key)
                    arrival.callback(key)
        finally:
            if ready:  # a callback failed: the others are due at the next call
                self._arrived.extend(ready)
                self._pipe.set()
        if self._look_interval is None or not self._arrivals:
            return None
        return max(0.0, self._look_at - now)

    def close(self) -> None:
        """Forget every key, and close the descriptor: nobody sets an arrival any more."""
        try:
            self._pipe.close()  # first, so that an `add` in another thread sees it
        finally:  # also after an interrupt: a finaliser closes this only once
            for key in list(self._arrivals):
                self.discard(key)

    def _check(self) -> None:
        if self._pipe.fileno() < 0:
            raise ConnectorClosedError("the watcher is closed", remedy="make a new one")
        self._check_open()
