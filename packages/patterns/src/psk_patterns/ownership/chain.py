"""How does an owner learn what a borrower far away has written, where a channel cannot swap? From link to link.

A link is a reserved key. The borrower puts each new version under a key of its own and says under the link: which key,
and which link comes next. The owner follows, keeps the last version alive, and evicts what came before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.connectors import SupportsExpiry, SupportsReserve
from psk.errors import CapabilityError, KeyExistsError
from psk_patterns.errors import ReferenceInvalidError

if TYPE_CHECKING:
    from psk import Store

#: What an owner says under the last link, so that nobody adds another.
ENDED: Final = "ended"


def first_link(store: Store, key: str) -> str:
    """Name the first link of a borrow.

    Raises:
        CapabilityError: The channel cannot reserve keys.
    """
    if not store.supports(SupportsReserve):
        raise CapabilityError(
            f"the mutable borrow of object {key} of store {store.name!r} cannot travel: channel "
            f"{store.connector.scheme!r} has neither SupportsSwap nor SupportsReserve",
            remedy="send borrow(owner), have the new version returned, and update(owner) with it",
        )
    return store.reserve()


def add_version(store: Store, link: str, obj: object, *, ttl: float | None, serializer: object) -> tuple[str, str]:
    """Put a new version and say so under the link.

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
            f"the new version cannot be stored in {store.name!r}: the borrow under {link} has ended, or a copy of it "
            "was used to update",
            remedy="borrow anew from the owner",
        ) from error
    return key, following


def follow(store: Store, link: str) -> tuple[str, str] | None:
    """Give the version's key and the next link of what was said under a link, or None if nothing was."""
    said = store.get(link)
    if not isinstance(said, str) or " " not in said:
        return None
    key, _, following = said.partition(" ")
    return key, following


def end(store: Store, link: str, ttl: float) -> bool:
    """Keep borrowers from adding to a link; False if one just did."""
    if not store.supports(SupportsExpiry):
        return True  # what is written there would stay for ever
    try:
        store.fulfil(link, ENDED, ttl=ttl)
    except KeyExistsError:
        return bool(store.get(link) == ENDED)
    return True
