"""Titles of this process to objects that are in a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psk import get_factory
from psk.connectors import SupportsExpiry, check_ttl
from psk.errors import MissingKeyError, ProxyStoreFactoryError
from psk.store import StoreFactory
from psk_patterns.leases import LeaseHolder
from psk_patterns.ownership.living import claimed
from psk_patterns.ownership.title import Title

if TYPE_CHECKING:
    from psk import Store

DEFAULT_TTL: Final = 30.0
"""Seconds after which an object goes whose owner died."""

DEFAULT_WINDOW: Final = 600.0
"""Seconds after which an object returns that nobody accepted."""


def begin_title(store: Store, factory: Any, ttl: float, window: float, serializer: Any = None) -> Title:
    """Make the title to an object that has none; if that fails, the object is evicted."""
    try:
        return Title(factory, ttl=ttl, window=window, store=store, serializer=serializer)
    except BaseException:
        store.evict(factory.reference.key)
        raise


def claim_title(found: Any, ttl: float = DEFAULT_TTL, window: float = DEFAULT_WINDOW) -> Title:
    """Make the title to the object of a plain proxy.

    Args:
        found: The proxy's factory.
        ttl: As of `owned_proxy`.
        window: As of `owned_proxy`.

    Raises:
        AlreadyOwnedError: This process owns the object, or another thread is making its owner.
        ProxyStoreFactoryError: The factory is not one of a store.
        MissingKeyError: The object is gone.
        PskError: The channel failed.
    """
    window = check_ttl(window)
    if not isinstance(found, StoreFactory):
        raise ProxyStoreFactoryError(
            f"the factory is a {type(found).__qualname__}, not one of a store, so its object cannot be owned",
            remedy="make the owner with owned_proxy(store, obj), or with into_owned(proxy) of a store's proxy",
        )
    store, key = found.store(), found.reference.key
    if store.supports(SupportsExpiry):
        LeaseHolder(store, ttl)  # which refuses a lease that is too short before the object gets it
    with claimed(found.reference.uri, key):
        there = store.renew(key, check_ttl(ttl)) if store.supports(SupportsExpiry) else store.exists(key)
        if not there:
            raise MissingKeyError(
                f"no object {key} in store {store.name!r} ({store.shown_uri})",
                remedy="make the owner while the object exists",
            )
        # Without the flag that evicts after the first use, and without what a later version would not agree with.
        factory: Any = get_factory(store.proxy_from_key(key, deserializer=found.deserializer))
        return begin_title(store, factory, ttl, window)
