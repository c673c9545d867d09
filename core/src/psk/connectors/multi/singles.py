"""How do the capabilities that concern one object reach the channel that its key names?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors.arguments import check_object_id, shown, validate_key
from psk.connectors.capabilities import SupportsExpiry, SupportsRange, SupportsReserve, SupportsSwap, SupportsTake
from psk.connectors.multi.routes import able
from psk.errors import MissingKeyError

if TYPE_CHECKING:
    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.routes import Routes
    from psk.wire import Frames, Payload


class Reservations:
    """Serve SupportsReserve."""

    __slots__ = ()
    _routes: Routes

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Name an object in the channel that takes every size, or else the largest: its own is not known yet."""
        child = self._routes.taker_of_any_size()
        connector: SupportsReserve = able(child.connector(), SupportsReserve)
        return child.outer_key(connector.reserve(object_id, ttl=ttl, timeout=timeout))

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved into the channel that its key names, whatever its size."""
        located = self._routes.locate(key)
        check_object_id(validate_key(key), payload.object_id)
        child, inner = located[0] if len(located) == 1 else (self._routes.takers(payload.nbytes, None)[0], key)
        connector: SupportsReserve = able(child.connector(), SupportsReserve)
        connector.fulfil(inner, payload, ttl=ttl, timeout=timeout)


class Expiries:
    """Serve SupportsExpiry."""

    __slots__ = ()
    _routes: Routes

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now by its channel's clock, or never."""

        def ask(one: Connector, inner: Key, left: float | None) -> bool | None:
            connector: SupportsExpiry = able(one, SupportsExpiry)
            return connector.renew(inner, ttl, timeout=left) or None

        return self._routes.first(key, timeout, ask) is not None


class Claims:
    """Serve SupportsTake."""

    __slots__ = ()
    _routes: Routes

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object in its channel; the first claim wins."""

        def ask(one: Connector, inner: Key, left: float | None) -> Frames | None:
            connector: SupportsTake = able(one, SupportsTake)
            return connector.take(inner, claim, lease=lease, size=size, timeout=left)

        return self._routes.first(key, timeout, ask)


class Swaps:
    """Serve SupportsSwap."""

    __slots__ = ()
    _routes: Routes

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version where it is, whatever its size."""
        check_object_id(validate_key(key), payload.object_id)

        def ask(one: Connector, inner: Key, left: float | None) -> bool | None:
            connector: SupportsSwap = able(one, SupportsSwap)
            try:
                connector.swap(inner, payload, ttl=ttl, timeout=left)
            except MissingKeyError:
                return None
            return True

        if self._routes.first(key, timeout, ask) is None:
            raise MissingKeyError(f"no object stands under {shown(key)}", remedy="put its first version")


class Ranges:
    """Serve SupportsRange."""

    __slots__ = ()
    _routes: Routes

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload."""

        def ask(one: Connector, inner: Key, left: float | None) -> memoryview | None:
            connector: SupportsRange = able(one, SupportsRange)
            return connector.get_range(inner, offset, length, timeout=left)

        return self._routes.first(key, timeout, ask)
