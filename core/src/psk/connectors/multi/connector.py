"""Route each object to one of several channels, and keep the contract with the capabilities that all of them have."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar, cast

from psk.connectors.arguments import (
    DEFAULT_TIMEOUT,
    DURABILITIES,
    check_object_id,
    check_size,
    deadline_after,
    deadline_error,
    listed,
    shown,
    validate_key,
)
from psk.connectors.catalog import join_connector, open_connector
from psk.connectors.config import format_uri
from psk.connectors.contract import METHODS, SupportsWait, SupportsWatch, capabilities_of
from psk.connectors.duties import AbortedAtEnd, ContextManaged, Finalised, Rebuilding
from psk.connectors.multi.policy import Policy, check_name, read_config, write_config
from psk.connectors.multi.routes import Child, Routes, first_answer, shared_time
from psk.errors import (
    ChannelFullError,
    ConnectorClosedError,
    ConnectorConfigError,
    ConnectorError,
    MissingKeyError,
    PskError,
)
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Allocation, Connector, Watcher
    from psk.wire import Frames, Payload

T = TypeVar("T")
C = TypeVar("C")

LONGEST_PAUSE: Final = 0.05
"""Seconds between two looks if there is no descriptor for several others."""


class MultiConnector(ContextManaged, Rebuilding):
    """Route each object to one of several channels by size, tags, host and priority.

    An object goes to the channel with the highest priority whose policy takes it, or to the next if that one is full.
    Its key names the channel; a key without a name is looked for in each. The instance has the capabilities that all
    its channels have. What it travels as describes every channel with its policy; one that cannot be opened in the
    other process is an error only for the objects it holds.

    Args:
        connectors: By name (1 to 16 of `a-z 0-9 -`) an open connector or a URI, alone or in a tuple with its `Policy`.
            URIs are opened when they are needed. All are closed with this connector.
        open_child: Opens a URI; None takes `psk.connectors.open_connector`.

    Raises:
        ConnectorConfigError: A name or URI is not valid, or a channel is a multi connector itself.
    """

    __module__ = "psk.connectors.multi"  # pickles contain it
    __slots__ = ("__dict__", "__weakref__", "_routes")  # the shared methods are in the dictionary

    scheme: ClassVar[str] = "multi"

    def __init__(
        self,
        connectors: Mapping[str, Connector | str | tuple[Connector | str, Policy]],
        *,
        open_child: Callable[[str], Connector] | None = None,
    ) -> None:
        children: list[Child] = []
        try:
            for name, channel, policy in _channels(connectors):
                children.append(Child(name, policy, channel, open_child or open_connector))
            format_uri(_describe(children))  # says now, not at the first proxy, if that is too long
            self._routes = Routes(children)
            # `isinstance` asks an instance, too, what it can do.
            vars(self).update(_shared_methods(self._routes))
        except BaseException:
            for child in children:
                child.undo()
            raise

    @property
    def leaves_host(self) -> bool:
        """Whether bytes may leave this host's memory: unless no channel lets them."""
        return any(child.has("leaves_host") is not False for child in self._routes.children)

    @property
    def in_memory(self) -> bool:
        """Whether all channels are in this host's memory."""
        return all(child.has("in_memory") for child in self._routes.children)

    @property
    def durabilities(self) -> tuple[str, ...]:
        """The durabilities that all channels for objects of this host share; opens these channels."""
        promised = set(DURABILITIES)
        asked = False
        for child in self._routes.children:
            with suppress(ConnectorError):
                if child.policy.is_valid_on_host():
                    promised &= set(child.connector().durabilities)
                    asked = True
        return tuple(level for level in DURABILITIES if level in promised) if asked else DURABILITIES[:1]

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Put the payload into the first channel that takes it and has room; see `Connector.put`.

        Args:
            payload: What to store.
            ttl: As of the channel.
            timeout: Seconds for all attempts together.
            hints: `subset_tags` and `superset_tags` are matched with the policies; all are passed on.

        Raises:
            ConnectorError: No policy takes it, or as of the channel.
        """
        return self._routes.put(payload, ttl, timeout, hints)

    def get(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Fetch the payload from the channel that the key names; see `Connector.get`."""
        found: Frames | None = self._routes.ask(key, timeout, "get", size=size)
        return found

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the channel that the key names holds its object."""
        return bool(self._routes.ask(key, timeout, "exists"))

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object from the channel that the key names, or from each if it names none."""
        self._routes.ask(key, timeout, "evict")

    def close(self, timeout: float | None = None) -> None:
        """Close every channel that is open, also those that were passed in open."""
        left = shared_time(timeout)
        with ExitStack() as stack:
            for child in self._routes.children:
                stack.callback(lambda child: child.close(left()), child)

    def config(self) -> dict[str, object]:
        """Describe every channel with its policy."""
        return _describe(self._routes.children)

    @classmethod
    def from_config(cls, config: Mapping[str, object], *, open_child: Callable[[str], Connector] | None = None) -> Self:
        """Rebuild the connector; a channel is opened when the first of its objects is needed."""
        return cls(read_config(config), open_child=open_child)

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Rebuild the connector as `from_config` does, with channels that are joined, not made."""
        return cls.from_config(config, open_child=join_connector)

    def __repr__(self) -> str:
        with on_demand:
            from psk.credentials import masked_uri

        return f"MultiConnector({masked_uri(format_uri(self.config()))!r})"


def _channels(connectors: object) -> list[tuple[str, Connector | str, Policy]]:
    if not isinstance(connectors, Mapping) or not connectors:
        raise ConnectorConfigError(
            f"a multi connector cannot be made of {shown(connectors)}", remedy="give a dictionary of channels by name"
        )
    channels = []
    for name, given in connectors.items():
        channel, policy = given if isinstance(given, tuple) and len(given) == 2 else (given, Policy())  # noqa: PLR2004  a pair
        if not isinstance(policy, Policy) or not (isinstance(channel, str) or callable(getattr(channel, "config", 0))):
            raise ConnectorConfigError(
                f"the channel {shown(name)} of a multi connector cannot be {shown(given)}",
                remedy="give a connector or its URI, alone or as (connector, Policy(...))",
            )
        channels.append((check_name(name), channel, policy))
    return channels


def _describe(children: Iterable[Child]) -> dict[str, object]:
    return write_config({child.name: (child.uri, child.policy) for child in children})


def _shared_methods(routes: Routes) -> dict[str, Callable[..., Any]]:
    """Return the methods of the capabilities that all channels have, by name; no channel is opened.

    A channel that is not installed here takes no part in the decision: each use of it says so.
    """
    known = [found for child in routes.children if (found := child.connector_class) is not None]
    shared = frozenset.intersection(*map(capabilities_of, known)) if known else frozenset()
    if SupportsWatch not in shared:
        shared -= {SupportsWait}  # a wait in several channels needs their watchers; a store looks instead
    forwarding = _Forwarding(routes)
    names = [name for capability in shared for name in METHODS[capability]]
    return {name: getattr(forwarding, name) for name in names if hasattr(forwarding, name)}


class _Forwarding:
    """The methods of the capabilities, of which a multi connector gets those that its channels share.

    There are none for coroutines: opening a channel may block, and a store uses threads then.
    """

    __slots__ = ("_routes",)

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Name an object in the channel that takes every size, or else the largest: its own is not known yet."""
        child = self._routes.taker_of_any_size()
        return child.outer_key(child.method("reserve")(object_id, ttl=ttl, timeout=timeout))

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved into the channel that its key names, whatever its size."""
        located = self._routes.locate(key)
        check_object_id(validate_key(key), payload.object_id)
        child, inner = located[0] if len(located) == 1 else (self._routes.takers(payload.nbytes, None)[0], key)
        child.method("fulfil")(inner, payload, ttl=ttl, timeout=timeout)

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now by its channel's clock, or never."""
        return bool(self._routes.ask(key, timeout, "renew", ttl))

    def take(self, key: Key, claim: str, *, timeout: float | None = None, **options: Any) -> Frames | None:
        """Claim the object in its channel; the first claim wins."""
        found: Frames | None = self._routes.ask(key, timeout, "take", claim, **options)
        return found

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload."""
        found: memoryview | None = self._routes.ask(key, timeout, "get_range", offset, length)
        return found

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version in its channel, whatever its size."""
        check_object_id(validate_key(key), payload.object_id)
        left = shared_time(timeout)

        def call(child: Child, inner: Key) -> bool:
            child.method("swap")(inner, payload, ttl=ttl, timeout=left())
            return True

        if not first_answer(self._routes.locate(key), (ConnectorError, MissingKeyError), call):
            raise MissingKeyError(f"there is no object under {shown(key)} to swap", remedy="put its first version")

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of all channels; one that cannot be opened here is an error, not left out."""
        left = shared_time(timeout)
        opened = [(child, child.method("keys")) for child in self._routes.children]
        listed = [(child, keys(timeout=left())) for child, keys in opened]
        return (child.outer_key(key) for child, keys in listed for key in keys)

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object of all channels; nothing if one of them cannot be opened here."""
        left = shared_time(timeout)
        opened = [child.method("clear") for child in self._routes.children]
        return sum(clear(timeout=left()) for clear in opened)

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

        def put(child: Child, places: list[int]) -> list[Key]:
            group = [payloads[place] for place in places]
            try:
                return [*map(child.named, child.method("put_batch")(group, ttl=ttl, timeout=left(), hints=hints))]
            except ChannelFullError:
                # Those that found room are put again, which is one put; the others go to the next channel.
                return [self._routes.put(payload, ttl, left(), hints) for payload in group]

        return _by_child([self._routes.takers(payload.nbytes, hints)[0] for payload in payloads], put)

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
        asked: dict[Child, dict[Key, list[Key]]] = {}  # the keys here by channel and by its own key
        for key in keys:
            for child, inner in self._routes.locate(key):
                asked.setdefault(child, {}).setdefault(inner, []).append(key)
        is_alone = len(asked) == 1
        found: set[Key] = set()
        for child, outers in asked.items():
            try:
                arrived = child.method("wait")([*outers], timeout=timeout if is_alone else 0.0)
            except PskError:
                # Of several channels another may have an object already; what fails is said when none has.
                if is_alone:
                    raise
            else:
                found.update(key for inner in arrived for key in outers[inner])
        if not found:
            with _Watcher(self._routes) as watcher:
                found.update(watcher.await_any(keys, deadline))
        if not found:
            raise deadline_error(f"waiting for {listed(keys)} in a multi connector")
        return [key for key in keys if key in found]

    def allocate(self, nbytes: int, *, timeout: float | None = None) -> Allocation:
        """Allocate memory in the first channel that takes a payload of this size and has room."""
        left = shared_time(timeout)

        def call(child: Child, size: int) -> Allocation:
            return _Allocation(child, child.method("allocate")(size, timeout=left()))

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
    located = [routes.locate(key) for key in keys]

    def ask(child: Child | None, places: list[int]) -> Sequence[Any]:
        if child is None:
            return [routes.ask(keys[place], left(), method) for place in places]
        hints = {} if sizes is None else {"sizes": [sizes[place] for place in places]}
        together = child.method(f"{method}_batch")
        answers: Sequence[Any] | None = together([located[place][0][1] for place in places], timeout=left(), **hints)
        return [None] * len(places) if answers is None else answers

    return _by_child([found[0][0] if len(found) == 1 else None for found in located], ask)


def _by_child(children: Sequence[C], call: Callable[[C, list[int]], Sequence[T]]) -> list[T]:
    """Call a function once for each channel, with the places at which it is named; return the answers by place."""
    groups: dict[C, list[int]] = {}
    for place, child in enumerate(children):
        groups.setdefault(child, []).append(place)
    answers: dict[int, T] = {}
    for child, places in groups.items():
        answers.update(zip(places, call(child, places), strict=True))
    return [answers[place] for place in range(len(children))]


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

    __slots__ = (
        "__weakref__",
        "_arrived",
        "_callbacks",
        "_descriptors",
        "_is_closed",
        "_outers",
        "_routes",
        "_watchers",
    )

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._watchers: dict[Child, Watcher] = {}
        self._is_closed = False
        self._callbacks: dict[Key, Callable[[Key], object]] = {}
        # The keys of this watcher by channel and by its own key: one object may have two, with and without the channel.
        self._outers: dict[tuple[Child, Key], set[Key]] = {}
        self._arrived: deque[Key] = deque()
        self._descriptors: select.epoll | None = None
        with suppress(AttributeError, OSError):  # not of this system, or no descriptor is left
            self._descriptors = select.epoll()
        self._check()

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        self._check()
        for child, inner in self._routes.locate(key):
            outers = self._outers.setdefault((child, inner), set())
            outers.add(key)
            # Not bound to this watcher, which would keep itself alive.
            self._watcher_of(child).add(inner, partial(_note, self._arrived, outers))
        self._callbacks[key] = callback

    def discard(self, key: Key) -> None:
        self._callbacks.pop(key, None)
        for child, inner in self._routes.locate(key):
            outers = self._outers.get((child, inner), set())
            outers.discard(key)
            if not outers and self._outers.pop((child, inner), None) is not None and child in self._watchers:
                self._watchers[child].discard(inner)

    def fileno(self) -> int | None:
        return None if self._descriptors is None or self._is_closed else self._descriptors.fileno()

    def dispatch(self) -> float | None:
        self._check()
        pauses: list[float | None] = [None if self._descriptors is not None else LONGEST_PAUSE]
        failure: PskError | None = None
        for watcher in list(self._watchers.values()):
            try:
                pauses.append(watcher.dispatch())
            except PskError as error:  # which does not keep back what arrived in other channels
                failure = failure or error
        try:
            while self._arrived:
                key = self._arrived.popleft()
                callback = self._callbacks.get(key)
                if callback is not None:
                    self.discard(key)
                    callback(key)
        finally:
            # A callback failed: the others are due at the next call, and the channels make the descriptor readable.
            for key in {self._arrived.popleft() for _ in range(len(self._arrived))} & self._callbacks.keys():
                self.add(key, self._callbacks[key])
        if failure is not None:
            raise failure
        return min((pause for pause in pauses if pause is not None), default=None)

    def close(self) -> None:
        self._is_closed = True
        for watcher in list(self._watchers.values()):  # another thread may be adding a key
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
            pause = None
            try:
                pause = self.dispatch()
            except PskError as error:
                failure = failure or error
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
            watcher = self._watchers[child] = child.method("watcher")()
            descriptor = watcher.fileno()
            if self._descriptors is not None and descriptor is not None:
                self._descriptors.register(descriptor, select.EPOLLIN)
        return watcher

    def _check(self) -> None:
        if self._is_closed:
            raise ConnectorClosedError("the watcher is closed", remedy="make a new one")
        self._routes.children[0].check_open()


def _note(arrived: deque[Key], outers: set[Key], _inner: Key) -> None:
    arrived.extend(tuple(outers))
