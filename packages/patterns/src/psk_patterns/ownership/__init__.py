"""Which names make up ownership? Owners and borrowers of objects, and what each of them may do."""

from __future__ import annotations

from psk_patterns.ownership.lending import borrow, mark_refs_out_of_scope, mut_borrow
from psk_patterns.ownership.owning import accept, clone, into_owned, owned_proxy, release, withdraw
from psk_patterns.ownership.proxies import (
    OwnedProxy,
    RefMutProxy,
    RefProxy,
    is_borrowed,
    is_owned,
    restore_borrowed,
    restore_owned,
)
from psk_patterns.ownership.scopes import submit
from psk_patterns.ownership.updating import update

__all__ = [
    "OwnedProxy",
    "RefMutProxy",
    "RefProxy",
    "accept",
    "borrow",
    "clone",
    "into_owned",
    "is_borrowed",
    "is_owned",
    "mark_refs_out_of_scope",
    "mut_borrow",
    "owned_proxy",
    "release",
    "restore_borrowed",
    "restore_owned",
    "submit",
    "update",
    "withdraw",
]
