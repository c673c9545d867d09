"""How can an object be named, and waited for, before it exists?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.store.keys import check_key
from psk.store.objects import ObjectMethods
from psk.wire import new_object_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors import SupportsReserve
    from psk.wire import Payload


class ReservationMethods(ObjectMethods):
    """The part of a store that gives out keys first and takes objects later; see `Store`."""

    def reserve(self, *, ttl: float | None = None, timeout: float | None = None) -> str:
        """Name an object that does not exist yet.

        The key may be sent on at once: `wait` waits for its object, and so does `proxy_from_key(key, wait=True)`.

        Args:
            ttl: Seconds for which the channel keeps the reservation, where it keeps any.
            timeout: Seconds the channel may take; None is the connector's default.

        Returns:
            The key, for `fulfil`.

        Raises:
            CapabilityError: The channel chooses its keys itself.
            ConnectorError: The channel failed.
        """
        self._check_open()
        return self._reserving().reserve(new_object_id(), ttl=ttl, timeout=timeout)

    def fulfil(
        self,
        key: str,
        obj: Any,
        *,
        serializer: str | Callable[[Any], Any] | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Store the object of a reserved key, once.

        Args:
            key: What `reserve` gave, in this process or another.
            obj: The object; see `put` for the other arguments.
            serializer: As of `put`.
            ttl: As of `put`.
            timeout: As of `put`.

        Raises:
            KeyExistsError: The key has its object already.
            PskError: As `put`.
        """
        self._check_open()
        key = check_key(key)
        object_id = bytes.fromhex(key[:32])
        payload = self._encoder.encode(obj, serializer, expires=ttl is not None, object_id=object_id)
        self._place_reserved(payload, key, ttl=ttl, timeout=timeout)

    def _place_reserved(self, payload: Payload, key: str, **options: Any) -> None:
        self._reserving().fulfil(key, payload, **options)

    def _reserving(self) -> SupportsReserve:
        from psk.connectors import SupportsReserve

        wish = "name an object before it is put"
        connector: SupportsReserve = self._having(SupportsReserve, wish, "put the object first and send its key then")
        return connector
