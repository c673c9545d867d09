"""Serve the capabilities that the channels of a multi connector share."""

from __future__ import annotations

import select
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cache, partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from psk.connectors.arguments import check_object_id, check_size, deadline_after, deadline_error, shown, validate_key
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
from psk.connectors.multi.routes import Search, shared_time
from psk.errors import ChannelFullError, ConnectorError, DeadlineError, MissingKeyError, PskError, ShortageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.capabilities import Allocation, Watcher
    from psk.connectors.multi.routes import Child, Routes
    from psk.wire import Frames, Payload

T = TypeVar("T")

LONGEST_SLICE: Final = 0.25
"""Seconds after which a thread looks whether its wait is still wanted, and so the longest that it outlives it."""


def with_capabilities(plain: type[T], children: Sequence[Child]) -> type[T]:
    """Return the class of a multi connector over some channels: it has the capabilities that all of them have.

    `isinstance` asks the class of an instance what it can do, so instances of different capabilities need different
    classes. A channel that is not installed here takes no part in the decision: each use of it says so.

    Args:
        plain: MultiConnector, a subclass, or what this function returned for one.
        children: Its channels; none is opened.
    """
    known = [found for child in children if (found := child.connector_class) is not None]
    shared = frozenset.intersection(*map(capabilities_of, known)) if known else frozenset()
    return _class_with(vars(plain).get("_plain", plain), shared)


@cache
def _class_with(plain: type[T], capabilities: frozenset[type]) -> type[T]:
    methods = {name: vars(Forwarding)[name] for capability in capabilities for name in METHODS[capability]}
    own = {"__slots__": (), "__doc__": plain.__doc__, "__module__": plain.__module__, "_plain": plain}
    return cast("type[T]", type(plain.__name__, (plain,), own | methods))


class Forwarding:
    """The methods of every capability, of which the class of an instance gets those that its channels have."""

    __slots__ = ()
    _routes: Routes

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
        located = self._routes.locate(key)
        left = shared_time(timeout)
        search = Search(located, ConnectorError, MissingKeyError)
        for child, inner in located:
            connector: SupportsSwap = child.able(SupportsSwap)
            with search:
                connector.swap(inner, payload, ttl=ttl, timeout=left())
                return
        search.end()
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
        self: Any,
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
                named = [self.put(payload, ttl=ttl, timeout=left(), hints=hints) for payload in group]
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

    async def aput(
        self,
        payload: Payload,
        *,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
        **options: Any,
    ) -> Key:
        """Do what `put` does."""
        left = shared_time(timeout)
        takers = self._routes.takers(payload.nbytes, hints)
        search = Search(takers, ChannelFullError)
        for child in takers:
            connector = await child.able_async()
            with search:
                key = await connector.aput(payload, timeout=left(), hints=hints, **options)
                return child.named(key)
        return cast("Key", search.end())

    async def aget(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Do what `get` does."""
        return cast("Frames | None", await self._routes.ask_async(key, timeout, "aget", size=size))

    async def aexists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Do what `exists` does."""
        return bool(await self._routes.ask_async(key, timeout, "aexists"))

    async def aevict(self, key: Key, *, timeout: float | None = None) -> None:
        """Do what `evict` does."""
        await self._routes.ask_async(key, timeout, "aevict")

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one; each channel waits for its own."""
        deadline = deadline_after(timeout, DEFAULT_TIMEOUT)
        asked: dict[Child, dict[Key, list[Key]]] = {}
        for key in keys:
            for child, inner in self._routes.locate(key):
                asked.setdefault(child, {}).setdefault(inner, []).append(key)
        if not asked:
            asked[self._routes.children[0]] = {}
        waits = [partial(_wait, *share) for share in asked.items()]
        found = waits[0](deadline) if len(waits) == 1 else _present(waits) or _wait_for_any(waits, deadline)
        return [key for key in keys if key in found]

    def allocate(self, nbytes: int, *, timeout: float | None = None) -> Allocation:
        """Allocate memory in the first channel that takes a payload of this size and has room."""
        left = shared_time(timeout)
        takers = self._routes.takers(check_size(nbytes), None)
        search = Search(takers, ChannelFullError)
        for child in takers:
            connector: SupportsAllocate = child.able(SupportsAllocate)
            with search:
                return _Allocation(child, connector.allocate(nbytes, timeout=left()))
        return cast("Allocation", search.end())

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


def _wait(child: Child, outers: dict[Key, list[Key]], deadline: float) -> set[Key]:
    """Wait for the objects of one channel, whose keys are mapped to other keys here."""
    connector: SupportsWait = child.able(SupportsWait)
    found = connector.wait([*outers], timeout=max(deadline - time.monotonic(), 0.0))
    return {outer for inner in found for outer in outers[inner]}


def _wait_for_any(waits: Sequence[Callable[[float], set[Key]]], deadline: float) -> set[Key]:
    answers: SimpleQueue[set[Key] | PskError] = SimpleQueue()
    over = threading.Event()

    def run(wait: Callable[[float], set[Key]]) -> None:
        # In slices, because a channel's own wait cannot be called off when another channel has the answer.
        while not over.is_set():
            try:
                answers.put(wait(min(deadline, time.monotonic() + LONGEST_SLICE)))
            except DeadlineError:
                if time.monotonic() < deadline:
                    continue
            except PskError as error:
                answers.put(error)
            return

    doing = f"waiting for objects of {len(waits)} channels of a multi connector"
    try:
        for wait in waits:
            threading.Thread(target=run, args=(wait,), name="psk-multi-wait", daemon=True).start()
        answer = answers.get(timeout=max(deadline - time.monotonic(), 0.0))
    except Empty:
        raise deadline_error(doing) from None
    except RuntimeError as error:
        raise ShortageError(f"no thread can be started for {doing}", remedy="raise the limit of threads") from error
    finally:
        over.set()
    if isinstance(answer, PskError):
        raise answer
    return answer | _present(waits)


def _present(waits: Sequence[Callable[[float], set[Key]]]) -> set[Key]:
    """Return the keys that exist already; why a channel cannot tell is said by the wait itself."""
    found: set[Key] = set()
    for wait in waits:
        with suppress(PskError):
            found |= wait(0.0)
    return found


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
        self._descriptors = select.epoll() if hasattr(select, "epoll") else None
        routes.children[0].check_open()

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        for child, inner in self._routes.locate(key):
            watcher = self._watchers.get(child)
            if watcher is None:
                connector: SupportsWatch = child.able(SupportsWatch)
                watcher = self._watchers[child] = connector.watcher()
                descriptor = watcher.fileno()
                if self._descriptors is not None and descriptor is not None:
                    self._descriptors.register(descriptor, select.EPOLLIN)
            # Not bound to this watcher, which would keep itself alive.
            watcher.add(inner, partial(_note, self._arrived, key))
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
            pauses.append(LONGEST_SLICE)
        return min((pause for pause in pauses if pause is not None), default=None)

    def close(self) -> None:
        for watcher in self._watchers.values():
            watcher.close()
        self._watchers.clear()
        if self._descriptors is not None:
            self._descriptors.close()


def _note(arrived: deque[Key], key: Key, _inner: Key) -> None:
    arrived.append(key)
