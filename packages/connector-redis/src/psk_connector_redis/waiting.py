"""How does a wait end as soon as an object is there? Subscribed first, then looked; told by the put itself."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from psk.connectors import Wake, deadline_error, listed, poll, validate_plain_key
from psk.errors import ChannelUnavailableError, DeadlineError
from psk_connector_redis.batches import exist
from psk_connector_redis.subscriber import Waiter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk.connectors import Key
    from psk_connector_redis.channel import Channel

LOOK_AGAIN_SECONDS: Final = 1.0
"""How often whoever waits looks for himself: a producer may lack the right to publish, a cluster may lose a message."""

LAST_LOOK_SECONDS: Final = 0.3
"""How long a look may take that begins when time is up."""


class Waiting:
    """Serve SupportsWait."""

    __slots__ = ()
    _channel: Channel

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one."""
        wanted = [validate_plain_key(key) for key in keys]
        deadline = self._channel.deadline(timeout)
        if found := await_any(self._channel, wanted, deadline):
            return found
        raise deadline_error(f"waiting for {listed(wanted)} in {self._channel.server.describe()}")


def await_any(channel: Channel, keys: Sequence[Key], deadline: float) -> list[Key]:
    """Wait until at least one of several objects is there.

    A server that goes away during the wait may come back, for as long as connecting to it may take.

    Returns:
        Those that are there, in their order; empty if none was in time.
    """
    look = _Look(channel, keys, deadline)
    if (found := look()) or time.monotonic() >= deadline:
        return found
    look.is_patient = True
    wake = Wake()
    with ExitStack() as stack:
        waiters = [stack.enter_context(waiter) for waiter in _waiters(channel, keys, wake, deadline)]
        while not found and (left := deadline - time.monotonic()) > 0:
            wake.wait(min(left, LOOK_AGAIN_SECONDS))
            if any(waiter.is_refused for waiter in waiters):
                return poll(look, deadline)
            found = look()
    return found


def _waiters(channel: Channel, keys: Sequence[Key], wake: Wake, deadline: float) -> Iterator[Waiter]:
    """Listen at each server for what it holds."""
    names = [channel.names.of(key) for key in keys]
    for address, places in channel.server.places(names, deadline).items():
        news = [channel.names.news(keys[place]) for place in places]
        yield Waiter(channel.server, names[places[0]], address=address, channels=news, wake=wake)


class _Look:
    """Look which objects are there, for one wait."""

    __slots__ = ("_away_since", "_channel", "_deadline", "_keys", "is_patient")

    def __init__(self, channel: Channel, keys: Sequence[Key], deadline: float) -> None:
        self._channel = channel
        self._keys = keys
        self._deadline = deadline
        self._away_since: float | None = None
        self.is_patient = False

    def __call__(self) -> list[Key]:
        patience = self._channel.settings.connect_timeout
        now = time.monotonic()
        latest = max(now + LAST_LOOK_SECONDS, min(self._deadline, now + patience))
        try:
            there = exist(self._channel, self._keys, latest)
        except (ChannelUnavailableError, DeadlineError):
            if self._away_since is None:
                self._away_since = now
            now = time.monotonic()
            if now >= self._deadline or not self.is_patient or now - self._away_since > patience:
                raise
            return []
        self._away_since = None
        return [key for key, is_there in zip(self._keys, there, strict=True) if is_there]
