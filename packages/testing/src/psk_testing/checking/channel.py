"""What do the checks put into a channel, and how does none of it stay there?"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.errors import PskError
from psk.wire import Payload, encode
from psk_testing.checking.outcome import CheckStoppedError, NotOfferedError, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from psk.connectors import Connector
    from psk.wire import Frames

SMALL_BYTES = 1000


class Channel:
    """One connector on a live channel, with everything that the checks put there.

    Args:
        connector: Open; whoever opened it closes it.
        timeout: Seconds that one call may take.
        stopped: Set when nothing may be put any more, whichever thread is at it.
    """

    def __init__(self, connector: Connector, timeout: float, stopped: Event) -> None:
        self.connector: Any = connector  # its powers differ from connector to connector
        self.timeout = timeout
        self.wake_seconds: list[float] = []
        self._stopped = stopped
        self._keys: dict[str, None] = {}

    def payload(self, nbytes: int = SMALL_BYTES, **options: Any) -> Payload:
        """Encode random bytes as a new object; options as of `psk.wire.encode`."""
        return self.remembered(encode(os.urandom(nbytes), **options))

    def remembered(self, payload: Payload) -> Payload:
        """Have an object evicted in the end, whatever becomes of its put.

        Raises:
            CheckStoppedError: This is the end.
        """
        if self._stopped.is_set():
            raise CheckStoppedError
        self._keys.setdefault(payload.key)
        return payload

    def put(self, payload: Payload, **options: Any) -> str:
        """Put a payload."""
        key: str = self.connector.put(self.remembered(payload), timeout=self.timeout, **options)
        if isinstance(key, str):
            self._keys[key] = None
        return key

    def get(self, key: str) -> bytes | None:
        """Get an object as the bytes of its whole payload, verified."""
        frames = self.connector.get(key, timeout=self.timeout)
        return None if frames is None else bytes_of(frames)

    def evict(self, key: str) -> None:
        """Evict an object."""
        self.connector.evict(key, timeout=self.timeout)

    def offering(self, power: type) -> Any:
        """Return the connector if it has a power.

        Raises:
            NotOfferedError: It does not.
        """
        if not isinstance(self.connector, power):
            raise NotOfferedError(f"the connector has no {power.__name__}")
        return self.connector

    def tidy(self) -> None:
        """Evict what was put; what cannot be evicted is left to `leftovers`."""
        for key in list(self._keys):
            with suppress(PskError):
                self.evict(key)

    def leftovers(self) -> Iterator[str]:
        """Give the keys that are still there after all."""
        for key in self._keys:
            with suppress(PskError):
                if self.connector.exists(key, timeout=self.timeout):
                    yield key


def bytes_of(frames: Frames) -> bytes:
    """Return the whole payload that a connector returned.

    Raises:
        PayloadError: It is damaged.
        RuleBrokenError: It is no payload at all.
    """
    require(hasattr(frames, "buffers"), f"{type(frames).__name__} was returned instead of psk.connectors.Frames")
    payload = Payload.parse(frames)
    payload.verify()
    return payload.tobytes()
