"""Wait for objects: the put publishes them, and a waiting process subscribes before it looks."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final

from psk.connectors import Wake, poll
from psk.connectors.toolkit import Listener, Notice, Subscriber, SubscriptionRefusedError
from psk.errors import ChannelUnavailableError, DeadlineError
from psk_connector_redis.batches import objects_exist
from psk_connector_redis.protocol import GarbledError, Refusal, pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from psk.connectors import Key
    from psk.connectors.toolkit import Settable
    from psk_connector_redis.channel import Channel, Server
    from psk_connector_redis.connection import Connection

LOOK_AGAIN_SECONDS: Final = 1.0
"""Seconds between two looks of a wait or watcher: a producer may not be allowed to publish, a message may be lost."""

LAST_LOOK_SECONDS: Final = 0.3
"""Seconds for a look that begins when the time is up."""

ANSWER_SECONDS: Final = 5.0
"""Seconds for sending on a subscribed connection, and for receiving the rest of a message."""


class RedisFeed:
    """A subscribed connection; see `psk.connectors.toolkit.Feed`.

    Args:
        connection: A connection of its own.
    """

    __slots__ = ("_connection", "close", "fileno", "forget")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.close = connection.close
        self.forget = connection.forget
        self.fileno = connection.fileno

    @classmethod
    def connect(cls, server: Server, name: bytes) -> RedisFeed:
        """Connect to the server that holds a name, which is also that of a topic: an object is published there."""
        try:
            return cls(server.connect(name, time.monotonic() + server.settings.connect_timeout))
        except Refusal as refusal:
            raise SubscriptionRefusedError from refusal

    def change(self, new: AbstractSet[bytes], old: AbstractSet[bytes]) -> None:
        """Subscribe to new topics, and end the subscription of old ones."""
        commands = [pack(verb, *topics) for verb, topics in ((b"UNSUBSCRIBE", old), (b"SUBSCRIBE", new)) if topics]
        self._connection.send(commands, time.monotonic() + ANSWER_SECONDS)

    def receive(self) -> list[Notice]:
        """Return the notices among all that has arrived."""
        connection = self._connection
        notices = []
        connection.take_in()
        while connection.has_received():
            answer = connection.reply(time.monotonic() + ANSWER_SECONDS)
            if isinstance(answer, Refusal):
                raise SubscriptionRefusedError from answer
            if not isinstance(answer, list) or len(answer) <= 2:  # noqa: PLR2004  kind, channel and more; a pong has less
                continue
            kind, topic = answer[:2]
            if not (isinstance(kind, bytes) and isinstance(topic, bytes | None)):
                raise GarbledError("a message without a channel")
            if topic is not None and kind in {b"message", b"subscribe"}:  # None when nothing is subscribed any more
                notices.append(Notice(topic, is_confirmation=kind == b"subscribe"))
        return notices

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


def _listeners(channel: Channel, keys: Sequence[Key], wake: Settable, deadline: float) -> Iterator[Listener]:
    """Listen at each server for the objects that it holds."""
    server = channel.server
    names = [channel.names.of(key) for key in keys]
    for address, places in server.places(names, deadline).items():
        subscriber = server.subscribers.get(address)
        if subscriber is None:
            subscriber = server.subscribers.setdefault(address, Subscriber(partial(RedisFeed.connect, server)))
        yield Listener(subscriber, [channel.names.news(keys[place]) for place in places], wake)


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


class Notices:
    """Tell a `ToldWatcher` of objects that arrive in a channel, and look for them.

    Args:
        channel: Where to look.
    """

    __slots__ = ("_channel", "_listeners", "_look")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._look = _Look(channel, is_patient=True)
        self._listeners: dict[Settable, list[Listener]] = {}

    def present(self, keys: Sequence[Key]) -> list[Key]:
        """Return those keys that have an object."""
        return self._look(keys, self._channel.deadline(None))

    def tell(self, keys: Sequence[Key], settable: Settable) -> None:
        """Set something whenever an object arrives, and when the connector is closed."""
        self._listeners[settable] = listeners = list(
            _listeners(self._channel, keys, settable, self._channel.deadline(None))
        )
        for listener in listeners:
            listener.__enter__()

    def tell_no_more(self, keys: Sequence[Key], settable: Settable) -> None:  # noqa: ARG002  those of `tell`
        """End what `tell` began."""
        for listener in self._listeners.pop(settable, ()):
            listener.__exit__()
