"""Checks of the arguments that many patterns take."""

from __future__ import annotations

from typing import Any

from psk import Store
from psk.connectors import shown
from psk.errors import InvalidArgumentError
from psk.store import Lifetime


def check_store(store: Any) -> Store:
    """Give a store back.

    Raises:
        InvalidArgumentError: It is none.
    """
    if not isinstance(store, Store):
        raise InvalidArgumentError(
            f"{shown(store)} is not a store", remedy="pass an open psk.Store, such as psk.Store.from_uri(uri)"
        )
    return store


def check_lifetime(lifetime: Any) -> Lifetime:
    """Give a lifetime back.

    Raises:
        InvalidArgumentError: It is none.
    """
    if not isinstance(lifetime, Lifetime):
        raise InvalidArgumentError(
            f"{shown(lifetime)} is not a lifetime",
            remedy="pass a ContextLifetime or a LeaseLifetime; for a number of seconds there is ttl=",
        )
    return lifetime
