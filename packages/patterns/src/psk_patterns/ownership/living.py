"""What does this process own, and what becomes of that when it ends?"""

from __future__ import annotations

import atexit
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from psk.errors import PskError
from psk.fork import after_fork_in_child
from psk_patterns.deferred_cleanup import flush, later
from psk_patterns.errors import AlreadyOwnedError, ReferenceInvalidError
from psk_patterns.ownership.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk_patterns.ownership.title import Title

SHORT_EXIT: Final = 0.15
"""Seconds that exit waits here; `deferred_cleanup` waits longer, but by then sessions may have ended."""

#: A channel and a key.
Place = tuple[str, str]

#: Every title that has not ended, by where its object is: several copies of an owner may have arrived.
_titles: dict[Place, set[Title]] = {}
#: Where each of them is in that.
_places: dict[Title, Place] = {}
#: Where an object is about to get an owner.
_claims: set[Place] = set()
#: The channels for which `_leave_all` was registered, and whether they were opened by then.
_channels: set[tuple[str, bool]] = set()
#: Protects all of these; reentrant, as a finaliser may come in between and release what it has. What an interrupt must
#: not tear apart stands without a call in between; it may leave an empty set.
_lock = threading.RLock()


def note(title: Title) -> None:
    """Remember a title, under the key that it has now, until it has ended."""
    place = title.factory.reference.uri, title.key
    channel = place[0], title.state is not State.ARRIVED
    with _lock:
        forget(title)
        if title.state is State.ENDED:
            return
        there = _titles.setdefault(place, set())
        _places[title] = place
        there.add(title)
        if channel not in _channels:
            _channels.add(channel)
            # What was registered last runs first: before the channel that was opened last ends its session.
            atexit.unregister(_leave_all)
            atexit.register(_leave_all)


def forget(title: Title) -> None:
    """Forget a title that has ended; one that was not noted is no error."""
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
    """Keep other threads from becoming the owner of an object while this one does.

    Args:
        uri: Its channel.
        key: Its key.

    Raises:
        AlreadyOwnedError: This process has a title to it, or another thread is about to.
    """
    place = uri, key
    is_ours = False
    try:
        with _lock:
            if _titles.get(place) or place in _claims:
                from psk.wire import Reference  # only failures need it

                raise AlreadyOwnedError(
                    f"object {key} of {Reference(uri, key).shown_uri} has an owner in this process",
                    remedy="use that one, or borrow from it",
                )
            is_ours = True
            _claims.add(place)
        yield
    finally:
        if is_ours:
            _claims.discard(place)  # one call in C: an interrupt cannot keep it from being made


def tell_moved(accepted: Title) -> None:
    """Tell the sender's title, if it is in this process too, what it would find out at its next look."""
    with _lock:
        there = tuple(_titles.get((accepted.factory.reference.uri, accepted.key), ()))
    for title in there:
        if title is not accepted:
            title.lose_offered()


def drop(title: Title) -> None:
    """Note that an owned proxy is gone; safe in a finaliser."""
    if title.pid == os.getpid():
        title.dropped = True
        later(settle, title)


def settle(title: Title) -> None:
    """Do what is left to do after a proxy or the last borrow was dropped.

    Raises:
        PskError: The channel failed; the object is left to expire.
    """
    if title.pid != os.getpid():
        return
    with title.lock:
        title.loans.end_overdue()
        if title.state in {State.ENDED, State.OFFERED} or not title.dropped or title.loans:
            return  # what is on offer stays until there is a verdict
        arrived = title.state is State.ARRIVED
        try:
            title.check("evict")
            title.release()
        except ReferenceInvalidError:
            return  # another has it, or it is gone
        except BaseException as error:
            title.end("its proxy is gone")
            if not (arrived and isinstance(error, PskError)):  # what never was ours is not ours to report
                raise


def _leave(title: Title) -> None:
    """Evict what is still owned, borrowed or not, as the process ends."""
    title.loans.clear()
    title.dropped = True
    try:
        settle(title)
    except PskError:
        if title.lease is None:  # else it expires
            raise


def _leave_all() -> None:
    with _lock:
        titles = tuple(_places)
    for title in titles:
        later(_leave, title)
    flush(SHORT_EXIT)


@after_fork_in_child
def _begin_anew() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in the child
    _lock = threading.RLock()
    for kept in (_titles, _places, _claims, _channels):  # what a child inherits is its parent's
        kept.clear()
