"""How does a title keep up with the versions of its object? Each takes the place of the one before it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from psk import get_factory
from psk.errors import PskError
from psk_patterns.leases import reopened
from psk_patterns.ownership import chain, living

if TYPE_CHECKING:
    from psk import Store
    from psk_patterns.ownership.title import Title


def adopt(title: Title, store: Store, key: str) -> None:
    """Let a new version take the place of the object; the title's lock is held.

    Args:
        title: The title.
        store: Where the version is, open.
        key: Its key, which may be that of the version before.
    """
    before, hold = title.key, title.hold
    made: Any = get_factory(store.proxy_from_key(key, deserializer=title.factory.deserializer))
    if key == before:
        title.factory = made
        return
    if hold is not None:
        hold.add(key, guard=partial(title.is_wanted, key))
    title.factory = made
    living.note(title)
    if hold is not None:
        hold.discard(before)
    with suppress(PskError):  # it expires
        store.evict(before)


def follow(title: Title) -> None:
    """Find out what the borrower of a mutable loan that travelled has written; the title's lock is held.

    Raises:
        PskError: The channel failed; ask again.
    """
    if title.link is None:
        return
    with reopened(title.store) as store:
        while title.link is not None:
            written = chain.follow(store, title.link)
            if written is not None:
                _take_version(title, store, *written)
            elif title.loans.writer is not None:
                return  # there may be more to come
            elif chain.end(store, title.link, title.ttl):
                title.link = None


def _take_version(title: Title, store: Store, key: str, following: str) -> None:
    link, title.link = title.link, following
    if title.hold is not None and not store.renew(key, title.ttl):
        title.link = None
        title.end("the version that its borrower wrote is gone")
        return
    adopt(title, store, key)
    if link is not None:
        with suppress(PskError):  # it expires
            store.evict(link)
