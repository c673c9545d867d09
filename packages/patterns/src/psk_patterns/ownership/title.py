"""Who owns an object? Whoever has the title to it; this is one process's."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from psk.connectors import SupportsExpiry
from psk.errors import PskError
from psk_patterns.deferred_cleanup import later
from psk_patterns.errors import BorrowedError, MutableBorrowError, OwnershipError, ReferenceInvalidError
from psk_patterns.leases import LeaseHolder, reopened
from psk_patterns.ownership import living, versions
from psk_patterns.ownership.lent import Lent
from psk_patterns.ownership.offer import ACCEPTED, WITHDRAWN, Offer
from psk_patterns.ownership.refusals import ForkedUseError, as_use_error
from psk_patterns.ownership.state import MOVED, RELEASED, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk import Store
    from psk.store import StoreFactory


class Title:
    """One process's title to an object: it is the factory of the owned proxy, and all borrows lead to it.

    Every method but those that say otherwise is called with the lock held: within `locked()`.

    Args:
        factory: Fetches the object.
        ttl: Seconds of the lease that is renewed here.
        window: Seconds after which an offer that nobody accepted is withdrawn.
        store: Where the object is; None for a title that arrived and has not been accepted.
        offer: The offer with which it arrived.
        serializer: What new versions are encoded with.

    Attributes:
        lock: Protects all below, except from finalisers, which only add to what is true.
        loans: The borrows that have not ended.
        dropped: Whether the owned proxy is gone.
        link: Where the borrower of a mutable loan that travelled says what it wrote.
        reason: Why the title has ended.
        hold: Renews the lease, where the channel keeps one.
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
        self.loans = Lent()
        self.dropped = False
        self.link: str | None = None
        self.reason = ""
        self.state = State.ARRIVED if offer else State.OWNED
        self.pid = os.getpid()
        self._offer = offer
        self._store = store
        self.hold: LeaseHolder | None = None
        if store is not None:
            self._keep(store)
        living.note(self)

    @property
    def key(self) -> str:
        """The key under which the object stands now."""
        return self.factory.reference.key

    @property
    def store(self) -> Store:
        """The store of the object, open or closed."""
        return self._store or self.factory.store()

    @property
    def lease(self) -> float | None:
        """Seconds of the lease, or None where the channel keeps none."""
        return self.ttl if self.store.supports(SupportsExpiry) else None

    def __call__(self) -> Any:
        """Fetch the object for its owner; without the lock held."""
        if self.pid != os.getpid():
            return self.factory.resolve()  # to read it, a forked child may use its parent's
        try:
            with self.lock:
                self.check("read")
                if self.loans.writer is not None:
                    raise MutableBorrowError(
                        f"{self!r} is mutably borrowed, so its owner cannot read it",
                        found=self.loans.found[1:],
                        remedy=self.loans.remedy,
                    )
                factory = self.factory
        except OwnershipError as error:
            raise as_use_error(error) from None
        return factory.resolve()

    def check(self, purpose: str) -> None:
        """Make sure that the object is owned here, accepting it if it has just arrived.

        Args:
            purpose: What the owner wants: a verb.

        Raises:
            ReferenceNotOwnedError: This is a forked child's copy.
            ReferenceInvalidError: The title has ended, or is on offer.
            PskError: Whether it counts could not be found out.
        """
        self.check_process()
        if self.state is State.ARRIVED:
            self._accept()
        if self.state is State.OFFERED and self._offer is not None and self._offer.is_over:
            self.take_back()
        if self.state is State.OFFERED:
            raise ReferenceInvalidError(
                f"cannot {purpose} {self!r}: it was pickled, which offers it to whoever unpickles it",
                remedy="use it there, or take it back with psk_patterns.withdraw(proxy) while nobody has",
            )
        if self.state is State.ENDED:
            raise ReferenceInvalidError(
                f"cannot {purpose} {self!r}: {self.reason}", remedy="ask its owner for a borrow, or make a new object"
            )
        self.loans.end_overdue()
        versions.follow(self)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """LeaseHolder the lock, in the process that it belongs to; a forked child's copy of it may stay taken for ever.

        Raises:
            ReferenceNotOwnedError: This is a forked child's copy of the title.
        """
        self.check_process()
        with self.lock:
            yield

    def check_process(self) -> None:
        """Refuse a forked child what belongs to its parent; no lock is needed."""
        if self.pid != os.getpid():
            raise ForkedUseError(
                f"{self!r} belongs to process {self.pid}, of which this one is a fork, and can only be read here",
                remedy="pickle the proxy, or pass a borrow of it",
            )

    def check_unborrowed(self, purpose: str) -> None:
        """Make sure of what `check` does, and that nobody has borrowed the object.

        Raises:
            BorrowedError: Somebody has.
        """
        self.check(purpose)
        if self.loans:
            raise BorrowedError(
                f"cannot {purpose} {self!r} while it is borrowed", found=self.loans.found, remedy=self.loans.remedy
            )

    def offer(self) -> Offer:
        """Offer the object to another process; the same offer again while it stands.

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
        """Withdraw an offer; False if somebody accepted it, and the title has ended."""
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
            later(living.settle, self)
        return True

    def release(self) -> None:
        """End the title and evict the object.

        Raises:
            PskError: The channel failed; the object is still owned.
        """
        with reopened(self.store) as store:
            store.evict(self.key)
        self.end(RELEASED)

    def _accept(self) -> None:
        offer: Any = self._offer
        store = self.factory.store()
        if not offer.decide(ACCEPTED):
            self._refuse("another process, or another copy of this proxy, accepted it, or its offer was withdrawn")
        if not store.renew(self.key, self.ttl):
            self._clear(offer)
            self._refuse("its object is gone: its owner died, or had evicted it")
        self._store, self._offer = store, None
        self._keep(store)
        self.state = State.OWNED
        living.note(self)
        living.tell_moved(self)
        self._clear(offer)

    def _refuse(self, reason: str) -> NoReturn:
        self.end(reason)
        raise ReferenceInvalidError(f"cannot accept {self!r}: {reason}", remedy="ask its owner for a borrow or a clone")

    def _clear(self, offer: Offer) -> None:
        with suppress(PskError):  # what is left expires
            offer.clear(self.store)

    def _keep(self, store: Store) -> None:
        if store.supports(SupportsExpiry):
            self.hold = LeaseHolder(store, self.ttl, on_lost=self._lose)
            self.hold.add(self.key, guard=partial(self.is_wanted, self.key))

    def is_wanted(self, key: str) -> bool:
        """Tell the thread that renews leases whether to go on; without the lock held."""
        if not self.lock.acquire(blocking=False):
            return True  # something is being done with the object: others' leases must not wait for that
        try:
            if self.state is State.OFFERED:
                return self._is_undecided()
            self.loans.end_overdue()
            if self.state is State.OWNED and self.link is not None:
                versions.follow(self)
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

    def lose_offered(self) -> None:
        """Note that what is on offer was accepted; without the lock held."""
        if self.state is State.OFFERED:
            self.end(MOVED)

    def _lose(self, key: str) -> None:
        # In the thread that renews leases, without the lock: what is lost is lost, whoever is at it.
        if key == self.key and self.state in {State.OWNED, State.OFFERED}:
            self.end("its lease was lost: this process could not renew it in time, or somebody evicted it")

    def end(self, reason: str) -> None:
        """Give the title up; the object is left to others, or to expire."""
        self.state, self.reason = State.ENDED, reason
        living.forget(self)
        if self.hold is not None:
            self.hold.close()

    def __repr__(self) -> str:
        return f"object {self.key} of {self.factory.reference.shown_uri}"

    def __reduce__(self) -> NoReturn:
        raise OwnershipError(f"the title to {self!r} cannot be pickled by itself", remedy="pickle the owned proxy")
