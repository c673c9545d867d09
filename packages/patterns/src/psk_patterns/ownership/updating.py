"""How does what was changed in one process become what is stored?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk import is_resolved
from psk.connectors import SupportsSwap
from psk.errors import MissingKeyError, RevisionConflictError
from psk_patterns.errors import ReferenceInvalidError, ReferenceNotOwnedError
from psk_patterns.leases import reopened
from psk_patterns.ownership.loan import Loan
from psk_patterns.ownership.proxies import RefMutProxy, RefProxy, loan_of, title_of
from psk_patterns.ownership.versions import adopt

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk import Store
    from psk_patterns.ownership.proxies import OwnedProxy
    from psk_patterns.ownership.title import Title


def update(proxy: OwnedProxy[Any] | RefMutProxy[Any], *, serializer: str | Callable[[Any], Any] | None = None) -> None:
    """Store what an owner's or mutable borrower's proxy shows here; nothing happens if it was not used yet.

    Where the channel can swap, the object keeps its key; elsewhere the new version gets one of its own, which owner and
    borrowers find. The owner of an object that was updated in another process sees the new version from the end of
    the borrow on.

    Args:
        proxy: An OwnedProxy or a RefMutProxy.
        serializer: As of `Store.put`; None takes that of the object.

    Raises:
        ReferenceNotOwnedError: The proxy may only read.
        ReferenceInvalidError: It refers to nothing any more.
        BorrowedError: It owns, and its object is borrowed.
        PskError: As `Store.put`; the object is as before.
    """
    if issubclass(type(proxy), RefMutProxy):
        loan = loan_of(proxy)
        loan.check()
        if not is_resolved(proxy):
            return
        if isinstance(loan, Loan):
            title = loan.title
            with title.locked():
                loan.check()
                _write(title, proxy.__proxy_wrapped__, serializer)
        else:
            loan.write(proxy.__proxy_wrapped__, serializer)
        return
    if issubclass(type(proxy), RefProxy):
        raise ReferenceNotOwnedError(
            f"cannot update through the {loan_of(proxy)!r}, which may only read", remedy="use mut_borrow(owner)"
        )
    title = title_of(proxy, "update")
    with title.locked():
        title.check_unborrowed("update")
        if is_resolved(proxy):
            _write(title, proxy.__proxy_wrapped__, serializer)


def _write(title: Title, obj: Any, serializer: Any) -> None:
    serializer = serializer or title.serializer
    with reopened(title.store) as store:
        if _can_swap(store, title):
            return _swap(store, title, obj, serializer)
        key = store.put(obj, ttl=title.lease, serializer=serializer)
        return adopt(title, store, key)


def _can_swap(store: Store, title: Title) -> bool:
    if not store.supports(SupportsSwap):
        return False
    stat = store.stat(title.key)
    # What was put without a time to live may be in caches, which would go on giving the version that they have.
    return stat is not None and stat.expires


def _swap(store: Store, title: Title, obj: Any, serializer: Any) -> None:
    stat = store.stat(title.key)
    try:
        store.swap(title.key, obj, revision=stat.revision + 1 if stat else 1, serializer=serializer)
    except (RevisionConflictError, MissingKeyError) as error:
        raise ReferenceInvalidError(
            f"cannot update {title!r}: somebody without a borrow changed or evicted it", remedy="make a new object"
        ) from error
    adopt(title, store, title.key)
