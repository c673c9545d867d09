"""How does an object get an owner, and how does it lose one?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psk import Proxy, get_factory, is_resolved
from psk.connectors import SupportsExpiry, check_ttl
from psk_patterns.arguments import check_store
from psk_patterns.errors import AlreadyOwnedError, ReferenceInvalidError
from psk_patterns.leases import reopened
from psk_patterns.ownership.claiming import DEFAULT_TTL, DEFAULT_WINDOW, begin_title, claim_title
from psk_patterns.ownership.proxies import OwnedProxy, forget, is_borrowed, is_owned, known_class, title_of, wrapped
from psk_patterns.ownership.state import RELEASED, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk import Store

T = TypeVar("T")


def owned_proxy(
    store: Store,
    obj: T,
    *,
    ttl: float = DEFAULT_TTL,
    window: float = DEFAULT_WINDOW,
    serializer: str | Callable[[Any], Any] | None = None,
    deserializer: Callable[[bytes], Any] | None = None,
    populate_target: bool | None = None,
    skip_nonproxiable: bool = True,
) -> OwnedProxy[T]:
    """Store an object and give the proxy that owns it.

    Args:
        store: Where to; a channel without `SupportsExpiry` keeps the object even if its owner dies.
        obj: The object; None and booleans cannot be proxied, and are given back as they are.
        ttl: Seconds of the lease that is renewed while its owner lives: if that dies, the object goes within this time.
        window: Seconds after which the object returns that was pickled, and that nobody accepted.
        serializer: As of `Store.put`; for new versions too.
        deserializer: As of `Store.proxy`; such a proxy cannot move.
        populate_target: Let the proxy use `obj` itself in this process; None takes the store's choice.
        skip_nonproxiable: False raises for what cannot be proxied.

    Raises:
        NonProxiableTypeError: `obj` is None or a boolean, and is not to be skipped.
        InvalidArgumentError: `ttl` or `window` is not a time, or too short, or `store` is not a store.
        PskError: As `Store.put`.
    """
    window = check_ttl(window)
    lease = check_ttl(ttl) if check_store(store).supports(SupportsExpiry) else None
    plain: Any = store.proxy(
        obj,
        serializer=serializer,
        deserializer=deserializer,
        populate_target=False,
        skip_nonproxiable=skip_nonproxiable,
        ttl=lease,
    )
    if not issubclass(type(plain), Proxy):
        return plain  # type: ignore[no-any-return]  # as the caller asked
    factory: Any = get_factory(plain)
    title = begin_title(store, factory, ttl, window, serializer)
    kind = known_class(plain)
    if populate_target is None:
        # Not with what a deserializer of its own will make something else of.
        populate_target = store.config().populate_target and kind is not None
    return wrapped(OwnedProxy, title, kind, obj if populate_target else None)  # type: ignore[no-any-return]


def into_owned(proxy: Proxy[T], *, ttl: float = DEFAULT_TTL, window: float = DEFAULT_WINDOW) -> OwnedProxy[T]:
    """Make an owner of a plain proxy that a store made; whoever else has one depends on the owner from then on.

    Args:
        proxy: The proxy; it can be used until the owner goes.
        ttl: As of `owned_proxy`.
        window: As of `owned_proxy`.

    Raises:
        AlreadyOwnedError: It owns or borrows already, or this process owns its object, or another thread is making
            its owner. An owner in another process is not noticed.
        ProxyStoreFactoryError: No store made the proxy.
        MissingKeyError: Its object is gone.
        PskError: The channel failed.
    """
    if is_owned(proxy) or is_borrowed(proxy):
        raise AlreadyOwnedError(
            f"{get_factory(proxy)!r} has an owner already", remedy="use that one, or clone(owner) for another object"
        )
    title = claim_title(get_factory(proxy), ttl, window)
    target = proxy.__proxy_wrapped__ if is_resolved(proxy) else None
    return wrapped(OwnedProxy, title, known_class(proxy), target)  # type: ignore[no-any-return]


def clone(proxy: OwnedProxy[T]) -> OwnedProxy[T]:
    """Store a second object like that of an owner, changes in this process included, and give its own owner.

    Raises:
        ReferenceNotOwnedError: The proxy is no owner.
        ReferenceInvalidError: It is one no more.
        MutableBorrowError: Its object is mutably borrowed, so it cannot be read.
        PskError: As `Store.put`.
    """
    title = title_of(proxy, "clone")
    with title.locked():
        title.check("clone")
    obj = proxy.__proxy_wrapped__
    with reopened(title.store) as store:
        return owned_proxy(
            store,
            obj,
            ttl=title.ttl,
            window=title.window,
            serializer=title.serializer,
            deserializer=title.factory.deserializer,
            populate_target=False,
        )


def accept(proxy: OwnedProxy[Any]) -> None:
    """Become the owner of an object that arrived, as its first use would do; an owner stays one.

    Raises:
        ReferenceNotOwnedError: The proxy is no owner.
        ReferenceInvalidError: Another copy was accepted, the sender took it back, or the object is gone.
        PskError: The channel failed; ask again.
    """
    title = title_of(proxy, "accept")
    with title.locked():
        title.check("accept")


def withdraw(proxy: OwnedProxy[Any]) -> None:
    """Take back an owned proxy that was pickled, or its mutable borrow; one that is not on offer stays as it is.

    A borrow whose proxy is still here is left to that: end it with `mark_refs_out_of_scope`.

    Raises:
        ReferenceNotOwnedError: The proxy is no owner.
        ReferenceInvalidError: Somebody has accepted it.
        PskError: The channel failed; ask again.
    """
    title = title_of(proxy, "withdraw")
    with title.locked():
        title.loans.take_back()
        if not title.take_back() and title.state is not State.ARRIVED:
            raise ReferenceInvalidError(
                f"cannot withdraw {title!r}: {title.reason}", remedy="have whoever has it now send it back"
            )


def release(proxy: OwnedProxy[Any]) -> None:
    """Evict an owner's object now, and say if that fails; releasing twice is no error.

    A mutable borrow that was pickled, and whose proxy here is gone, ends with it.

    Raises:
        ReferenceNotOwnedError: The proxy is no owner.
        BorrowedError: Its object is borrowed.
        ReferenceInvalidError: It is on offer, or another has accepted it.
        ConnectorError: The channel failed; the object is still owned.
    """
    title = title_of(proxy, "release")
    with title.locked():
        if title.reason == RELEASED:
            return
        title.loans.take_back()
        title.check_unborrowed("release")
        title.release()
    forget(proxy)
