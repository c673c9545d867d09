"""Stores: where objects wait for those who use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.store.channel import ObjectStat
from psk.store.config import StoreConfig
from psk.store.factory import StoreFactory, get_key, restore_factory, restore_proxy
from psk.store.registry import close_opened_stores, register_store, store_registration, unregister_store
from psk.store.store import Lifetime, Store, get_or_create_store, get_store, restore_store
from psk.store.trust import TrustPolicy, get_policy, set_policy

if TYPE_CHECKING:
    from psk.store.events import StoreMetrics

__all__ = [
    "Lifetime",
    "ObjectStat",
    "Store",
    "StoreConfig",
    "StoreFactory",
    "StoreMetrics",
    "TrustPolicy",
    "close_opened_stores",
    "get_key",
    "get_or_create_store",
    "get_policy",
    "get_store",
    "register_store",
    "restore_factory",
    "restore_proxy",
    "restore_store",
    "set_policy",
    "store_registration",
    "unregister_store",
]


def __getattr__(name: str) -> Any:
    # Only a store with metrics=True needs it.
    if name == "StoreMetrics":
        from psk.store.events import StoreMetrics

        return StoreMetrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
