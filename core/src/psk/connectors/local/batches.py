"""How does the local channel serve many keys, and event loops? One by one: nothing here ever waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.wire import Frames, Payload


class Batches:
    """Serve SupportsBatch by calling the contract's own methods."""

    __slots__ = ()

    def put_batch(
        self: Connector,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> list[Key]:
        """Put each payload."""
        return [self.put(payload, ttl=ttl, timeout=timeout, hints=hints) for payload in payloads]

    def get_batch(
        self: Connector,
        keys: Sequence[Key],
        *,
        sizes: Sequence[int | None] | None = None,  # noqa: ARG002  nothing is received
        timeout: float | None = None,
    ) -> list[Frames | None]:
        """Get each key."""
        return [self.get(key, timeout=timeout) for key in keys]

    def exists_batch(self: Connector, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether an object stands there."""
        return [self.exists(key, timeout=timeout) for key in keys]

    def evict_batch(self: Connector, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key."""
        for key in keys:
            self.evict(key, timeout=timeout)


class Coroutines:
    """Serve SupportsAsync by calling the contract's own methods, which never block."""

    __slots__ = ()

    async def aput(
        self: Connector,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Do what `put` does."""
        return self.put(payload, ttl=ttl, timeout=timeout, hints=hints)

    async def aget(
        self: Connector,
        key: Key,
        *,
        size: int | None = None,
        timeout: float | None = None,
    ) -> Frames | None:
        """Do what `get` does."""
        return self.get(key, size=size, timeout=timeout)

    async def aexists(
        self: Connector,
        key: Key,
        *,
        timeout: float | None = None,
    ) -> bool:
        """Do what `exists` does."""
        return self.exists(key, timeout=timeout)

    async def aevict(
        self: Connector,
        key: Key,
        *,
        timeout: float | None = None,
    ) -> None:
        """Do what `evict` does."""
        self.evict(key, timeout=timeout)
