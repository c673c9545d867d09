"""Serve registered waits on a channel that can set something when an object arrives."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from psk.connectors.arguments import validate_plain_key
from psk.connectors.mixins import ContextManaged, Finalised
from psk.connectors.waiting import WakePipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.connectors.arguments import Key


class Settable(Protocol):
    """What a source sets: a `Wake`, an `Arrival`, or anything else that can be set from any thread."""

    def set(self) -> None:
        """Take note, without waiting."""
        ...


class Source(Protocol):
    """What tells of arrivals."""

    def present(self, keys: Sequence[Key], /) -> list[Key]:
        """Return those keys that have an object."""
        ...

    def tell(self, keys: Sequence[Key], settable: Settable, /) -> None:
        """Set something whenever an object arrives under one of some keys, and when the connector is closed."""
        ...

    def tell_no_more(self, keys: Sequence[Key], settable: Settable, /) -> None:
        """End what `tell` began; after this call it is not set any more."""
        ...


class Arrival:
    """Note in a watcher's queue that an object may have arrived."""

    __slots__ = ("_arrived", "_key", "_pipe", "callback")

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
    """

    __slots__ = ("__weakref__", "_arrivals", "_arrived", "_check_open", "_pipe", "_source")

    def __init__(self, source: Source, check_open: Callable[[], object]) -> None:
        self._check_open = check_open
        self._arrivals: dict[Key, Arrival] = {}
        self._arrived: deque[Key] = deque()
        self._source = source
        self._pipe = WakePipe()

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        """Have `callback(key)` called once the object exists."""
        self.discard(validate_plain_key(key))
        self._check_open()
        self._arrivals[key] = arrival = Arrival(key, callback, self._arrived, self._pipe)
        self._source.tell([key], arrival)
        if self._source.present([key]):
            arrival.set()

    def discard(self, key: Key) -> None:
        """Forget a key."""
        arrival = self._arrivals.pop(key, None)
        if arrival is not None:
            self._source.tell_no_more([key], arrival)

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when an object has arrived, or the connector was closed."""
        return self._pipe.fileno()

    def dispatch(self) -> float | None:
        """Call the callbacks of the objects that exist now."""
        self._check_open()
        self._pipe.clear()
        while self._arrived:
            key = self._arrived.popleft()
            arrival = self._arrivals.get(key)
            if arrival is not None and self._source.present([key]):
                self.discard(key)
                arrival.callback(key)
        return None

    def close(self) -> None:
        """Forget every key, and close the descriptor: nobody sets an arrival any more."""
        for key in list(self._arrivals):
            self.discard(key)
        self._pipe.close()
