"""What does this process own, and what becomes of that when it ends?"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Final

from psk.errors import PskError
from psk_patterns.errors import ReferenceInvalidError
from psk_patterns.finishing import flush, later
from psk_patterns.ownership.state import State

if TYPE_CHECKING:
    from psk_patterns.ownership.title import Title

SHORT_EXIT: Final = 0.15
"""Seconds that exit waits here; `finishing` waits for what takes longer, but by then sessions may have ended."""

#: Every title that has not ended. Changed by single steps only, which no finaliser or fork finds half done.
_titles: set[Title] = set()


def note(title: Title) -> None:
    """Remember a title until it has ended."""
    _titles.add(title)
    # What was registered last runs first: before the channel that was opened last ends its session.
    atexit.unregister(_leave_all)
    atexit.register(_leave_all)


def forget(title: Title) -> None:
    """Forget a title that has ended; safe anywhere."""
    _titles.discard(title)


def is_owned_here(uri: str, key: str) -> bool:
    """Tell whether this process has a title to an object."""
    return any((title.factory.reference.uri, title.key) == (uri, key) for title in tuple(_titles))


def tell_moved(accepted: Title) -> None:
    """Tell the sender's title, if it is in this process too, what it would find out at its next look."""
    for title in tuple(_titles):
        if title is not accepted and title.key == accepted.key:
            title.lose_offered(accepted.factory.reference.uri)


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
    for title in tuple(_titles):
        later(_leave, title)
    flush(SHORT_EXIT)


if hasattr(os, "register_at_fork"):
    # What a child inherits is its parent's.
    os.register_at_fork(after_in_child=_titles.clear)
