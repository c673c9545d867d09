"""What may be believed of an owner or borrower that arrives in a pickle? Only what goes through a StoreFactory."""

from __future__ import annotations

from typing import Any

from psk.connectors import check_ttl, validate_key
from psk.errors import PskError
from psk.store import StoreFactory
from psk_patterns.errors import ReferenceInvalidError
from psk_patterns.ownership.loan import SentLoan
from psk_patterns.ownership.offer import Offer
from psk_patterns.ownership.title import Title


def arrived_title(
    factory: Any = None, notice: Any = None, sign: Any = None, ttl: Any = None, window: Any = None
) -> Title:
    """Make the title of an owned proxy that arrived; nothing is opened yet.

    Args:
        factory: Fetches the object.
        notice: Fetches the offer.
        sign: Fetches the verdict.
        ttl: Seconds of a lease.
        window: Seconds of an offer.

    Raises:
        ReferenceInvalidError: It is damaged or forged.
    """
    parts = factory, notice, sign
    if not all(type(part) is StoreFactory for part in parts):
        _refuse("its parts are not references")
    if len({(part.reference.uri, part.reference.signed_by) for part in parts}) != 1:
        _refuse("its parts are not references into one channel, signed by one")
    try:
        ttl, window = check_ttl(ttl), check_ttl(window)
    except PskError as error:
        _refuse(str(error))
    offer = Offer(factory.reference.key, notice, sign, reach=window + 2 * ttl, window=window)
    return Title(factory, ttl=ttl, window=window, offer=offer)


def arrived_loan(factory: Any = None, lease: Any = None, revision: Any = None, link: Any = None) -> SentLoan:
    """Make the loan of a borrowed proxy that arrived; nothing is opened yet.

    Args:
        factory: Fetches the object.
        lease: Seconds for which a new version is put, or None.
        revision: The object's revision, or None.
        link: The key under which a new version is announced, or None.

    Raises:
        ReferenceInvalidError: It is damaged or forged.
    """
    if type(factory) is not StoreFactory or not (revision is None or type(revision) is int):
        _refuse("it has no reference to an object, or a revision that is no number")
    try:
        lease = None if lease is None else check_ttl(lease)
        link = None if link is None else validate_key(link)
    except PskError as error:
        _refuse(str(error))
    return SentLoan(factory, lease, revision, link)


def _refuse(why: str) -> None:
    raise ReferenceInvalidError(
        f"an owned or borrowed proxy that arrived cannot be read: {why}",
        remedy="it was damaged or forged, or made by another version of psk-patterns",
    )
