"""Serve the capabilities that the channels of a multi connector share."""

from __future__ import annotations

import select
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from psk.connectors.arguments import (
    check_object_id,
    check_size,
    deadline_after,
    deadline_error,
    listed,
    shown,
    validate_key,
)
from psk.connectors.capabilities import (
    METHODS,
    SupportsAllocate,
    SupportsBatch,
    SupportsExpiry,
    SupportsList,
    SupportsRange,
    SupportsReserve,
    SupportsSwap,
    SupportsTake,
    SupportsWait,
    SupportsWatch,
    capabilities_of,
)
from psk.connectors.contract import DEFAULT_TIMEOUT
from psk.connectors.mixins import AbortedAtEnd, ContextManaged, Finalised
from psk.connectors.multi.routes import first_answer, shared_time
from psk.errors import ChannelFullError, ConnectorError, MissingKeyError, PskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.capabilities import Allocation, Watcher
    from psk.connectors.multi.routes import Child, Routes
    from psk.wire import Frames, Payload

LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks if there is no descriptor for several others."""


def shared_methods(routes: Routes) -> dict[str, Callable[..., Any]]:
    """Return the methods of the capabilities that all channels have, by name; no channel is opened.

    A channel that is not installed here takes no part in the decision: each use of it says so.
    """
    known = [found for child in routes.children if (found := child.connector_class) is not None]
    shared = frozenset.intersection(*map(capabilities_of, known)) if known else frozenset()
    forwarding = Forwarding(routes)
    names = [name for capability in shared for name in METHODS[capability]]
    return {name: getattr(forwarding, name) for name in names if hasattr(forwarding, name)}


class Forwarding:
    """The methods of the capabilities, of which a multi connector gets those that its channels share.

    There are none for coroutines: opening a channel may block, and a store uses threads then.
    """

    __slots__ = ("_routes",)

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Name an object in the channel that takes every size, or else the largest: its own is not known yet."""
        child = self._routes.taker_of_any_size()
        connector: SupportsReserve = child.able(SupportsReserve)
        return child.outer_key(connector.reserve(object_id, ttl=ttl, timeout=timeout))

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved into the channel that its key names, whatever its size."""
        located = self._routes.locate(key)
        check_object_id(validate_key(key), payload.object_id)
        child, inner = located[0] if len(located) == 1 else (self._routes.takers(payload.nbytes, None)[0], key)
        connector: SupportsReserve = child.able(SupportsReserve)
        connector.fulfil(inner, payload, ttl=ttl, timeout=timeout)

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now by its channel's clock, or never."""
        return bool(self._routes.ask(key, timeout, SupportsExpiry, "renew", ttl))

    def take(self, key: Key, claim: str, *, timeout: float | None = None, **options: Any) -> Frames | None:
        """Claim the object in its channel; the first claim wins."""
        return cast("Frames | None", self._routes.ask(key, timeout, SupportsTake, "take", claim, **options))

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload."""
        found = self._routes.ask(key, timeout, SupportsRange, "get_range", offset, length)
        return cast("memoryview | None", found)

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version in its channel, whatever its size."""
        check_object_id(validate_key(key), payload.object_id)
        left = shared_time(timeout)

        def call(child: Child, inner: Key) -> bool:
            connector: SupportsSwap = child.able(SupportsSwap)
            connector.swap(inner, payload, ttl=ttl, timeout=left())
            return True

        if not first_answer(self._routes.locate(key), (ConnectorError, MissingKeyError), call):
            raise MissingKeyError(f"there is no object under {shown(key)} to swap", remedy="put its first version")

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of all channels; one that cannot be opened here is an error, not left out."""
        left = shared_time(timeout)
        opened = [(child, child.able(SupportsList)) for child in self._routes.children]
        listed = [(child, connector.keys(timeout=left())) for child, connector in opened]
        return (child.outer_key(key) for child, keys in listed for key in keys)

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object of all channels; nothing if one of them cannot be opened here."""
        left = shared_time(timeout)
        opened = [child.able(SupportsList) for child in self._routes.children]
        return sum(connector.clear(timeout=left()) for connector in opened)

    def put_batch(
        self,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> list[Key]:
        """Put each payload into the channel that takes it, with one exchange for each channel."""
        left = shared_time(timeout)
        keys: list[Key] = [""] * len(payloads)
        groups: dict[Child, list[int]] = {}
        for place, payload in enumerate(payloads):
            groups.setdefault(self._routes.takers(payload.nbytes, hints)[0], []).append(place)
        for child, places in groups.items():
            connector = child.able(SupportsBatch)
            group = [payloads[place] for place in places]
            try:
                inner = connector.put_batch(group, ttl=ttl, timeout=left(), hints=hints)
                named = [child.named(key) for key in inner]
            except ChannelFullError:
                # Those that found room are put again, which is one put; the others go to the next channel.
                named = [self._routes.put(payload, ttl=ttl, timeout=left(), hints=hints) for payload in group]
            for place, key in zip(places, named, strict=True):
                keys[place] = key
        return keys

    def get_batch(
        self, keys: Sequence[Key], *, sizes: Sequence[int | None] | None = None, timeout: float | None = None
    ) -> list[Frames | None]:
        """Get each key from its channel."""
        return _ask_each(self._routes, "get", keys, timeout, sizes)

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether its channel holds an object."""
        return [bool(answer) for answer in _ask_each(self._routes, "exists", keys, timeout)]

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key from its channel."""
        _ask_each(self._routes, "evict", keys, timeout)

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one."""
        deadline = deadline_after(timeout, DEFAULT_TIMEOUT)
        located = [pair for key in keys for pair in self._routes.locate(key)]
        if len(keys) == len(located) and len({child for child, _ in located}) == 1:
            connector: SupportsWait = located[0][0].able(SupportsWait)
            found = connector.wait([inner for _, inner in located], timeout=timeout)
            return [key for key, (_, inner) in zip(keys, located, strict=True) if inner in found]
        with _Watcher(self._routes) as watcher:
            if arrived := watcher.await_any(keys, deadline):
                return [key for key in keys if key in arrived]
        raise deadline_error(f"waiting for {listed(keys)} in a multi connector")

    def allocate(self, nbytes: int, *, timeout: float | None = None) -> Allocation:
        """Allocate memory in the first channel that takes a payload of this size and has room."""
        left = shared_time(timeout)

        def call(child: Child, size: int) -> Allocation:
            connector: SupportsAllocate = child.able(SupportsAllocate)
            return _Allocation(child, connector.allocate(size, timeout=left()))

        takers = [(child, nbytes) for child in self._routes.takers(check_size(nbytes), None)]
        return cast("Allocation", first_answer(takers, ChannelFullError, call))

    def watcher(self) -> Watcher:
        """Return a watcher of all channels."""
        return _Watcher(self._routes)


def _ask_each(
    routes: Routes,
    method: str,
    keys: Sequence[Key],
    timeout: float | None,
    sizes: Sequence[int | None] | None = None,
) -> list[Any]:
    """Ask each channel for all its keys together, and for keys that name no channel one by one."""
    left = shared_time(timeout)
    answers: list[Any] = [None] * len(keys)
    groups: dict[Child, dict[int, Key]] = {}
    for place, key in enumerate(keys):
        located = routes.locate(key)
        if len(located) == 1:
            groups.setdefault(located[0][0], {})[place] = located[0][1]
        else:
            answers[place] = routes.ask(key, left(), None, method)
    for child, asked in groups.items():
        hints = {} if sizes is None else {"sizes": [sizes[place] for place in asked]}
        together = getattr(child.able(SupportsBatch), f"{method}_batch")
        for place, answer in zip(asked, together([*asked.values()], timeout=left(), **hints) or (), strict=False):
            answers[place] = answer
    return answers


class _Allocation(AbortedAtEnd):
    """An allocation in one of the channels."""

    __slots__ = ("_child", "_inner", "abort")

    def __init__(self, child: Child, inner: Allocation) -> None:
        self._child = child
        self._inner = inner
        self.abort = inner.abort

    @property
    def buffer(self) -> memoryview:
        return self._inner.buffer

    def commit(self, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        return self._child.named(self._inner.commit(ttl=ttl, timeout=timeout))


class _Watcher(ContextManaged, Finalised):
    """A watcher for each channel that has keys, and one descriptor for all of theirs."""

    __slots__ = ("__weakref__", "_arrived", "_callbacks", "_descriptors", "_routes", "_watchers")

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._watchers: dict[Child, Watcher] = {}
        self._callbacks: dict[Key, Callable[[Key], object]] = {}
        self._arrived: deque[Key] = deque()
        self._descriptors: select.epoll | None = None
        with suppress(AttributeError, OSError):  # not of this system, or no descriptor is left
            self._descriptors = select.epoll()
        routes.children[0].check_open()

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        for child, inner in self._routes.locate(key):
            # Not bound to this watcher, which would keep itself alive.
            self._watcher_of(child).add(inner, partial(_note, self._arrived, key))
        self._callbacks[key] = callback

    def discard(self, key: Key) -> None:
        self._callbacks.pop(key, None)
        for child, inner in self._routes.locate(key):
            if child in self._watchers:
                self._watchers[child].discard(inner)

    def fileno(self) -> int | None:
        return None if self._descriptors is None else self._descriptors.fileno()

    def dispatch(self) -> float | None:
        self._routes.children[0].check_open()
        pauses = [watcher.dispatch() for watcher in list(self._watchers.values())]
        while self._arrived:
            key = self._arrived.popleft()
            callback = self._callbacks.get(key)
            if callback is not None:
                self.discard(key)
                callback(key)
        if self._descriptors is None:
            pauses.append(LONGEST_PAUSE)
        return min((pause for pause in pauses if pause is not None), default=None)

    def close(self) -> None:
        for watcher in self._watchers.values():
            watcher.close()
        self._watchers.clear()
        if self._descriptors is not None:
            self._descriptors.close()

    def await_any(self, keys: Sequence[Key], deadline: float) -> list[Key]:
        """Return those keys that have an object, after waiting for one; none when time is up.

        A channel that cannot be watched is an error, unless another one has an object already.
        """
        arrived: list[Key] = []
        failure: PskError | None = None
        for key in keys:
            try:
                self.add(key, arrived.append)
            except PskError as error:
                failure = failure or error
        while True:
            pause = self.dispatch()
            left = deadline - time.monotonic()
            if arrived or left <= 0:
                return arrived
            if failure is not None:
                raise failure
            pause = left if pause is None else min(pause, left)
            if self._descriptors is None:
                time.sleep(pause)
            else:
                self._descriptors.poll(pause)

    def _watcher_of(self, child: Child) -> Watcher:
        watcher = self._watchers.get(child)
        if watcher is None:
            connector: SupportsWatch = child.able(SupportsWatch)
            watcher = self._watchers[child] = connector.watcher()
            descriptor = watcher.fileno()
            if self._descriptors is not None and descriptor is not None:
                self._descriptors.register(descriptor, select.EPOLLIN)
        return watcher


def _note(arrived: deque[Key], key: Key, _inner: Key) -> None:
    arrived.append(key)
