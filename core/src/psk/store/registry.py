"""Know the stores of this process, by name for people and by channel for proxies.

There is no lock, since a finaliser or a signal handler may use the registry at any instruction. What belongs together
is one operation of a dictionary, or is written without a call: CPython switches threads and handles signals only after
calls, at the start of functions and at backward jumps.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from psk.connectors import format_uri, parse_uri
from psk.errors import StoreExistsError, UnsignedError
from psk.singleflight import SingleFlight
from psk.store.config import check_kind
from psk.store.trust import get_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk.store.config import StoreConfig
    from psk.wire import Reference

StoreT = TypeVar("StoreT", bound=type)


class KnownStore(Protocol):
    """The part of a store that the registry uses. `psk.Store` implements it and imports this module."""

    @property
    def name(self) -> str:
        """Its name in this process."""

    @property
    def uri(self) -> str:
        """The URI of its channel."""

    @property
    def shown_uri(self) -> str:
        """The URI for people to read."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def config(self) -> StoreConfig:
        """Return its options."""

    def is_configured_as(self, config: StoreConfig) -> bool:
        """Tell whether opening `config` would return a store like this one."""

    def close(self) -> None:
        """Release what it opened."""


_openings = SingleFlight()
#: By name, for people. A name means one store; no proxy is resolved by name.
_named: dict[str, KnownStore] = {}
#: By URI, for proxies: stores that were opened because a proxy needed them.
_opened: dict[str, KnownStore] = {}
_store_class: Any = None


def opened_for_proxies(store_class: StoreT) -> StoreT:
    """Decorate the class of stores: proxies that arrive in this process are resolved by instances of it."""
    global _store_class  # noqa: PLW0603  one class per process
    _store_class = store_class
    return store_class


def register_store(store: KnownStore, exist_ok: bool = False) -> None:
    """Make a store known in this process: `get_store` finds it by name, and proxies of its channel use it.

    Args:
        store: The store.
        exist_ok: Replace a store of the same name instead of raising.

    Raises:
        StoreExistsError: Another store of this name is registered.
    """
    _check_store(store)
    other = _named.setdefault(store.name, store)
    if other is not store and not exist_ok:
        raise StoreExistsError(
            f"another store named {store.name!r} is registered in this process, for {other.shown_uri}",
            remedy="choose another name, unregister that one, or pass exist_ok=True",
        )
    _named[store.name] = store


def unregister_store(name_or_store: str | KnownStore) -> None:
    """Forget a registered store, without closing it. Forgetting an unknown one is not an error."""
    if isinstance(name_or_store, str):
        _named.pop(name_or_store, None)
        return
    _check_store(name_or_store)
    name, named = name_or_store.name, _named
    if name in named and named[name] is name_or_store:
        del named[name]


@contextmanager
def store_registration(*stores: KnownStore, exist_ok: bool = False) -> Iterator[None]:
    """Register stores for the duration of a `with` block, however the block ends.

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


def find_by_name(name: str) -> Any:
    """Return the registered store of a name, or None."""
    check_kind("a store's name or a proxy", name, str, "give the name that it was registered under")
    return _named.get(name)


def find_registered(config: StoreConfig) -> Any:
    """Return the registered store of exactly this configuration, or None."""
    store = _named.get(config.name)
    return store if store is not None and store.is_configured_as(config) else None


def store_for(reference: Reference) -> Any:
    """Find or open the store that resolves a reference from outside; opened once per process and channel.

    Raises:
        SigningError: The reference is unsigned or forged where that matters.
        UntrustedChannelError: This process does not open that channel for proxies.
        UnknownConnectorError: No connector is installed for its scheme.
    """
    get_policy().admit(reference)
    store = find_by_uri(reference.uri) or _find_or_open(reference.uri)
    if store.config().signature_required and not reference.signed_by:
        raise UnsignedError(
            f"the proxy of object {reference.key!r} is not signed, which store {store.name!r} requires",
            remedy="make it with a store that has a signing_key",
        )
    return store


def find_by_uri(uri: str) -> KnownStore | None:
    """Find an open store of a channel: a registered one first, since it has the user's options."""
    registered = _find_registered_for(uri)
    if registered is not None:
        return registered
    opened = _opened.get(uri)
    if opened is None or opened.closed:
        return None
    # If it was opened by another spelling of the URI, a store that is registered for the channel takes precedence.
    return opened if opened.uri == uri else _find_registered_for(opened.uri) or opened


def _find_registered_for(uri: str) -> KnownStore | None:
    return next((store for store in list(_named.values()) if store.uri == uri and not store.closed), None)


def _find_or_open(uri: str) -> KnownStore:
    # A forged proxy may spell a URI in any way. That must not evade the rules of a store that is registered for it.
    uri = format_uri(parse_uri(uri))
    found = find_by_uri(uri)
    if found is not None:
        return found
    store: KnownStore = _openings.run(uri, _open, (uri,))
    # Only an open connector knows its canonical URI, for instance without options that have their default.
    return find_by_uri(uri) or store


def _open(uri: str) -> KnownStore:
    policy = get_policy()
    store: KnownStore = _store_class.join(uri, signing=policy.signing, codecs=policy.codecs)
    _opened[uri] = store
    return store


def close_opened_stores() -> None:
    """Close the stores that were opened because a proxy needed them; a later proxy opens its own again."""
    for uri in list(_opened):
        store = _opened.pop(uri, None)
        if store is not None:  # otherwise another thread closes it
            store.close()


def _check_store(store: object) -> None:
    check_kind("a store", store, _store_class, "give a psk.Store")
