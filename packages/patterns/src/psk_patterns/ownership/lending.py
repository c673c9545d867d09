"""How is an owner's object borrowed, and when does that end?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psk_patterns.errors import MutableBorrowError
from psk_patterns.ownership.loan import Loan
from psk_patterns.ownership.proxies import (
    RefMutProxy,
    RefProxy,
    forget,
    forget_class,
    known_class,
    loan_of,
    title_of,
    wrapped,
)

if TYPE_CHECKING:
    from psk_patterns.ownership.proxies import OwnedProxy

T = TypeVar("T")


def borrow(proxy: OwnedProxy[T]) -> RefProxy[T]:
    """Borrow an owner's object to read it; many may, unless one may change it.

    The borrow ends when its proxy is dropped here, with `mark_refs_out_of_scope`, or with the task of `submit`. What is
    changed in the object that it shows is seen nowhere else.

    Raises:
        ReferenceNotOwnedError: The proxy is no owner.
        ReferenceInvalidError: It is one no more.
        MutableBorrowError: The object is mutably borrowed.
    """
    return _borrow(proxy, RefProxy, mutable=False)  # type: ignore[no-any-return]


def mut_borrow(proxy: OwnedProxy[T]) -> RefMutProxy[T]:
    """Borrow an owner's object to `update` it; nobody else may borrow it meanwhile, nor the owner read it.

    Changes that the owner's proxy shows and that were not stored by `update` are lost.

    The borrow ends as those of `borrow` do. But pickling moves it to whoever unpickles it, and then dropping its proxy
    here does not end it: it lasts until `mark_refs_out_of_scope`, the end of the task of `submit`, `withdraw(owner)`
    or `release(owner)`, or until the owner's `window` is over.

    Raises:
        ReferenceNotOwnedError: The proxy is no owner.
        ReferenceInvalidError: It is one no more.
        MutableBorrowError: The object is borrowed.
    """
    made = _borrow(proxy, RefMutProxy, mutable=True)
    forget(proxy)
    forget_class(proxy)
    return made  # type: ignore[no-any-return]


def mark_refs_out_of_scope(*refs: RefProxy[Any] | RefMutProxy[Any]) -> None:
    """End borrows, as dropping their proxies does, and also those that were pickled; one that has ended is no error.

    Raises:
        OwnershipError: One is no borrow; then none has ended.
    """
    for ref, loan in [(ref, loan_of(ref)) for ref in refs]:
        loan.end()
        forget(ref)


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
