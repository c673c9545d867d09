"""Owners and borrowers of stored objects: the object is evicted when its owner is gone."""

from __future__ import annotations

from psk_patterns.ownership.operations import (
    accept,
    borrow,
    clone,
    into_owned,
    mark_refs_out_of_scope,
    mut_borrow,
    owned_proxy,
    release,
    submit,
    update,
    withdraw,
)
from psk_patterns.ownership.proxies import (
    OwnedProxy,
    RefMutProxy,
    RefProxy,
    is_borrowed,
    is_owned,
    restore_borrowed,
    restore_owned,
)

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
