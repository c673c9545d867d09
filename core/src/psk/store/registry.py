"""Which stores does this process know, by name and by channel?"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psk.connectors import format_uri, parse_uri
from psk.errors import ProxyStoreFactoryError, StoreExistsError, UnsignedError
from psk.fork import after_fork_in_child
from psk.proxy import Proxy, get_factory
from psk.singleflight import SingleFlight
from psk.store.arguments import check_kind
from psk.store.config import StoreConfig
from psk.store.factory import StoreFactory
from psk.store.policy import get_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk.store.store import Store
    from psk.wire import Reference

# Re-entrant: a finaliser or a signal handler may come in between.
_lock = threading.RLock()
_openings = SingleFlight()
#: By name, for people. A name means one store; nothing is ever resolved by name.
_named: dict[str, Store] = {}
#: By URI, for proxies: stores opened here because a proxy needed them.
_opened: dict[str, Store] = {}


def register_store(store: Store, exist_ok: bool = False) -> None:
    """Make a store known in this process: `get_store` finds it by name, and proxies of its channel use it.

    Args:
        store: The store.
        exist_ok: Replace a store of the same name instead of raising.

    Raises:
        StoreExistsError: Another store of this name is registered.
    """
    _check_store(store)
    with _lock:
        other = _named.get(store.name)
        if other is not None and other is not store and not exist_ok:
            raise StoreExistsError(
                f"another store named {store.name!r} is registered in this process, for {other.shown_uri}",
                remedy="choose another name, unregister that one, or pass exist_ok=True",
            )
        _named[store.name] = store


def unregister_store(name_or_store: str | Store) -> None:
    """Forget a registered store, without closing it. Forgetting an unknown one is no error."""
    if not isinstance(name_or_store, str):
        _check_store(name_or_store)
    with _lock:
        if isinstance(name_or_store, str):
            _named.pop(name_or_store, None)
        elif _named.get(name_or_store.name) is name_or_store:
            del _named[name_or_store.name]


@contextmanager
def store_registration(*stores: Store, exist_ok: bool = False) -> Iterator[None]:
    """Register stores for the time of a `with` block, however the block ends.

    Raises:
        StoreExistsError: Another store has one of the names; then none stays registered.
    """
    try:
        for store in stores:
            register_store(store, exist_ok=exist_ok)
        yield
    finally:
        for store in stores:
            unregister_store(store)


def get_store(name_or_proxy: str | Proxy[Any]) -> Store | None:
    """Find the store of a name, or of a proxy.

    Returns:
        The registered store of that name, or None. For a proxy, the store that resolves it.

    Raises:
        ProxyStoreFactoryError: The proxy was not made by a store.
    """
    if isinstance(name_or_proxy, Proxy):
        return store_factory(name_or_proxy).store()
    check_kind("a store's name or a proxy", name_or_proxy, str, "give the name that it was registered under")
    return _named.get(name_or_proxy)


def _check_store(store: object) -> None:
    from psk.store.objects import ObjectMethods  # the registry stands below the store

    check_kind("a store", store, ObjectMethods, "give a psk.Store")


def get_or_create_store(config: StoreConfig, *, register: bool = True) -> Store:
    """Give the registered store of a configuration, or open it.

    Raises:
        StoreExistsError: The name is taken by a store of another configuration.
    """
    from psk.store.store import Store  # the registry stands below the store, and only here opens one

    check_kind("a StoreConfig", config, StoreConfig, "give what `config()` returned")
    known = find_registered(config)
    if known is not None:
        return known
    store = Store.from_config(config, register=False)
    try:
        if register:
            register_store(store)
    except StoreExistsError:
        store.close()
        raise
    return store


def store_for(reference: Reference) -> Store:
    """Find or open the store that resolves a reference from outside; opened once per process and channel.

    Raises:
        SigningError: The reference is unsigned or forged where that matters.
        UntrustedChannelError: This process does not open that channel for proxies.
        UnknownConnectorError: No connector is installed for its scheme.
    """
    policy = get_policy()
    policy.admit(reference)
    store = find_by_uri(reference.uri) or _find_or_open(reference.uri)
    if store.config().signature_required and not reference.signed_by:
        raise UnsignedError(
            f"the proxy of object {reference.key!r} is not signed, which store {store.name!r} requires",
            remedy="make it with a store that has a signing_key",
        )
    return store


def find_by_uri(uri: str) -> Store | None:
    """Find an open store of a channel: a registered one first, for it carries the user's options."""
    registered = _find_registered_for(uri)
    if registered is not None:
        return registered
    opened = _opened.get(uri)
    if opened is None or opened.closed:
        return None
    # Opened by another spelling of the channel, it must not stand in for a store that is registered for it.
    return opened if opened.uri == uri else _find_registered_for(opened.uri) or opened


def _find_registered_for(uri: str) -> Store | None:
    return next((store for store in list(_named.values()) if store.uri == uri and not store.closed), None)


def _find_or_open(uri: str) -> Store:
    # A forged proxy spells a URI as it likes. That must not lead past the rules of a store that is registered for it.
    uri = format_uri(parse_uri(uri))
    found = find_by_uri(uri)
    if found is not None:
        return found
    store: Store = _openings.run(uri, _open, (uri,))
    # Only an open connector knows which options say nothing, such as a default: by now it can be asked.
    return find_by_uri(uri) or store


def _open(uri: str) -> Store:
    from psk.store.store import Store  # as above

    policy = get_policy()
    store = Store.join(uri, signing=policy.signing, codecs=policy.codecs)
    with _lock:
        _opened[uri] = store
    return store


def find_registered(config: StoreConfig) -> Store | None:
    """Find the registered store of exactly this configuration."""
    store = _named.get(config.name)
    return store if store is not None and store.is_configured_as(config) else None


def close_opened_stores() -> None:
    """Close the stores that were opened because a proxy needed them; a later proxy opens its own again."""
    with _lock:
        stores = list(_opened.values())
        _opened.clear()
    for store in stores:
        store.close()


def store_factory(proxy: Proxy[Any]) -> StoreFactory[Any]:
    """Give the store's factory behind a proxy.

    A factory that adds rules of its own to a store's, as that of an owner or a future does, has that one as its
    attribute `factory`.

    Raises:
        ProxyStoreFactoryError: The proxy was made with another factory.
    """
    found: Any = get_factory(proxy)
    factory = found if isinstance(found, StoreFactory) else getattr(found, "factory", None)
    if not isinstance(factory, StoreFactory):
        raise ProxyStoreFactoryError(
            f"the proxy's factory is a {type(found).__qualname__}, not one of a store",
            remedy="make the proxy with Store.proxy",
        )
    return factory


def get_key(proxy: Proxy[Any]) -> str:
    """Give the key of the object behind a proxy, without resolving it.

    Raises:
        ProxyStoreFactoryError: The proxy was not made by a store.
    """
    return store_factory(proxy).reference.key


@after_fork_in_child
def _renew_lock() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in the child
    _lock = threading.RLock()
