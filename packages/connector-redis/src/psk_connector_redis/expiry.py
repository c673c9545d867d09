"""When does an object expire that is there already? The server is told anew, for the object and what belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors import check_ttl, validate_plain_key
from psk_connector_redis.manifest import Manifest
from psk_connector_redis.objects import milliseconds
from psk_connector_redis.scripts import RENEW

if TYPE_CHECKING:
    from psk.connectors import Key
    from psk_connector_redis.channel import Channel


class Expiry:
    """Serve SupportsExpiry."""

    __slots__ = ()
    _channel: Channel

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now, or never; its claim ends with it."""
        deadline = self._channel.deadline(timeout)
        name = validate_plain_key(key)
        left = b"" if ttl is None else milliseconds(check_ttl(ttl))
        return renew_object(self._channel, name, left, deadline)


def renew_object(channel: Channel, key: Key, left: bytes, deadline: float) -> bool:
    """Set the expiry of an object and of its parts.

    Args:
        channel: Where.
        key: The object.
        left: Milliseconds from now; empty for never.
        deadline: When to give up, by `time.monotonic`.

    Returns:
        Whether there is such an object.
    """
    names = [channel.names.of(key), channel.names.claim(key)]
    answer = channel.run_script(RENEW, names, left, b"", deadline=deadline, doing=f"renewing {key}")
    while isinstance(answer, bytes):
        parts = Manifest.read(key, answer).names(channel.names, key)
        answer = channel.run_script(RENEW, [*names, *parts], left, answer, deadline=deadline, doing=f"renewing {key}")
    return bool(answer)
