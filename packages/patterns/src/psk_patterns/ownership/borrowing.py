"""Borrows of an object: those that the owner's process has lent, and those that arrived from another process.

Where a channel can swap, a borrower in another process stores a new version under the same key. Elsewhere it puts each
version under a key of its own and announces it under a link, a reserved key: the version's key and the next link. The
owner follows the links, keeps the last version alive, and evicts the one before.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from psk import get_factory
from psk.connectors import SupportsExpiry, SupportsReserve
from psk.errors import CapabilityError, KeyExistsError, MissingKeyError, RevisionConflictError
from psk_patterns.errors import OwnershipError, ReferenceInvalidError

if TYPE_CHECKING:
    from psk import Store
    from psk.store import StoreFactory

#: What fetches the object, the seconds of its lease, its revision if the channel can swap, and otherwise the link under
#: which new versions are announced.
SentParts: TypeAlias = "tuple[StoreFactory[Any], float | None, int | None, str | None]"

ENDED: Final = "ended"
"""The text that an owner writes under the last link, so that no borrower adds a version."""

SENT: Final = "it was pickled, and moved to the process that unpickled it"
"""Why a borrow that was sent cannot be used any more."""


class Borrow:
    """A borrow of an object: the factory of a borrowed proxy.

    Args:
        factory: Fetches the object.
        mutable: Whether the borrower may update the object.

    Attributes:
        ended: Why it cannot be used any more, or an empty string.
        users: The unfinished tasks that got it as an argument; it ends with the last of them.
        is_away: Whether it was sent, and its proxy here is gone.
        deadline: Until when one that was sent lasts if nothing ends it, by `time.monotonic`; None if it was not.
    """

    def __init__(self, factory: StoreFactory[Any], *, mutable: bool) -> None:
        self.factory = factory
        self.mutable = mutable
        self.ended = ""
        self.users: set[object] = set()
        self.is_away = False
        self.deadline: float | None = None

    def __call__(self) -> Any:
        """Fetch the object for the borrower."""
        self.check()
        return self.factory.resolve()

    @property
    def left(self) -> float:
        """Seconds for which a borrow that was sent lasts if nothing ends it."""
        return 0.0 if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def check(self) -> None:
        """Refuse a borrow that has ended.

        Raises:
            ReferenceInvalidError: It has ended, or was sent.
        """
        if self.ended:
            raise ReferenceInvalidError(f"{self!r} cannot be used: {self.ended}", remedy="borrow from the owner again")

    def drop(self) -> None:
        """Note that the proxy here is gone, which ends the borrow unless it was sent; safe in a finaliser."""
        if self.deadline is None:
            self.end()
        else:
            self.is_away = True

    def end(self) -> None:
        """End the borrow; safe in a finaliser."""
        self.ended = self.ended or "it has ended"

    def again(self) -> Borrow:
        """Borrow once more, to read.

        Raises:
            ReferenceInvalidError: This borrow has ended.
        """
        self.check()
        return Borrow(self.factory, mutable=False)

    def send(self) -> SentParts:
        """Return the arguments of `SentBorrow` in the receiving process; this one cannot be used any more.

        Raises:
            OwnershipError: The borrow has ended.
            CapabilityError: The channel can neither swap nor reserve keys.
        """
        raise NotImplementedError

    def write(self, obj: Any, serializer: Any) -> None:
        """Store a new version for the owner.

        Raises:
            ReferenceInvalidError: The borrow has ended, another version was stored meanwhile, or the object is gone.
            PskError: As `Store.put`.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        reference = self.factory.reference
        return f"{'mutable ' if self.mutable else ''}borrow of object {reference.key} of {reference.shown_uri}"

    def __reduce__(self) -> NoReturn:
        raise OwnershipError(f"the {self!r} cannot be pickled by itself", remedy="pickle the borrowed proxy")


class Loans(set[Borrow]):
    """The borrows of an object that have not ended, in its owner's process."""

    @property
    def writer(self) -> Borrow | None:
        """The mutable one, if there is one."""
        return next((loan for loan in tuple(self) if loan.mutable), None)

    @property
    def away(self) -> list[Borrow]:
        """Those that were sent, and whose proxies here are gone."""
        return [loan for loan in tuple(self) if loan.is_away]

    @property
    def found(self) -> list[str]:
        """Describe the loans, for errors."""
        loans = tuple(self)
        return [
            f"{len(loans)} borrows",
            *("a mutable borrow" for loan in loans if loan.mutable),
            *(f"one that was pickled, and lasts {loan.left:.0f} s more" for loan in loans if loan.is_away),
        ]

    @property
    def remedy(self) -> str:
        """Say how to end the loans, for errors."""
        if self.away:
            return "wait for the end of the pickled borrow, or take it back with psk_patterns.withdraw(owner)"
        return "drop the borrows, or end them with psk_patterns.mark_refs_out_of_scope(*refs)"


class SentBorrow(Borrow):
    """A borrow that arrived from the owner's process: a reference that ends when the borrow ends there.

    Args:
        factory: Fetches the object.
        lease: Seconds to live of a new version; None is for ever.
        revision: The object's revision, where the channel can swap.
        link: Where the next version is announced, if the channel cannot swap.
    """

    def __init__(self, factory: StoreFactory[Any], lease: float | None, revision: int | None, link: str | None) -> None:
        super().__init__(factory, mutable=revision is not None or link is not None)
        self._lease = lease
        self._revision = revision
        self._link = link

    def send(self) -> SentParts:
        """Move it on to another process."""
        self.check()
        self.ended = SENT
        return self.factory, self._lease, self._revision, self._link

    def write(self, obj: Any, serializer: Any) -> None:
        """Store a new version, and announce it where the channel cannot swap."""
        self.check()
        store = self.factory.store()
        if self._link is not None:
            key, self._link = add_version(store, self._link, obj, ttl=self._lease, serializer=serializer)
        else:
            key, revision = self.factory.reference.key, (self._revision or 0) + 1
            try:
                store.swap(key, obj, revision=revision, serializer=serializer)
            except (RevisionConflictError, MissingKeyError) as error:
                raise ReferenceInvalidError(
                    f"{self!r} cannot update: the object is gone, or is not the version that was borrowed",
                    remedy="borrow from the owner again, and send each mutable borrow to one process",
                ) from error
            self._revision = revision
        made: Any = get_factory(store.proxy_from_key(key))
        self.factory = made


def first_link(store: Store, key: str) -> str:
    """Reserve the first link of a mutable borrow.

    Raises:
        CapabilityError: The channel cannot reserve keys.
    """
    if not store.supports(SupportsReserve):
        raise CapabilityError(
            f"the mutable borrow of object {key} of store {store.name!r} cannot be sent: channel "
            f"{store.connector.scheme!r} has neither SupportsSwap nor SupportsReserve",
            remedy="send borrow(owner), have the new version returned, and update(owner) with it",
        )
    return store.reserve()


def add_version(store: Store, link: str, obj: object, *, ttl: float | None, serializer: object) -> tuple[str, str]:
    """Put a new version and announce it under the link.

    Returns:
        The version's key, and the next link.

    Raises:
        ReferenceInvalidError: The owner has ended the borrow, or a copy of the borrow was used to update before.
        PskError: As `Store.put`.
    """
    key = store.put(obj, ttl=ttl, serializer=serializer)  # type: ignore[arg-type]  # checked by put
    following = store.reserve()
    try:
        store.fulfil(link, f"{key} {following}", ttl=ttl)
    except KeyExistsError as error:
        if store.get(link) == f"{key} {following}":  # the answer to a first attempt was lost
            return key, following
        store.evict(key)
        raise ReferenceInvalidError(
            f"the new version cannot be stored in {store.name!r}: the borrow with link {link} has ended, or a copy of "
            "it was used to update",
            remedy="borrow from the owner again",
        ) from error
    return key, following


def next_version(store: Store, link: str) -> tuple[str, str] | None:
    """Return the version's key and the next link that are announced under a link, or None."""
    announced = store.get(link)
    if not isinstance(announced, str) or " " not in announced:
        return None
    key, _, following = announced.partition(" ")
    return key, following


def close_link(store: Store, link: str, ttl: float) -> bool:
    """Prevent borrowers from adding a version under a link; False if one just did."""
    if not store.supports(SupportsExpiry):
        return True  # an object there would stay for ever
    try:
        store.fulfil(link, ENDED, ttl=ttl)
    except KeyExistsError:
        return bool(store.get(link) == ENDED)
    return True
