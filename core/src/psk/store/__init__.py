"""Where does an object wait for those who use it? In a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.store.config import StoreConfig
from psk.store.factory import StoreFactory, restore_factory, restore_proxy
from psk.store.policy import TrustPolicy, get_policy, set_policy
from psk.store.registry import (
    close_opened_stores,
    get_key,
    get_or_create_store,
    get_store,
    register_store,
    store_registration,
    unregister_store,
)
from psk.store.stat import ObjectStat
from psk.store.store import Store

if TYPE_CHECKING:
    from psk.store.lifetime import Lifetime
    from psk.store.metrics import StoreMetrics

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
    "set_policy",
    "store_registration",
    "unregister_store",
]


def __getattr__(name: str) -> Any:
    # Not needed by those who only put and get.
    if name == "Lifetime":
        from psk.store.lifetime import Lifetime

        return Lifetime
    if name == "StoreMetrics":
        from psk.store.metrics import StoreMetrics

        return StoreMetrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
