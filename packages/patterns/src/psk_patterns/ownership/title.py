"""The titles of this process to objects: each one's lease, loans, offer and end, and the end of all at exit."""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from psk import get_factory
from psk.connectors import SupportsExpiry, SupportsSwap
from psk.errors import MissingKeyError, PskError, RevisionConflictError
from psk.fork import after_fork_in_child
from psk_patterns.deferred_cleanup import flush, later
from psk_patterns.errors import (
    AlreadyOwnedError,
    BorrowedError,
    MutableBorrowError,
    OwnershipError,
    ReferenceInvalidError,
    ReferenceNotOwnedError,
)
from psk_patterns.leases import LeaseHolder, reopened
from psk_patterns.ownership.borrowing import Borrow, Loans, close_link, next_version
from psk_patterns.ownership.offer import ACCEPTED, WITHDRAWN, Offer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk import Store
    from psk.store import StoreFactory

RELEASED: Final = "it was released"
MOVED: Final = "it was moved to the process that unpickled it, which accepted it"

SHORT_EXIT: Final = 0.15
"""Seconds that exit waits here; `deferred_cleanup` waits longer, but by then sessions may have ended."""


class State(Enum):
    """The state of a title."""

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
        _note(self)

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

    def note_end(self, loan: Borrow) -> None:
        """Note that a loan has ended; safe in a finaliser, without the lock held."""
        if self.pid == os.getpid():
            self.loans.discard(loan)
            if self.dropped:
                later(self.settle)

    def recall_loans(self) -> None:
        """End the loans that were sent, and whose proxies here are gone."""
        for loan in self.loans.away:
            loan.end()

    def _end_overdue(self) -> None:
        for loan in self.loans.away:
            if not loan.left:
                loan.end()

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
        _note(self)
        _tell_moved(self)
        self._clear(offer)

    def _refuse(self, reason: str) -> NoReturn:
        self.end(reason)
        raise ReferenceInvalidError(f"cannot accept {self!r}: {reason}", remedy="ask its owner for a borrow or a clone")

    def _clear(self, offer: Offer) -> None:
        with suppress(PskError):  # what is left expires
            offer.clear(self.store)

    def adopt(self, store: Store, key: str) -> None:
        """Replace the object by a new version.

        Args:
            store: Where the version is, open.
            key: Its key, which may be that of the version before.
        """
        before = self.place
        made: Any = get_factory(store.proxy_from_key(key, deserializer=self.factory.deserializer))
        if key != before[1] and self.holder is not None:
            self.holder.add(key, guard=partial(self.is_wanted, key))
        self.factory = made
        for loan in tuple(self.loans):
            loan.factory = made
        if key == before[1]:
            return
        _note(self)
        _forget(self, before)
        if self.holder is not None:
            self.holder.discard(before[1])
        with suppress(PskError):  # it expires
            store.evict(before[1])

    def write(self, obj: Any, serializer: Any) -> None:
        """Store a new version, under the same key if the channel can swap.

        Raises:
            ReferenceInvalidError: A process without a borrow changed or evicted the object.
            PskError: As `Store.put`; the object is as before.
        """
        serializer = serializer or self.serializer
        with reopened(self.store) as store:
            stat = store.stat(self.key) if store.supports(SupportsSwap) else None
            # An object without a time to live may be in caches, which would keep returning the old version.
            if stat is None or not stat.expires:
                self.adopt(store, store.put(obj, ttl=self.lease, serializer=serializer))
                return
            try:
                store.swap(self.key, obj, revision=stat.revision + 1, serializer=serializer)
            except (RevisionConflictError, MissingKeyError) as error:
                raise ReferenceInvalidError(
                    f"cannot update {self!r}: a process without a borrow changed or evicted it",
                    remedy="make a new object",
                ) from error
            self.adopt(store, self.key)

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
        _forget(self, self.place)
        if self.holder is not None:
            self.holder.close()

    def __repr__(self) -> str:
        return f"object {self.key} of {self.factory.reference.shown_uri}"

    def __reduce__(self) -> NoReturn:
        raise OwnershipError(f"the title to {self!r} cannot be pickled by itself", remedy="pickle the owned proxy")


#: Every title that has not ended, by URI and key of its object: several copies of an owner may have arrived.
_titles: dict[tuple[str, str], set[Title]] = {}
#: The places of objects that a thread is making an owner of.
_claims: set[tuple[str, str]] = set()
#: The channels for which `_leave_all` was registered, and whether they had been opened.
_channels: set[tuple[str, bool]] = set()
#: Protects the tables. Re-entrant: a finaliser may run in between and release its object. Updates that an interrupt
#: must not separate have no call in between; an interrupt may leave an empty set.
_lock = threading.RLock()


def _note(title: Title) -> None:
    """Remember a title, under the key that it has now, until it has ended."""
    channel = title.place[0], title.is_accepted
    with _lock:
        if title.state is State.ENDED:
            return
        _titles.setdefault(title.place, set()).add(title)
        if channel not in _channels:
            _channels.add(channel)
            # The function registered last runs first: before the channel that was opened last ends its session.
            atexit.unregister(_leave_all)
            atexit.register(_leave_all)


def _forget(title: Title, place: tuple[str, str]) -> None:
    """Remember a title no more under a key; one that was not noted is ignored."""
    with _lock:
        there = _titles.get(place, set())
        there.discard(title)
        if not there:
            _titles.pop(place, None)


@contextmanager
def claimed(uri: str, key: str) -> Iterator[None]:
    """Prevent other threads from becoming the owner of an object during the block.

    Args:
        uri: Its channel.
        key: Its key.

    Raises:
        AlreadyOwnedError: This process has a title to it, or another thread is in such a block.
    """
    place = uri, key
    is_ours = False
    try:
        with _lock:
            if _titles.get(place) or place in _claims:
                from psk.wire import Reference  # needed by failures only

                raise AlreadyOwnedError(
                    f"object {key} of {Reference(uri, key).shown_uri} has an owner in this process",
                    remedy="use that owner, or borrow from it",
                )
            is_ours = True
            _claims.add(place)
        yield
    finally:
        if is_ours:
            _claims.discard(place)  # one call in C: an interrupt cannot prevent it


def _tell_moved(accepted: Title) -> None:
    """End the sender's title, if it is in this process too, as it would at its next renewal; without its lock held."""
    with _lock:
        there = tuple(_titles.get(accepted.place, ()))
    for title in there:
        if title is not accepted and title.state is State.OFFERED:
            title.end(MOVED)


def _leave_all() -> None:
    with _lock:
        titles = {title for there in _titles.values() for title in there}
    for title in titles:
        later(title.leave)
    flush(SHORT_EXIT)


@after_fork_in_child
def _reset() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in the child
    _lock = threading.RLock()
    for table in (_titles, _claims, _channels):  # the titles are the parent's
        table.clear()
