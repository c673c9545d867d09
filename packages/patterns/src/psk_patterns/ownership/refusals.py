"""How is a use refused that breaks a rule of ownership? By an error that is that of the rule and that of a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from psk.errors import ProxyResolveError
from psk_patterns.errors import MutableBorrowError, OwnershipError, ReferenceInvalidError, ReferenceNotOwnedError

if TYPE_CHECKING:
    from psk.errors import PskError


class InvalidUseError(ReferenceInvalidError, ProxyResolveError):
    """A proxy was used that refers to nothing any more."""


class BorrowedUseError(MutableBorrowError, ProxyResolveError):
    """An owner was read while its object is mutably borrowed."""


class ForkedUseError(ReferenceNotOwnedError, ProxyResolveError):
    """A forked child used what belongs to its parent."""


def as_use_error(error: PskError) -> PskError:
    """Give the error of a rule in the form that passes through the resolution of a proxy as it is."""
    kinds: Any = ((ReferenceInvalidError, InvalidUseError), (MutableBorrowError, BorrowedUseError))
    for kind, form in kinds:
        if isinstance(error, kind):
            made: PskError = form(*error.args, found=error.found, remedy=error.remedy)
            return made
    return error


def refuse_copy(kind: str, what: str) -> NoReturn:
    """Refuse to copy what must be the only one.

    Raises:
        OwnershipError: Always.
    """
    raise OwnershipError(
        f"{kind} {what} cannot be copied: an object has one owner, and one who changes it",
        remedy="make an object of its own with psk_patterns.clone(owner), or borrow() it",
    )
