"""The titles of this process to objects, by object, and their end when the process exits."""

from __future__ import annotations

import atexit
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from psk.fork import after_fork_in_child
from psk_patterns.deferred_cleanup import flush, later
from psk_patterns.errors import AlreadyOwnedError

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT_EXIT: Final = 0.15
"""Seconds that exit waits here; `deferred_cleanup` waits longer, but by then sessions may have ended."""

#: The URI of a channel and a key.
Place = tuple[str, str]


class Owned(Protocol):
    """What this module needs of a title."""

    @property
    def place(self) -> Place:
        """Where its object is now."""

    @property
    def is_accepted(self) -> bool:
        """Whether this process has opened its channel."""

    @property
    def has_ended(self) -> bool:
        """Whether it is worth nothing any more."""

    def lose_offered(self) -> None:
        """Note that the object on offer was accepted elsewhere."""

    def leave(self) -> None:
        """Evict the object, as the process ends."""


#: Every title that has not ended, by the place of its object: several copies of an owner may have arrived.
_titles: dict[Place, set[Owned]] = {}
#: The place of each of them in that table.
_places: dict[Owned, Place] = {}
#: The places of objects that a thread is making an owner of.
_claims: set[Place] = set()
#: The channels for which `_leave_all` was registered, and whether they had been opened.
_channels: set[tuple[str, bool]] = set()
#: Protects the tables. Re-entrant: a finaliser may run in between and release its object. Updates that an interrupt
#: must not separate have no call in between; an interrupt may leave an empty set.
_lock = threading.RLock()


def note(title: Owned) -> None:
    """Remember a title, under the key that it has now, until it has ended."""
    place = title.place
    channel = place[0], title.is_accepted
    with _lock:
        forget(title)
        if title.has_ended:
            return
        there = _titles.setdefault(place, set())
        _places[title] = place
        there.add(title)
        if channel not in _channels:
            _channels.add(channel)
            # The function registered last runs first: before the channel that was opened last ends its session.
            atexit.unregister(_leave_all)
            atexit.register(_leave_all)


def forget(title: Owned) -> None:
    """Forget a title that has ended; one that was not noted is ignored."""
    with _lock:
        if title not in _places:
            return
        place = _places[title]
        there = _titles[place]
        del _places[title]
        there.discard(title)
        if not there:
            del _titles[place]


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


def tell_moved(accepted: Owned) -> None:
    """Tell the sender's title, if it is in this process too, what it would find out at its next renewal."""
    with _lock:
        there = tuple(_titles.get(accepted.place, ()))
    for title in there:
        if title is not accepted:
            title.lose_offered()


def _leave_all() -> None:
    with _lock:
        titles = tuple(_places)
    for title in titles:
        later(title.leave)
    flush(SHORT_EXIT)


@after_fork_in_child
def _reset() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in the child
    _lock = threading.RLock()
    for table in (_titles, _places, _claims, _channels):  # the titles are the parent's
        table.clear()
