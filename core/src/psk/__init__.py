"""Pass-by-reference for distributed Python: stores, proxies, and what a user needs beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors import find_connector
from psk.errors import PskError
from psk.plugins.importing import import_target, on_demand
from psk.proxy import Proxy, ProxyOr, aresolve, extract, get_factory, is_resolved, resolve, resolve_async
from psk.store import (
    Store,
    StoreConfig,
    get_key,
    get_or_create_store,
    get_store,
    register_store,
    set_policy,
    store_registration,
    unregister_store,
)
from psk.wire import register_codec, set_signing_key

if TYPE_CHECKING:
    from psk.connectors.file import FileConnector
    from psk.connectors.local import LocalConnector
    from psk.connectors.multi import MultiConnector
    from psk.connectors.shm import ShmConnector, sweep
    from psk.plugins import hookimpl

__version__ = "0.1.0"

__all__ = [
    "FileConnector",
    "LocalConnector",
    "MultiConnector",
    "Proxy",
    "ProxyOr",
    "PskError",
    "ShmConnector",
    "Store",
    "StoreConfig",
    "aresolve",
    "extract",
    "find_connector",
    "get_factory",
    "get_key",
    "get_or_create_store",
    "get_store",
    "hookimpl",
    "is_resolved",
    "register_codec",
    "register_store",
    "resolve",
    "resolve_async",
    "set_policy",
    "set_signing_key",
    "store_registration",
    "sweep",
    "unregister_store",
]

#: Loaded when first named.
_ON_DEMAND = {
    "FileConnector": "psk.connectors.file:FileConnector",
    "LocalConnector": "psk.connectors.local:LocalConnector",
    "MultiConnector": "psk.connectors.multi:MultiConnector",
    "ShmConnector": "psk.connectors.shm:ShmConnector",
    "hookimpl": "psk.plugins:hookimpl",
    "sweep": "psk.connectors.shm:sweep",
}


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        with on_demand:
            return import_target(_ON_DEMAND[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
