"""Make, borrow, update, move and release owned objects."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from psk import Proxy, get_factory, is_resolved
from psk.connectors import SupportsExpiry, check_ttl
from psk.errors import InvalidArgumentError
from psk_patterns.arguments import check_store
from psk_patterns.errors import AlreadyOwnedError, MutableBorrowError, ReferenceInvalidError, ReferenceNotOwnedError
from psk_patterns.leases import reopened
from psk_patterns.ownership.proxies import (
    DEFAULT_TTL,
    DEFAULT_WINDOW,
    Loan,
    OwnedProxy,
    RefMutProxy,
    RefProxy,
    begin_title,
    borrow_of,
    claim_title,
    forget,
    forget_class,
    is_borrowed,
    is_owned,
    known_class,
    title_of,
    wrapped,
)
from psk_patterns.ownership.title import RELEASED
from psk_patterns.traversal import leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
    """Store an object and return the proxy that owns it.

    Args:
        store: Where to; a channel without `SupportsExpiry` keeps the object even if its owner dies.
        obj: The object; None and booleans cannot be proxied, and are returned as they are.
        ttl: Seconds of the lease that is renewed while its owner lives: if that dies, the object goes within this time.
        window: Seconds after which a pickled object that was not accepted returns to its sender.
        serializer: As in `Store.put`; for new versions too.
        deserializer: As in `Store.proxy`; such a proxy cannot move.
        populate_target: Let the proxy use `obj` itself in this process; None takes the store's choice.
        skip_nonproxiable: If False, raise for an object that cannot be proxied.

    Raises:
        NonProxiableTypeError: `obj` is None or a boolean, and `skip_nonproxiable` is False.
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
        return plain  # type: ignore[no-any-return]  # as documented
    factory: Any = get_factory(plain)
    title = begin_title(store, factory, ttl, window, serializer)
    kind = known_class(plain)
    if populate_target is None:
        # A deserializer of the caller's own may make something else of the object.
        populate_target = store.config().populate_target and kind is not None
    return wrapped(OwnedProxy, title, kind, obj if populate_target else None)  # type: ignore[no-any-return]


def into_owned(proxy: Proxy[T], *, ttl: float = DEFAULT_TTL, window: float = DEFAULT_WINDOW) -> OwnedProxy[T]:
    """Make an owner of a plain proxy that a store made; other proxies of its object depend on the owner from then on.

    Args:
        proxy: The proxy; it can be used until the owner goes.
        ttl: As in `owned_proxy`.
        window: As in `owned_proxy`.

    Raises:
        AlreadyOwnedError: It owns or borrows already, or this process owns its object, or another thread is making
            its owner. An owner in another process is not noticed.
        ProxyStoreFactoryError: No store made the proxy.
        MissingKeyError: Its object is gone.
        PskError: The channel failed.
    """
    if is_owned(proxy) or is_borrowed(proxy):
        raise AlreadyOwnedError(
            f"{get_factory(proxy)!r} has an owner already", remedy="use that owner, or clone(owner) for another object"
        )
    title = claim_title(get_factory(proxy), ttl, window)
    target = proxy.__proxy_wrapped__ if is_resolved(proxy) else None
    return wrapped(OwnedProxy, title, known_class(proxy), target)  # type: ignore[no-any-return]


def clone(proxy: OwnedProxy[T]) -> OwnedProxy[T]:
    """Store a second object like that of an owner, with the changes made in this process, and return its own owner.

    Raises:
        ReferenceNotOwnedError: The proxy is not an owner.
        ReferenceInvalidError: It does not own its object any more.
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
    """Become the owner of an object that arrived, as its first use would do; does nothing for an owner.

    Raises:
        ReferenceNotOwnedError: The proxy is not an owned proxy.
        ReferenceInvalidError: Another copy was accepted, the sender took it back, or the object is gone.
        PskError: The channel failed; accept it again.
    """
    title = title_of(proxy, "accept")
    with title.locked():
        title.check("accept")


def withdraw(proxy: OwnedProxy[Any]) -> None:
    """Take back an owned proxy that was pickled, or its mutable borrow; one that is not on offer stays as it is.

    A borrow whose proxy is still here does not end: use `mark_refs_out_of_scope`.

    Raises:
        ReferenceNotOwnedError: The proxy is not an owned proxy.
        ReferenceInvalidError: Another process has accepted it.
        PskError: The channel failed; withdraw it again.
    """
    title = title_of(proxy, "withdraw")
    with title.locked():
        title.recall_loans()
        if not title.take_back() and title.is_accepted:
            raise ReferenceInvalidError(
                f"cannot withdraw {title!r}: {title.reason}", remedy="have the process that accepted it send it back"
            )


def release(proxy: OwnedProxy[Any]) -> None:
    """Evict an owner's object now, and raise an error if that fails; releasing twice has no effect.

    A mutable borrow that was pickled, and whose proxy here is gone, ends too.

    Raises:
        ReferenceNotOwnedError: The proxy is not an owned proxy.
        BorrowedError: Its object is borrowed.
        ReferenceInvalidError: It is on offer, or another process has accepted it.
        ConnectorError: The channel failed; the object is still owned.
    """
    title = title_of(proxy, "release")
    with title.locked():
        if title.reason == RELEASED:
            return
        title.recall_loans()
        title.check_unborrowed("release")
        title.release()
    forget(proxy)


def borrow(proxy: OwnedProxy[T]) -> RefProxy[T]:
    """Borrow an owner's object to read it; many may, unless one may change it.

    The borrow ends when its proxy is dropped here, with `mark_refs_out_of_scope`, or with the task of `submit`. Changes
    to the object that it shows are seen nowhere else.

    Raises:
        ReferenceNotOwnedError: The proxy is not an owned proxy.
        ReferenceInvalidError: It does not own its object any more.
        MutableBorrowError: The object is mutably borrowed.
    """
    return _borrow(proxy, RefProxy, mutable=False)  # type: ignore[no-any-return]


def mut_borrow(proxy: OwnedProxy[T]) -> RefMutProxy[T]:
    """Borrow an owner's object to `update` it; nobody else may borrow it meanwhile, and the owner cannot read it.

    Changes that the owner's proxy shows and that were not stored by `update` are lost.

    The borrow ends as those of `borrow` do. But pickling moves it to the process that unpickles it, and then dropping
    its proxy here does not end it: it lasts until `mark_refs_out_of_scope`, the end of the task of `submit`,
    `withdraw(owner)` or `release(owner)`, or until the owner's `window` is over.

    Raises:
        ReferenceNotOwnedError: The proxy is not an owned proxy.
        ReferenceInvalidError: It does not own its object any more.
        MutableBorrowError: The object is borrowed.
    """
    made = _borrow(proxy, RefMutProxy, mutable=True)
    forget(proxy)
    forget_class(proxy)
    return made  # type: ignore[no-any-return]


def _borrow(proxy: Any, cls: Any, *, mutable: bool) -> Any:
    title = title_of(proxy, "borrow")
    with title.locked():
        title.check("borrow")
        writes = title.loans.writer is not None
        if writes or (mutable and title.loans):
            raise MutableBorrowError(
                f"cannot borrow {title!r}{' mutably' if mutable else ''}: many may read, or one may write",
                found=title.loans.found,
                remedy=title.loans.remedy,
            )
        loan = Loan(title, mutable=mutable)
        title.loans.add(loan)
        return wrapped(cls, loan, known_class(proxy))


def mark_refs_out_of_scope(*refs: RefProxy[Any] | RefMutProxy[Any]) -> None:
    """End borrows, as dropping their proxies does, and also those that were pickled; ended ones are ignored.

    Raises:
        OwnershipError: One is not a borrow; then none has ended.
    """
    for ref, found in [(ref, borrow_of(ref)) for ref in refs]:
        found.end()
        forget(ref)


def submit(
    submit_func: Callable[..., Any], *, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> Any:
    """Submit a task, and end the borrows among its arguments with its future.

    Borrows are found at any depth of lists, tuples, dicts and dataclasses.

    Args:
        submit_func: As `executor.submit`; it returns a future that has `add_done_callback`.
        args: Its positional arguments, the task's function first.
        kwargs: Its keyword arguments.

    Returns:
        What `submit_func` returned.

    Raises:
        InvalidArgumentError: An argument contains itself, or `submit_func` did not return a future; the borrows last.
    """
    args, kwargs = tuple(args), dict(kwargs or {})
    refs = [leaf for leaf in leaves((args, kwargs)) if is_borrowed(leaf)]
    future = submit_func(*args, **kwargs)
    if not hasattr(future, "add_done_callback"):
        raise InvalidArgumentError(
            f"{submit_func!r} returned a {type(future).__qualname__}, which has no add_done_callback, so that "
            f"{len(refs)} borrows cannot end with it",
            remedy="pass the submit method of an executor, or end them with mark_refs_out_of_scope(*refs)",
        )
    if refs:
        future.add_done_callback(partial(_end_refs, refs))
    return future


def _end_refs(refs: list[Any], _future: Any) -> None:
    mark_refs_out_of_scope(*refs)
    refs.clear()  # the future may be kept for long


def update(proxy: OwnedProxy[Any] | RefMutProxy[Any], *, serializer: str | Callable[[Any], Any] | None = None) -> None:
    """Store what an owner's or mutable borrower's proxy shows here; does nothing if it was not used yet.

    If the channel can swap, the object keeps its key; otherwise the new version gets a key of its own, which owner and
    borrowers find. The owner of an object that was updated in another process sees the new version from the end of
    the borrow on.

    Args:
        proxy: An OwnedProxy or a RefMutProxy.
        serializer: As in `Store.put`; None takes that of the object.

    Raises:
        ReferenceNotOwnedError: The proxy may only read.
        ReferenceInvalidError: It does not refer to an object any more.
        BorrowedError: It owns, and its object is borrowed.
        PskError: As `Store.put`; the object is as before.
    """
    if issubclass(type(proxy), RefMutProxy):
        found = borrow_of(proxy)
        found.check()
        if is_resolved(proxy):
            found.write(proxy.__proxy_wrapped__, serializer)
        return
    if issubclass(type(proxy), RefProxy):
        raise ReferenceNotOwnedError(
            f"cannot update through the {borrow_of(proxy)!r}, which may only read", remedy="use mut_borrow(owner)"
        )
    title = title_of(proxy, "update")
    with title.locked():
        title.check_unborrowed("update")
        if is_resolved(proxy):
            title.write(proxy.__proxy_wrapped__, serializer)
