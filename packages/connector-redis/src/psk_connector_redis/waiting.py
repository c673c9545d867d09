"""Wait for objects: the put publishes them, and whoever waits has subscribed before it looks."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from psk.connectors import Wake, poll, validate_plain_key
from psk.connectors.toolkit import Notice, PerProcess, Subscriber, SubscriptionRefusedError, WakePipe
from psk.errors import ChannelUnavailableError, ConnectorClosedError, DeadlineError
from psk_connector_redis.batches import objects_exist
from psk_connector_redis.protocol import GarbledError, Refusal, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from psk.connectors import Key
    from psk.connectors.toolkit import Listener
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.connection import Connection
    from psk_connector_redis.server import Server

LOOK_AGAIN_SECONDS: Final = 1.0
"""How often a wait looks for itself: a producer may lack the right to publish, a cluster may lose a message."""

LAST_LOOK_SECONDS: Final = 0.3
"""How long a look may take that begins when time is up."""

REFUSED_LOOK_SECONDS: Final = 0.05
"""How often a watcher looks for itself where the server does not let it subscribe."""

ANSWER_SECONDS: Final = 5.0
"""How long sending may take on a subscribed connection, and receiving the rest of a message."""


class RedisFeed:
    """A subscribed connection; see `psk.connectors.toolkit.Feed`.

    Args:
        connection: A connection of its own.
    """

    __slots__ = ("_connection", "close", "fileno", "forget", "has_received")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.close = connection.close
        self.forget = connection.forget
        self.fileno = connection.fileno
        self.has_received = connection.has_received

    @classmethod
    def connect(cls, server: Server, name: bytes) -> RedisFeed:
        """Connect to the server that holds a name: an object is published where it is put."""
        try:
            return cls(server.connect(name, time.monotonic() + server.settings.connect_timeout))
        except Refusal as refusal:
            raise SubscriptionRefusedError from refusal

    def change(self, new: AbstractSet[bytes], old: AbstractSet[bytes]) -> None:
        """Subscribe to new topics, and end the subscription of old ones."""
        commands = [pack(verb, *topics) for verb, topics in ((b"UNSUBSCRIBE", old), (b"SUBSCRIBE", new)) if topics]
        self._connection.send(commands, time.monotonic() + ANSWER_SECONDS)

    def receive(self) -> Notice | None:
        """Return the next notice; None if what arrived is something else."""
        answer = self._connection.reply(time.monotonic() + ANSWER_SECONDS)
        if isinstance(answer, Refusal):
            raise SubscriptionRefusedError from answer
        if not isinstance(answer, list) or len(answer) <= 2:  # noqa: PLR2004  kind, channel and more; a pong has less
            return None
        kind, topic = answer[:2]
        if not (isinstance(kind, bytes) and isinstance(topic, bytes | None)):
            raise GarbledError("a message without a channel")
        if topic is None or kind not in {b"message", b"subscribe"}:  # None when nothing is subscribed any more
            return None
        return Notice(topic, is_confirmation=kind == b"subscribe")

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        self._connection.send((pack(b"PING"),), time.monotonic() + ANSWER_SECONDS)


def await_any(channel: Channel, keys: Sequence[Key], deadline: float) -> list[Key]:
    """Wait until at least one of several objects is there.

    A server that goes away during the wait may come back, for as long as connecting to it may take.

    Returns:
        Those that are there, in their order; empty if none was in time.
    """
    look = _Look(channel)
    once = partial(look, keys, deadline)
    if (found := once()) or time.monotonic() >= deadline:
        return found
    look.is_patient = True
    wake = Wake()
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in _listeners(channel, keys, wake, deadline)]
        while not found and (left := deadline - time.monotonic()) > 0:
            wake.wait(min(left, LOOK_AGAIN_SECONDS))
            if any(listener.is_refused for listener in listeners):
                return poll(once, deadline)
            found = once()
    return found


def _listeners(channel: Channel, keys: Sequence[Key], wake: Wake | _Watched, deadline: float) -> Iterator[Listener]:
    """Listen at each server for the objects that it holds."""
    server = channel.server
    names = [channel.names.of(key) for key in keys]
    for address, places in server.places(names, deadline).items():
        yield Subscriber.at((server.identity, address)).listener(
            [channel.names.news(keys[place]) for place in places],
            wake,
            connect=partial(RedisFeed.connect, server, names[places[0]]),
            owner=server,
        )


class _Look:
    """Look which objects are there, for one wait or one watcher."""

    __slots__ = ("_away_since", "_channel", "is_patient")

    def __init__(self, channel: Channel, *, is_patient: bool = False) -> None:
        self._channel = channel
        self._away_since: float | None = None
        self.is_patient = is_patient

    def __call__(self, keys: Sequence[Key], deadline: float) -> list[Key]:
        longest = self._channel.settings.connect_timeout
        now = time.monotonic()
        latest = max(now + LAST_LOOK_SECONDS, min(deadline, now + longest))
        try:
            there = objects_exist(self._channel, keys, latest)
        except (ChannelUnavailableError, DeadlineError):
            if self._away_since is None:
                self._away_since = now
            now = time.monotonic()
            if now >= deadline or not self.is_patient or now - self._away_since > longest:
                raise
            return []
        self._away_since = None
        return [key for key, is_there in zip(keys, there, strict=True) if is_there]


class _Watched:
    """One key of a watcher; set by the listening thread when it is time to look for the object."""

    __slots__ = ("__weakref__", "_key", "_told", "callback", "listener")

    listener: Listener

    def __init__(self, key: Key, callback: Callable[[Key], object], told: Callable[[Key], None]) -> None:
        self._key = key
        self._told = told
        self.callback = callback

    def set(self) -> None:
        self._told(self._key)


class RedisWatcher:
    """Call back for objects that arrive, in the thread that dispatches; see `psk.connectors.Watcher`.

    It looks for the objects of which it is told, and once a second for all, as a wait does. In a forked child it has
    its own descriptor, and looks alone.

    Args:
        channel: Where to look.
    """

    __slots__ = ("_arrived", "_channel", "_is_closed", "_look", "_look_at", "_pipe", "_ready", "_watched")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._look = _Look(channel, is_patient=True)
        self._look_at = 0.0
        self._is_closed = False
        self._pipe = PerProcess(WakePipe, forget=WakePipe.close)
        self._watched: dict[Key, _Watched] = {}
        self._arrived: deque[Key] = deque()  # to be looked for
        self._ready: deque[Key] = deque()  # whose callbacks are due

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        """Have `callback(key)` called by a later `dispatch`, when the object exists."""
        self._check_open()
        validate_plain_key(key)
        if key in self._watched:
            self._watched[key].callback = callback
            return
        watched = _Watched(key, callback, self._tell)
        [watched.listener] = _listeners(self._channel, [key], watched, self._channel.deadline(None))
        self._watched[key] = watched
        self._tell(key)
        watched.listener.__enter__()

    def discard(self, key: Key) -> None:
        """Forget a key; an unknown one is not an error."""
        watched = self._watched.pop(key, None)
        if watched is not None:
            watched.listener.__exit__()

    def fileno(self) -> int:
        """Return the descriptor that is readable when `dispatch` has something to do."""
        self._check_open()
        return self._pipe.get().fileno()

    def dispatch(self) -> float | None:
        """Call the callbacks of the objects that exist now; return the seconds after which to call again."""
        self._check_open()
        self._pipe.get().clear()
        keys = self._keys_to_look_for()
        if keys:
            try:
                self._ready.extend(self._look(keys, self._channel.deadline(None)))
            except BaseException:
                self._look_at = 0.0  # these keys were not looked for
                raise
        try:
            while self._ready:
                key = self._ready.popleft()
                watched = self._watched.get(key)
                if watched is not None:
                    self.discard(key)
                    watched.callback(key)
        finally:
            if self._ready and not self._is_closed:  # a callback failed: the others are due at the next call
                self._pipe.get().set()
        if not self._watched:
            return None
        return max(0.0, self._look_at - time.monotonic())

    def close(self) -> None:
        """Forget every key and release the descriptor; closing twice is not an error."""
        self._is_closed = True
        for key in list(self._watched):
            self.discard(key)
        if (pipe := self._pipe.clear()) is not None:
            pipe.close()

    def _keys_to_look_for(self) -> list[Key]:
        """Return the keys of which it was told, or all of them if that is due."""
        told: dict[Key, None] = {}
        while self._arrived:
            told[self._arrived.popleft()] = None
        now = time.monotonic()
        if now < self._look_at:
            return [key for key in told if key in self._watched]
        is_refused = any(watched.listener.is_refused for watched in self._watched.values())
        self._look_at = now + (REFUSED_LOOK_SECONDS if is_refused else LOOK_AGAIN_SECONDS)
        return list(self._watched)

    def _tell(self, key: Key) -> None:
        self._arrived.append(key)
        if not self._is_closed:
            self._pipe.get().set()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ConnectorClosedError("the watcher is closed", remedy="make another with watcher()")
        self._channel.server.check_open()
