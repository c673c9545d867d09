"""What can a store do with an object where its channel has the power: renew, take, swap?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.store.arguments import check_coder
from psk.store.keys import check_key
from psk.store.reservations import ReservationMethods

if TYPE_CHECKING:
    from collections.abc import Callable


class PowerMethods(ReservationMethods):
    """The part of a store that passes on what only some channels can do; see `Store`."""

    def supports(self, *capabilities: type) -> bool:
        """Tell whether the channel has all of these capabilities.

        Args:
            capabilities: Protocols of `psk.connectors`, such as `SupportsTake`.
        """
        return all(isinstance(self._connector, capability) for capability in capabilities)

    def renew(self, key: str, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let an object expire `ttl` seconds from now, by the channel's own clock.

        Args:
            key: The object's key.
            ttl: Seconds; None keeps it until it is evicted.
            timeout: Seconds the channel may take; None is the connector's default.

        Returns:
            False if the object is gone already.

        Raises:
            CapabilityError: The channel does not keep expiry times.
            ConnectorError: The channel failed.
        """
        from psk.connectors import SupportsExpiry

        self._check_open()
        connector = self._having(SupportsExpiry, "renew an object", "keep the object until it is evicted")
        return bool(connector.renew(check_key(key), ttl, timeout=timeout))

    def take(
        self,
        key: str,
        claim: str,
        *,
        lease: float | None = None,
        deserializer: str | Callable[[bytes], Any] | None = None,
        default: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """Claim an object and fetch it: of many claimants exactly one gets it, until `evict` ends it.

        Args:
            key: The object's key.
            claim: Who asks: 1 to 128 printable ASCII characters. The same claim asking again gets the object again.
            lease: Seconds after which an object that was not evicted may be claimed by others; None: never.
            deserializer: As of `get`.
            default: Returned if there is no such object, or another claim has it.
            timeout: Seconds the channel may take; None is the connector's default.

        Raises:
            CapabilityError: The channel cannot decide between claimants.
            PskError: As `get`.
        """
        from psk.connectors import SupportsTake

        self._check_open()
        check_coder("deserializer", deserializer)
        connector = self._having(SupportsTake, "take an object", "let one process read and evict the object")
        key = check_key(key)
        frames = self._fetch_claimed(connector, key, claim, lease=lease, timeout=timeout)
        return self._reader.accept(key, frames, default, deserializer)

    def swap(
        self,
        key: str,
        obj: Any,
        *,
        revision: int,
        serializer: str | Callable[[Any], Any] | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Put the next version of an object in its place, if nobody else did so first.

        Caches of other stores may go on giving the version they hold, unless the object was put with a `ttl`, as
        such objects are never cached.

        Args:
            key: The object's key.
            obj: The new version.
            revision: The number of the new version: the current one's, as of `stat`, plus 1.
            serializer: As of `put`.
            ttl: Seconds after which the channel drops it; None leaves the expiry as it is.
            timeout: Seconds the channel may take; None is the connector's default.

        Raises:
            RevisionConflictError: The current version is another.
            MissingKeyError: There is no object under the key.
            CapabilityError: The channel cannot swap.
            PskError: As `put`.
        """
        from psk.connectors import SupportsSwap

        self._check_open()
        connector = self._having(SupportsSwap, "swap an object", "put the new version under a key of its own")
        key = check_key(key)
        object_id = bytes.fromhex(key[:32])
        # A channel that leaves the expiry as it is tells nobody whether there is one: no version is to be cached.
        payload = self._encoder.encode(obj, serializer, expires=True, object_id=object_id, revision=revision)
        try:
            self._place_swapped(payload, key, connector, ttl=ttl, timeout=timeout)
        finally:
            self._reader.cache.drop(key)

    def _fetch_claimed(self, connector: Any, key: str, claim: str, **options: Any) -> Any:
        return connector.take(key, claim, **options)

    def _place_swapped(self, payload: Any, key: str, connector: Any, **options: Any) -> None:
        connector.swap(key, payload, **options)
