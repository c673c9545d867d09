"""The classes of owned and borrowed proxies, and how they travel."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from psk import Proxy, get_factory
from psk.connectors import SupportsExpiry, SupportsSwap, check_ttl, validate_key
from psk.errors import MissingKeyError, ProxyStoreFactoryError, PskError
from psk.proxy import make_proxy
from psk.store import StoreFactory
from psk.wire import type_of
from psk_patterns.errors import OwnershipError, ReferenceInvalidError, ReferenceNotOwnedError
from psk_patterns.leases import check_lease, reopened
from psk_patterns.ownership.borrowing import SENT, Borrow, SentBorrow, SentParts, first_link
from psk_patterns.ownership.offer import Offer
from psk_patterns.ownership.title import Title, claimed

if TYPE_CHECKING:
    from psk import Store

T = TypeVar("T")

DEFAULT_TTL: Final = 30.0
"""Seconds after which an object goes whose owner died."""

DEFAULT_WINDOW: Final = 600.0
"""Seconds after which an object returns to its owner that was not accepted."""


class OwnedProxy(Proxy[T]):
    """The owner of an object; made by `owned_proxy`, `clone`, `into_owned`, or by unpickling one.

    It is used like the object. When it is dropped, the object is evicted; when its process dies, the object expires.
    Pickling it offers the object to the process that unpickles it. `owner += x` changes what the proxy shows and leaves
    it the owner, also where the object itself cannot change; `update` stores that.

    Args:
        factory: The factory of a store's plain proxy, whose object is owned from then on, as by `into_owned`.
        cache_defaults: As in `Proxy`.
        target: As in `Proxy`.

    Raises:
        PskError: As `into_owned`.
    """

    __slots__ = ()

    def __init__(self, factory: Any, *, cache_defaults: bool = False, target: Any = None) -> None:
        super().__init__(claim_title(factory), cache_defaults=cache_defaults, target=target)

    def __proxy_rebind__(self, result: Any) -> Any:
        return _rebound(self, result)

    def __reduce_ex__(self, protocol: Any) -> Any:
        title = title_of(self, "move")
        with title.locked():
            title.factory.__reduce__()  # an object that cannot travel is not offered
            offer = title.offer()
            forget(self)
            return restore_owned, (title.factory, offer.ticket, offer.verdict, title.ttl, title.window)

    def __copy__(self, _memo: Any = None) -> NoReturn:
        _refuse_copy("owned ", self)

    __deepcopy__ = __copy__

    def __del__(self) -> None:
        title = _factory_left_by(self)
        if isinstance(title, Title):
            title.drop()


class RefProxy(Proxy[T]):
    """A borrow to read; many may exist at once. Pickled, it is a reference that borrows nothing by itself.

    Only `borrow` makes one.
    """

    __slots__ = ()

    def __init__(self, *_args: Any, **_options: Any) -> None:
        _refuse_making("RefProxy", "borrow(owner)")

    def __reduce_ex__(self, protocol: Any) -> Any:
        loan = borrow_of(self)
        loan.check()
        return restore_borrowed, (loan.factory,)

    def __copy__(self, _memo: Any = None) -> Any:
        return wrapped(RefProxy, borrow_of(self).again())

    __deepcopy__ = __copy__

    def __del__(self) -> None:
        _drop_borrow(self)


class RefMutProxy(Proxy[T]):
    """The borrow to read and update; while it lasts it is the only one.

    Only `mut_borrow` makes one, and says when it ends. Pickled, it cannot be used here any more. `ref += x` leaves it
    the borrow, as it leaves an owner the owner.
    """

    __slots__ = ()

    def __init__(self, *_args: Any, **_options: Any) -> None:
        _refuse_making("RefMutProxy", "mut_borrow(owner)")

    def __proxy_rebind__(self, result: Any) -> Any:
        return _rebound(self, result)

    def __reduce_ex__(self, protocol: Any) -> Any:
        sent = borrow_of(self).send()
        forget(self)
        return restore_borrowed, sent

    def __copy__(self, _memo: Any = None) -> NoReturn:
        _refuse_copy("", self)

    __deepcopy__ = __copy__

    def __del__(self) -> None:
        _drop_borrow(self)


class Loan(Borrow):
    """A borrow in the owner's process.

    Args:
        title: The owner's, which keeps `factory` up to date: an update may change the object's key.
        mutable: Whether the borrower may update the object.
    """

    def __init__(self, title: Title, *, mutable: bool) -> None:
        super().__init__(title.factory, mutable=mutable)
        self.title = title

    def again(self) -> Borrow:
        """Borrow once more, to read."""
        if self.title.pid != os.getpid():
            return super().again()  # a forked child may read, borrows nothing, and must not use its copy of the lock
        with self.title.locked():
            self.check()
            made = Loan(self.title, mutable=False)
            self.title.loans.add(made)
            return made

    def end(self) -> None:
        """End the borrow, in the books of the title too; safe in a finaliser."""
        super().end()
        self.title.note_end(self)

    def send(self) -> SentParts:
        """Move a mutable borrow to another process; here it lasts for the owner's window."""
        title = self.title
        with title.locked():
            if self not in title.loans:
                self.check()
            title.check("lend")
            title.factory.__reduce__()  # an object that cannot travel is not lent
            with reopened(title.store) as store:
                stat = store.stat(title.key) if store.supports(SupportsSwap) else None
                if stat is not None and stat.expires:
                    revision, link = stat.revision, None
                else:
                    # Sent twice, it is the same link: one of the two receivers can update.
                    revision, link = None, title.link or first_link(store, title.key)
                    title.link = link
                factory: Any = get_factory(store.proxy_from_key(title.key))
            self.ended = SENT
            self.deadline = time.monotonic() + title.window
            return factory, title.lease, revision, link

    def write(self, obj: Any, serializer: Any) -> None:
        """Store a new version as the owner's."""
        with self.title.locked():
            self.check()
            self.title.write(obj, serializer)


def is_owned(value: Any) -> bool:
    """Return whether a value is an owned proxy, without resolving it."""
    return issubclass(type(value), OwnedProxy)


def is_borrowed(value: Any) -> bool:
    """Return whether a value is a borrowed proxy, without resolving it."""
    return issubclass(type(value), (RefProxy, RefMutProxy))


def title_of(proxy: Any, purpose: str) -> Title:
    """Return the title behind an owned proxy.

    Args:
        proxy: The proxy.
        purpose: What is to be done with it: a verb, for the error.

    Raises:
        ReferenceNotOwnedError: It is not an owned proxy.
    """
    title: Any = get_factory(proxy) if is_owned(proxy) else None
    if not isinstance(title, Title):
        kind = type(proxy).__name__
        raise ReferenceNotOwnedError(
            f"cannot {purpose} {get_factory(proxy)!r} through a {kind}"
            if issubclass(type(proxy), Proxy)
            else f"cannot {purpose} a {kind}",
            remedy="use the OwnedProxy; owned_proxy(store, obj) makes one, and into_owned(proxy) of a plain proxy",
        )
    return title


def borrow_of(proxy: Any) -> Borrow:
    """Return the factory behind a borrowed proxy.

    Raises:
        OwnershipError: It is not a borrowed proxy.
    """
    found: Any = get_factory(proxy) if is_borrowed(proxy) else None
    if not isinstance(found, Borrow):
        raise OwnershipError(
            f"an object of type {type(proxy).__name__} is not a borrow",
            remedy="pass what borrow(owner) or mut_borrow(owner) returned",
        )
    return found


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
        ttl: As in `owned_proxy`.
        window: As in `owned_proxy`.

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
    with claimed(found.reference.uri, key):
        there = store.renew(key, check_lease(ttl)) if store.supports(SupportsExpiry) else store.exists(key)
        if not there:
            raise MissingKeyError(
                f"no object {key} in store {store.name!r} ({store.shown_uri})",
                remedy="make the owner while the object exists",
            )
        # Without the flag that evicts after the first use, and without the checksum, which a new version changes.
        factory: Any = get_factory(store.proxy_from_key(key, deserializer=found.deserializer))
        return begin_title(store, factory, ttl, window)


def wrapped(cls: Any, factory: Any, kind: type | None = None, target: Any = None, protocols: int | None = None) -> Any:
    """Make a proxy.

    Args:
        cls: Its class.
        factory: A title or a borrow.
        kind: The object's class, if known: asking for it does not resolve the proxy then.
        target: The object, if known.
        protocols: What the object's type can do, if known.
    """
    made = make_proxy(factory, kind, protocols=protocols, target=target, cls=cls)
    if kind is not None:
        made.__proxy_default_class__ = kind
    return made


def known_class(proxy: Any) -> type | None:
    """Return the class of the object if that is known without resolving."""
    try:
        kind: Any = object.__getattribute__(proxy, "__proxy_default_class__")
    except AttributeError:
        return None
    return kind  # type: ignore[no-any-return]  # a class, or it would not be there


def forget(proxy: Any) -> None:
    """Let the next use of a proxy ask its factory: what it shows here may differ from what is stored."""
    kind = known_class(proxy)
    del proxy.__proxy_wrapped__  # which makes the target's class the known one
    forget_class(proxy)
    if kind is not None:
        proxy.__proxy_default_class__ = kind


def forget_class(proxy: Any) -> None:
    """Let the next question for the class of a proxy's object resolve it: a new version may have another one."""
    for name in ("__proxy_default_class__", "__proxy_default_hash__"):
        with suppress(AttributeError):
            delattr(proxy, name)


def restore_owned(
    factory: Any = None, ticket: Any = None, verdict: Any = None, ttl: Any = None, window: Any = None
) -> Any:
    """Rebuild an owned proxy that was pickled; opens nothing yet, and is accepted at its first use.

    Args:
        factory: Fetches the object.
        ticket: Fetches the offer's ticket.
        verdict: Fetches the verdict.
        ttl: Seconds of a lease.
        window: Seconds of an offer.

    Raises:
        ReferenceInvalidError: It is damaged or forged.
    """
    parts = factory, ticket, verdict
    are_references = all(type(part) is StoreFactory for part in parts)
    if not are_references or len({(part.reference.uri, part.reference.signed_by) for part in parts}) != 1:
        _refuse_arrived("its parts are not references into one channel with one signer")
    try:
        ttl, window = check_ttl(ttl), check_ttl(window)
    except PskError as error:
        _refuse_arrived(str(error))
    offer = Offer(factory.reference.key, ticket, verdict, reach=window + 2 * ttl, window=window)
    title = Title(factory, ttl=ttl, window=window, offer=offer)
    return wrapped(OwnedProxy, title, type_of(factory.reference.type_code), protocols=factory.reference.protocols)


def restore_borrowed(factory: Any = None, lease: Any = None, revision: Any = None, link: Any = None) -> Any:
    """Rebuild a borrowed proxy that was pickled; opens nothing yet.

    Args:
        factory: Fetches the object.
        lease: Seconds to live of a new version, or None.
        revision: The object's revision, or None.
        link: The key under which a new version is announced, or None.

    Raises:
        ReferenceInvalidError: It is damaged or forged.
    """
    if type(factory) is not StoreFactory or not (revision is None or type(revision) is int):
        _refuse_arrived("it has no reference to an object, or its revision is not a number")
    try:
        lease = None if lease is None else check_ttl(lease)
        link = None if link is None else validate_key(link)
    except PskError as error:
        _refuse_arrived(str(error))
    borrow = SentBorrow(factory, lease, revision, link)
    cls = RefMutProxy if borrow.mutable else RefProxy
    return wrapped(cls, borrow, type_of(factory.reference.type_code), protocols=factory.reference.protocols)


# Pickles contain them.
restore_owned.__module__ = restore_borrowed.__module__ = "psk_patterns.ownership"


def _refuse_arrived(why: str) -> NoReturn:
    raise ReferenceInvalidError(
        f"an owned or borrowed proxy that arrived cannot be read: {why}",
        remedy="find out whether it was damaged, forged, or made by another version of psk-patterns",
    )


def _refuse_copy(kind: str, proxy: Any) -> NoReturn:
    raise OwnershipError(
        f"the {kind}{get_factory(proxy)!r} cannot be copied: an object has one owner, and at most "
        "one borrower that may change it",
        remedy="make a second object with psk_patterns.clone(owner), or borrow() it",
    )


def _refuse_making(kind: str, maker: str) -> NoReturn:
    raise OwnershipError(
        f"a {kind} cannot be made from a factory: it would borrow nothing", remedy=f"use psk_patterns.{maker}"
    )


def _rebound(proxy: Any, result: Any) -> Any:
    proxy.__proxy_wrapped__ = result
    forget_class(proxy)
    return proxy


def _factory_left_by(proxy: Any) -> Any:
    try:
        return get_factory(proxy)
    except (AttributeError, TypeError):  # it was never finished, or the interpreter is ending
        return None


def _drop_borrow(proxy: Any) -> None:
    borrow = _factory_left_by(proxy)
    if isinstance(borrow, Borrow):
        borrow.drop()
