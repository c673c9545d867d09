"""Who gets an object that only one may have? The first claim to reach the server, which keeps it beside the object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.connectors import Frames, check_claim, check_ttl, validate_plain_key
from psk.errors import CapabilityError
from psk_connector_redis.objects import as_string, get_object, milliseconds
from psk_connector_redis.scripts import HOLDS_CLAIM, TAKE

if TYPE_CHECKING:
    from psk.connectors import Key
    from psk_connector_redis.channel import Channel

AT_ONCE_BYTES: Final = 64 * 1024
"""Up to which size the script answers with the object: it copies what it answers, several times."""


class Claims:
    """Serve SupportsTake."""

    __slots__ = ()
    _channel: Channel

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,  # noqa: ARG002  the server says how much comes before it comes
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object and fetch it; see `SupportsTake.take`."""
        deadline = self._channel.deadline(timeout)
        validate_plain_key(key)
        asking = check_claim(claim).encode()
        until = b"" if lease is None else milliseconds(check_ttl(lease, "lease"))
        if self._channel.server.evicts:
            raise CapabilityError(
                f"{self._channel.server.describe()} may forget who has taken an object: it evicts to make room",
                remedy="set maxmemory-policy noeviction in the server's configuration",
            )
        return take_object(self._channel, key, asking, until, deadline)


def take_object(channel: Channel, key: Key, claim: bytes, lease: bytes, deadline: float) -> Frames | None:
    """Claim an object and fetch it.

    Args:
        channel: Where.
        key: The object.
        claim: Who asks.
        lease: Milliseconds until others may; empty for never.
        deadline: When to give up, by `time.monotonic`.

    Returns:
        The object; None if there is none, or another claim holds it.
    """
    names = (channel.names.of(key), channel.names.claim(key))
    doing = f"taking {key}"
    while True:
        answer = channel.run_script(TAKE, names, claim, lease, b"%d" % AT_ONCE_BYTES, deadline=deadline, doing=doing)
        if answer == 0:
            return None
        if answer != 1:
            return Frames([as_string(key, answer)])
        frames = get_object(channel, key, deadline)
        # While it was on its way the object may have been evicted, put again and claimed by another.
        if channel.run_script(HOLDS_CLAIM, names[1:], claim, deadline=deadline, doing=doing) == 1:
            return frames
        if frames is None:
            return None
