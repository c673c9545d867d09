"""What is lent when an object is borrowed? A loan: the factory of a borrowed proxy, here or where it was sent."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NoReturn

from psk import get_factory
from psk.connectors import SupportsSwap
from psk.errors import MissingKeyError, RevisionConflictError
from psk_patterns.deferred_cleanup import later
from psk_patterns.errors import OwnershipError, ReferenceInvalidError
from psk_patterns.leases import reopened
from psk_patterns.ownership import chain
from psk_patterns.ownership.living import settle
from psk_patterns.ownership.refusals import as_use_error

if TYPE_CHECKING:
    from psk.store import StoreFactory
    from psk_patterns.ownership.title import Title


class Loan:
    """One borrow of an object in the owner's process; it ends by `end`.

    Args:
        title: The owner's.
        mutable: Whether the borrower may update the object.

    Attributes:
        is_away: Whether it was sent, and nothing is left of it here.
    """

    def __init__(self, title: Title, *, mutable: bool) -> None:
        self.title = title
        self.mutable = mutable
        self.ended = ""
        self.is_away = False
        self._deadline: float | None = None

    def __call__(self) -> Any:
        """Fetch the object for the borrower."""
        return _fetch(self)

    @property
    def factory(self) -> StoreFactory[Any]:
        """What fetches the object, whose key an update may change."""
        return self.title.factory

    def again(self) -> Loan:
        """Borrow once more; a borrow to read only.

        Raises:
            ReferenceInvalidError: This borrow has ended.
        """
        title, made = self.title, Loan(self.title, mutable=False)
        if title.pid != os.getpid():
            self.check()
            return made  # to read with; a forked child borrows nothing, and its copy of the lock may stay taken
        with title.locked():
            self.check()
            title.loans.add(made)
            return made

    def check(self) -> None:
        """Make sure that the borrow lasts.

        Raises:
            ReferenceInvalidError: It does not, or it was sent away.
        """
        if self.ended:
            raise ReferenceInvalidError(f"{self!r} cannot be used: {self.ended}", remedy="borrow anew from the owner")

    @property
    def left(self) -> float:
        """Seconds for which a borrow that was sent lasts if nobody ends it."""
        return 0.0 if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def drop(self) -> None:
        """Note that the proxy here is gone, which ends the borrow unless it was sent; safe in a finaliser."""
        if self._deadline is None:
            self.end()
        else:
            self.is_away = True

    def end(self) -> None:
        """End the borrow; safe in a finaliser."""
        self.ended = self.ended or "it has ended"
        title = self.title
        if title.pid == os.getpid():
            title.loans.discard(self)
            if title.dropped:
                later(settle, title)

    def send(self) -> tuple[StoreFactory[Any], float | None, int | None, str | None]:
        """Send a mutable loan away; the local one only keeps the borrow from ending then, for the owner's window.

        Returns:
            What fetches the object, the seconds of its lease, its revision where the channel swaps, else the link under
            which new versions are announced.

        Raises:
            OwnershipError: The borrow has ended.
            CapabilityError: The channel can neither swap nor reserve.
        """
        title = self.title
        with title.locked():
            if self not in title.loans:
                self.check()
            title.check("lend")
            title.factory.__reduce__()  # what cannot travel is not lent elsewhere
            with reopened(title.store) as store:
                stat = store.stat(title.key) if store.supports(SupportsSwap) else None
                if stat is not None and stat.expires:
                    revision, link = stat.revision, None
                else:
                    # Twice the same: one of the two that were sent can update.
                    revision, link = None, title.link or chain.first_link(store, title.key)
                    title.link = link
                factory: Any = get_factory(store.proxy_from_key(title.key))
            self.ended = "it was pickled, and moved to whoever unpickled it"
            self._deadline = time.monotonic() + title.window
            return factory, title.lease, revision, link

    def __repr__(self) -> str:
        return f"{'mutable ' if self.mutable else ''}borrow of {self.title!r}"

    def __reduce__(self) -> NoReturn:
        raise OwnershipError(f"the {self!r} cannot be pickled by itself", remedy="pickle the borrowed proxy")


class SentLoan:
    """A borrow that arrived from the owner's process; it borrows nothing by itself, and ends where it came from.

    Args:
        factory: Fetches the object.
        lease: Seconds for which a new version is put; None for ever.
        revision: Of the object, where the channel swaps.
        link: Under which the next version is to be announced, where it does not.
    """

    def __init__(
        self,
        factory: StoreFactory[Any],
        lease: float | None = None,
        revision: int | None = None,
        link: str | None = None,
    ) -> None:
        self.factory = factory
        self.lease = lease
        self.revision = revision
        self.link = link
        self.mutable = revision is not None or link is not None
        self.ended = ""

    def __call__(self) -> Any:
        """Fetch the object for the borrower."""
        return _fetch(self)

    def check(self) -> None:
        """Do what `Loan.check` does."""
        if self.ended:
            raise ReferenceInvalidError(f"{self!r} cannot be used: {self.ended}", remedy="borrow anew from the owner")

    def again(self) -> SentLoan:
        """Give another reference to the same object."""
        self.check()
        return SentLoan(self.factory)

    def end(self) -> None:
        """Make this reference unusable."""
        self.ended = self.ended or "it has ended"

    drop = end

    def send(self) -> tuple[StoreFactory[Any], float | None, int | None, str | None]:
        """Do what `Loan.send` does."""
        self.check()
        self.ended = "it was pickled, and moved to whoever unpickled it"
        return self.factory, self.lease, self.revision, self.link

    def write(self, obj: Any, serializer: Any) -> None:
        """Store a new version for the owner.

        Raises:
            ReferenceInvalidError: Somebody else stored one since, or the object is gone.
            PskError: As `Store.put`.
        """
        self.check()
        store = self.factory.store()
        if self.link is not None:
            key, self.link = chain.add_version(store, self.link, obj, ttl=self.lease, serializer=serializer)
        else:
            key, revision = self.factory.reference.key, (self.revision or 0) + 1
            try:
                store.swap(key, obj, revision=revision, serializer=serializer)
            except (RevisionConflictError, MissingKeyError) as error:
                raise ReferenceInvalidError(
                    f"{self!r} cannot update: the object is gone, or not the version that was borrowed",
                    remedy="borrow anew from the owner, and send each mutable borrow to one place",
                ) from error
            self.revision = revision
        made: Any = get_factory(store.proxy_from_key(key))
        self.factory = made

    def __repr__(self) -> str:
        reference = self.factory.reference
        return f"{'mutable ' if self.mutable else ''}borrow of object {reference.key} of {reference.shown_uri}"

    def __reduce__(self) -> NoReturn:
        raise OwnershipError(f"the {self!r} cannot be pickled by itself", remedy="pickle the borrowed proxy")


def _fetch(loan: Loan | SentLoan) -> Any:
    try:
        loan.check()
    except ReferenceInvalidError as error:
        raise as_use_error(error) from None
    return loan.factory.resolve()
