"""Which proxies keep the rules of ownership? Those of owners, and those of borrowers."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from psk import Proxy, get_factory
from psk.proxy import make_proxy
from psk.wire import type_of
from psk_patterns.errors import OwnershipError, ReferenceNotOwnedError
from psk_patterns.ownership.arriving import arrived_loan, arrived_title
from psk_patterns.ownership.claiming import claim_title
from psk_patterns.ownership.living import drop
from psk_patterns.ownership.loan import Loan, SentLoan
from psk_patterns.ownership.refusals import refuse_copy
from psk_patterns.ownership.title import Title

T = TypeVar("T")


class OwnedProxy(Proxy[T]):
    """The owner of an object; made by `owned_proxy`, `clone`, `into_owned`, or by unpickling one.

    It is used like the object. When it is dropped, the object is evicted; when its process dies, the object expires.
    Pickling it offers the object to whoever unpickles it. `owner += x` changes what the proxy shows and leaves it the
    owner, also where the object itself cannot change; `update` stores that.

    Args:
        factory: That of a store's plain proxy, whose object is owned from then on, as by `into_owned`.
        cache_defaults: As of `Proxy`.
        target: As of `Proxy`.

    Raises:
        PskError: As of `into_owned`.
    """

    __slots__ = ()

    def __init__(self, factory: Any, *, cache_defaults: bool = False, target: Any = None) -> None:
        super().__init__(claim_title(factory), cache_defaults=cache_defaults, target=target)

    def __proxy_rebind__(self, result: Any) -> Any:
        return _rebound(self, result)

    def __reduce_ex__(self, protocol: Any) -> Any:
        title = title_of(self, "move")
        with title.locked():
            title.factory.__reduce__()  # what cannot travel is not offered
            offer = title.offer()
            forget(self)
            return restore_owned, (title.factory, offer.notice, offer.sign, title.ttl, title.window)

    def __copy__(self) -> NoReturn:
        refuse_copy("the owned", repr(get_factory(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        refuse_copy("the owned", repr(get_factory(self)))

    def __del__(self) -> None:
        title = _left_by(self)
        if isinstance(title, Title):
            drop(title)


class RefProxy(Proxy[T]):
    """A borrow to read; many may exist at once. Sent away, it is a reference that borrows nothing by itself.

    Only `borrow` makes one.
    """

    __slots__ = ()

    def __init__(self, *_args: Any, **_options: Any) -> None:
        _refuse_making("RefProxy", "borrow(owner)")

    def __reduce_ex__(self, protocol: Any) -> Any:
        loan = loan_of(self)
        loan.check()
        return restore_borrowed, (loan.factory,)

    def __copy__(self) -> Any:
        return wrapped(RefProxy, loan_of(self).again())

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return wrapped(RefProxy, loan_of(self).again())

    def __del__(self) -> None:
        _drop(_left_by(self))


class RefMutProxy(Proxy[T]):
    """The borrow to read and update; while it lasts it is the only one.

    Sent away, it cannot be used here any more; it ends as is said at `mut_borrow`, which alone makes one. `ref += x`
    leaves it the borrow, as it leaves an owner one.
    """

    __slots__ = ()

    def __init__(self, *_args: Any, **_options: Any) -> None:
        _refuse_making("RefMutProxy", "mut_borrow(owner)")

    def __proxy_rebind__(self, result: Any) -> Any:
        return _rebound(self, result)

    def __reduce_ex__(self, protocol: Any) -> Any:
        sent = loan_of(self).send()
        forget(self)
        return restore_borrowed, sent

    def __copy__(self) -> NoReturn:
        refuse_copy("the", repr(get_factory(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        refuse_copy("the", repr(get_factory(self)))

    def __del__(self) -> None:
        _drop(_left_by(self))


def is_owned(value: Any) -> bool:
    """Tell whether a value is an owned proxy, without resolving it."""
    return issubclass(type(value), OwnedProxy)


def is_borrowed(value: Any) -> bool:
    """Tell whether a value is a borrowed proxy, without resolving it."""
    return issubclass(type(value), (RefProxy, RefMutProxy))


def title_of(proxy: Any, purpose: str) -> Title:
    """Give the title behind an owned proxy.

    Raises:
        ReferenceNotOwnedError: It is none.
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


def loan_of(proxy: Any) -> Loan | SentLoan:
    """Give the loan behind a borrowed proxy.

    Raises:
        OwnershipError: It is none.
    """
    loan: Any = get_factory(proxy) if is_borrowed(proxy) else None
    if not isinstance(loan, (Loan, SentLoan)):
        raise OwnershipError(
            f"a {type(proxy).__name__} is no borrow", remedy="pass what borrow(owner) or mut_borrow(owner) gave"
        )
    return loan


def wrapped(cls: Any, factory: Any, kind: type | None = None, target: Any = None, protocols: int | None = None) -> Any:
    """Make a proxy.

    Args:
        cls: Its class.
        factory: A title or a loan.
        kind: The object's class, if known: asking for it does not resolve then.
        target: The object, if known.
        protocols: What the object's type can do, if known.
    """
    made = make_proxy(factory, kind, protocols=protocols, target=target, cls=cls)
    if kind is not None:
        made.__proxy_default_class__ = kind
    return made


def known_class(proxy: Any) -> type | None:
    """Give the class of the object where that is known, without resolving."""
    try:
        kind: Any = object.__getattribute__(proxy, "__proxy_default_class__")
    except AttributeError:
        return None
    return kind  # type: ignore[no-any-return]  # a class, or it would not be there


def forget(proxy: Any) -> None:
    """Let the next use of a proxy ask its factory; what it shows here says nothing of what is stored."""
    kind = known_class(proxy)
    del proxy.__proxy_wrapped__
    forget_class(proxy)
    if kind is not None:
        proxy.__proxy_default_class__ = kind


def forget_class(proxy: Any) -> None:
    """Let the next question for the class of a proxy's object resolve it: a new version may have another one."""
    for name in ("__proxy_default_class__", "__proxy_default_hash__"):
        with suppress(AttributeError):
            delattr(proxy, name)


def restore_owned(*sent: Any) -> Any:
    """Rebuild an owned proxy that arrived; it is accepted at its first use.

    Raises:
        ReferenceInvalidError: It is damaged or forged.
    """
    title = arrived_title(*sent)
    reference = title.factory.reference
    return wrapped(OwnedProxy, title, type_of(reference.type_code), protocols=reference.protocols)


def restore_borrowed(*sent: Any) -> Any:
    """Rebuild a borrowed proxy that arrived.

    Raises:
        ReferenceInvalidError: It is damaged or forged.
    """
    loan = arrived_loan(*sent)
    reference = loan.factory.reference
    cls = RefMutProxy if loan.mutable else RefProxy
    return wrapped(cls, loan, type_of(reference.type_code), protocols=reference.protocols)


def _rebound(proxy: Any, result: Any) -> Any:
    proxy.__proxy_wrapped__ = result
    forget_class(proxy)
    return proxy


def _refuse_making(kind: str, maker: str) -> NoReturn:
    raise OwnershipError(
        f"a {kind} cannot be made from a factory: it would borrow nothing", remedy=f"use psk_patterns.{maker}"
    )


def _left_by(proxy: Any) -> Any:
    try:
        return get_factory(proxy)
    except (AttributeError, TypeError):  # it was never finished, or the interpreter is ending
        return None


def _drop(loan: Any) -> None:
    if isinstance(loan, (Loan, SentLoan)):
        loan.drop()


# Short module paths make short pickles.
restore_owned.__module__ = restore_borrowed.__module__ = "psk_patterns.ownership"
