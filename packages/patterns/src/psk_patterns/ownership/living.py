"""What does this process own, and what becomes of that when it ends?"""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Final

from psk_patterns.finishing import flush, later

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


def _leave_all() -> None:
    for title in tuple(_titles):
        later(title.leave)
    flush(SHORT_EXIT)


if hasattr(os, "register_at_fork"):
    # What a child inherits is its parent's.
    os.register_at_fork(after_in_child=_titles.clear)
