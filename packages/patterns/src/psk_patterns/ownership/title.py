"""The title of one process to an object: its lease, its loans, its offer, and its end."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from psk import get_factory
from psk.connectors import SupportsExpiry
from psk.errors import PskError
from psk_patterns.deferred_cleanup import later
from psk_patterns.errors import (
    BorrowedError,
    MutableBorrowError,
    OwnershipError,
    ReferenceInvalidError,
    ReferenceNotOwnedError,
)
from psk_patterns.leases import LeaseHolder, reopened
from psk_patterns.ownership import owned
from psk_patterns.ownership.borrowing import Loan, Loans, close_link, next_version
from psk_patterns.ownership.offer import ACCEPTED, WITHDRAWN, Offer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk import Store
    from psk.store import StoreFactory

RELEASED: Final = "it was released"
MOVED: Final = "it was moved to the process that unpickled it, which accepted it"


class State(Enum):
    """What a title is worth."""

    ARRIVED = "not accepted yet"
    OWNED = "owned"
    OFFERED = "on offer"
    ENDED = "ended"


class Title:
    """One process's title to an object: the factory of the owned proxy, to which all borrows refer.

    Every method but those that say otherwise is called with the lock held: within `locked()`.

    Args:
        factory: Fetches the object.
        ttl: Seconds of the lease that is renewed here.
        window: Seconds after which an offer that was not accepted is withdrawn.
        store: Where the object is; None for a title that arrived and has not been accepted.
        offer: The offer with which it arrived.
        serializer: Encodes new versions.

    Attributes:
        lock: Protects all below, except from finalisers, which only add to what is true.
        loans: The borrows that have not ended.
        dropped: Whether the owned proxy is gone.
        link: Where the borrower of a mutable loan that was sent announces new versions.
        reason: Why the title has ended.
        holder: Renews the lease, where the channel has expiry.
    """

    def __init__(
        self,
        factory: StoreFactory[Any],
        *,
        ttl: float,
        window: float,
        store: Store | None = None,
        offer: Offer | None = None,
        serializer: Any = None,
    ) -> None:
        self.factory = factory
        self.ttl = ttl
        self.window = window
        self.serializer = serializer
        self.lock = threading.RLock()
        self.loans = Loans()
        self.dropped = False
        self.link: str | None = None
        self.reason = ""
        self.state = State.ARRIVED if offer else State.OWNED
        self.pid = os.getpid()
        self._offer = offer
        self._store = store
        self.holder: LeaseHolder | None = None
        if store is not None:
            self._renew_lease(store)
        owned.note(self)

    @property
    def key(self) -> str:
        """The key that the object has now."""
        return self.factory.reference.key

    @property
    def place(self) -> tuple[str, str]:
        """The URI of the object's channel, and its key."""
        return self.factory.reference.uri, self.key

    @property
    def is_accepted(self) -> bool:
        """Whether this process has opened the object's channel."""
        return self.state is not State.ARRIVED

    @property
    def has_ended(self) -> bool:
        """Whether the object is not owned here any more."""
        return self.state is State.ENDED

    @property
    def store(self) -> Store:
        """The store of the object, open or closed."""
        return self._store or self.factory.store()

    @property
    def lease(self) -> float | None:
        """Seconds of the lease, or None where the channel has no expiry."""
        return self.ttl if self.store.supports(SupportsExpiry) else None

    def __call__(self) -> Any:
        """Fetch the object for its owner; without the lock held."""
        if self.pid != os.getpid():
            return self.factory.resolve()  # a forked child may read its parent's object
        with self.lock:
            self.check("read")
            if self.loans.writer is not None:
                raise MutableBorrowError(
                    f"{self!r} is mutably borrowed, so its owner cannot read it",
                    found=self.loans.found[1:],
                    remedy=self.loans.remedy,
                )
            factory = self.factory
        return factory.resolve()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, in the process that it belongs to; a forked child's copy of it may stay locked for ever.

        Raises:
            ReferenceNotOwnedError: This is a forked child's copy of the title.
        """
        self.check_process()
        with self.lock:
            yield

    def check_process(self) -> None:
        """Refuse a forked child what belongs to its parent; needs no lock."""
        if self.pid != os.getpid():
            raise ReferenceNotOwnedError(
                f"{self!r} belongs to process {self.pid}, of which this one is a fork, and can only be read here",
                remedy="pickle the proxy, or pass a borrow of it",
            )

    def check(self, purpose: str) -> None:
        """Make sure that the object is owned here, accepting it if it has just arrived.

        Args:
            purpose: What the owner wants to do: a verb.

        Raises:
            ReferenceNotOwnedError: This is a forked child's copy.
            ReferenceInvalidError: The title has ended, or is on offer.
            PskError: The channel failed, so that the state is unknown.
        """
        self.check_process()
        if self.state is State.ARRIVED:
            self._accept()
        if self.state is State.OFFERED and self._offer is not None and self._offer.is_over:
            self.take_back()
        if self.state is State.OFFERED:
            raise ReferenceInvalidError(
                f"cannot {purpose} {self!r}: it was pickled, which offers it to the process that unpickles it",
                remedy="use it there, or take it back with psk_patterns.withdraw(proxy) before it is accepted",
            )
        if self.state is State.ENDED:
            raise ReferenceInvalidError(
                f"cannot {purpose} {self!r}: {self.reason}", remedy="ask its owner for a borrow, or make a new object"
            )
        self._end_overdue()
        self._follow()

    def check_unborrowed(self, purpose: str) -> None:
        """Do what `check` does, and make sure that the object is not borrowed.

        Raises:
            BorrowedError: It is.
        """
        self.check(purpose)
        if self.loans:
            raise BorrowedError(
                f"cannot {purpose} {self!r} while it is borrowed", found=self.loans.found, remedy=self.loans.remedy
            )

    def end_loan(self, loan: Loan) -> None:
        """End a loan; safe in a finaliser, without the lock held."""
        loan.ended = loan.ended or "it has ended"
        if self.pid == os.getpid():
            self.loans.discard(loan)
            if self.dropped:
                later(self.settle)

    def recall_loans(self) -> None:
        """End the loans that were sent, and whose proxies here are gone."""
        for loan in self.loans.away:
            self.end_loan(loan)

    def _end_overdue(self) -> None:
        for loan in self.loans.away:
            if not loan.left:
                self.end_loan(loan)

    def offer(self) -> Offer:
        """Offer the object to another process; the same offer again while it lasts.

        Raises:
            OwnershipError: As `check_unborrowed`.
            CapabilityError: The channel lacks what an offer needs.
        """
        if self.state is State.OFFERED and self._offer is not None and not self._offer.is_over:
            self.check_process()
            return self._offer
        self.check_unborrowed("move")
        with reopened(self.store) as store:
            self._offer = offer = Offer.make(store, self.key, ttl=self.ttl, window=self.window)
        self.state = State.OFFERED
        return offer

    def take_back(self) -> bool:
        """Withdraw an offer; False if it was accepted, and the title has ended."""
        offer = self._offer
        if self.state is not State.OFFERED or offer is None:
            return self.state is State.OWNED
        with reopened(self.store) as store:
            if not offer.decide(WITHDRAWN, store):
                self.end(MOVED)
                return False
        self.state, self._offer = State.OWNED, None
        self._clear(offer)
        if self.dropped:
            later(self.settle)
        return True

    def _accept(self) -> None:
        offer: Any = self._offer
        store = self.factory.store()
        if not offer.decide(ACCEPTED):
            self._refuse("another process, or another copy of this proxy, accepted it, or its offer was withdrawn")
        if not store.renew(self.key, self.ttl):
            self._clear(offer)
            self._refuse("its object is gone: its owner died, or had evicted it")
        self._store, self._offer = store, None
        self._renew_lease(store)
        self.state = State.OWNED
        owned.note(self)
        owned.tell_moved(self)
        self._clear(offer)

    def _refuse(self, reason: str) -> NoReturn:
        self.end(reason)
        raise ReferenceInvalidError(f"cannot accept {self!r}: {reason}", remedy="ask its owner for a borrow or a clone")

    def _clear(self, offer: Offer) -> None:
        with suppress(PskError):  # what is left expires
            offer.clear(self.store)

    def lose_offered(self) -> None:
        """Note that the object on offer was accepted; without the lock held."""
        if self.state is State.OFFERED:
            self.end(MOVED)

    def adopt(self, store: Store, key: str) -> None:
        """Replace the object by a new version.

        Args:
            store: Where the version is, open.
            key: Its key, which may be that of the version before.
        """
        before = self.key
        made: Any = get_factory(store.proxy_from_key(key, deserializer=self.factory.deserializer))
        if key == before:
            self.factory = made
            return
        if self.holder is not None:
            self.holder.add(key, guard=partial(self.is_wanted, key))
        self.factory = made
        owned.note(self)
        if self.holder is not None:
            self.holder.discard(before)
        with suppress(PskError):  # it expires
            store.evict(before)

    def _follow(self) -> None:
        """Adopt the versions that the borrower of a mutable loan that was sent has announced."""
        if self.link is None:
            return
        with reopened(self.store) as store:
            while self.link is not None:
                announced = next_version(store, self.link)
                if announced is not None:
                    self._adopt_announced(store, *announced)
                elif self.loans.writer is not None:
                    return  # there may be more to come
                elif close_link(store, self.link, self.ttl):
                    self.link = None

    def _adopt_announced(self, store: Store, key: str, following: str) -> None:
        link, self.link = self.link, following
        if self.holder is not None and not store.renew(key, self.ttl):
            self.link = None
            self.end("the version that its borrower wrote is gone")
            return
        self.adopt(store, key)
        if link is not None:
            with suppress(PskError):  # it expires
                store.evict(link)

    def _renew_lease(self, store: Store) -> None:
        if store.supports(SupportsExpiry):
            self.holder = LeaseHolder(store, self.ttl, on_lost=self._lose)
            self.holder.add(self.key, guard=partial(self.is_wanted, self.key))

    def is_wanted(self, key: str) -> bool:
        """Tell the thread that renews leases whether to go on; without the lock held."""
        if not self.lock.acquire(blocking=False):
            return True  # another thread uses the title, and other leases must not wait for it
        try:
            if self.state is State.OFFERED:
                return self._is_undecided()
            self._end_overdue()
            if self.state is State.OWNED and self.link is not None:
                self._follow()
            return self.state is State.OWNED and key == self.key
        finally:
            self.lock.release()

    def _is_undecided(self) -> bool:
        offer: Any = self._offer
        if offer.is_over:
            return self.take_back()
        with reopened(self.store) as store:
            accepted = not offer.exists(store)
            if accepted or offer.is_decided(store):
                self.end(MOVED)
        if accepted:
            self._clear(offer)
        return self.state is State.OFFERED

    def _lose(self, key: str) -> None:
        # Called by the thread that renews leases, without the lock: the object is gone, whatever other threads do.
        if key == self.key and self.state in {State.OWNED, State.OFFERED}:
            self.end("its lease was lost: this process could not renew it in time, or another process evicted it")

    def drop(self) -> None:
        """Note that the owned proxy is gone; safe in a finaliser, without the lock held."""
        if self.pid == os.getpid():
            self.dropped = True
            later(self.settle)

    def settle(self) -> None:
        """Evict the object if its proxy is gone and it is not borrowed; without the lock held.

        Raises:
            PskError: The channel failed; the object is left to expire.
        """
        if self.pid != os.getpid():
            return
        with self.lock:
            self._end_overdue()
            if self.state in {State.ENDED, State.OFFERED} or not self.dropped or self.loans:
                return  # an object on offer stays until there is a verdict
            arrived = self.state is State.ARRIVED
            try:
                self.check("evict")
                self.release()
            except ReferenceInvalidError:
                return  # another process has it, or it is gone
            except BaseException as error:
                self.end("its proxy is gone")
                if not (arrived and isinstance(error, PskError)):  # an object that was never ours needs no report
                    raise

    def leave(self) -> None:
        """Evict the object as the process ends, borrowed or not; without the lock held."""
        self.loans.clear()
        self.dropped = True
        try:
            self.settle()
        except PskError:
            if self.lease is None:  # otherwise it expires
                raise

    def release(self) -> None:
        """End the title and evict the object.

        Raises:
            PskError: The channel failed; the object is still owned.
        """
        with reopened(self.store) as store:
            store.evict(self.key)
        self.end(RELEASED)

    def end(self, reason: str) -> None:
        """Give the title up; the object is left to others, or to expire."""
        self.state, self.reason = State.ENDED, reason
        owned.forget(self)
        if self.holder is not None:
            self.holder.close()

    def __repr__(self) -> str:
        return f"object {self.key} of {self.factory.reference.shown_uri}"

    def __reduce__(self) -> NoReturn:
        raise OwnershipError(f"the title to {self!r} cannot be pickled by itself", remedy="pickle the owned proxy")
