"""Check the arguments that several patterns take."""

from __future__ import annotations

from typing import Any

from psk import Store
from psk.connectors import shown
from psk.errors import InvalidArgumentError
from psk.store import Lifetime


def check_store(store: Any) -> Store:
    """Return the argument, if it is a store.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(store, Store):
        raise InvalidArgumentError(
            f"{shown(store)} is not a store", remedy="pass an open psk.Store, such as psk.Store.from_uri(uri)"
        )
    return store


def check_lifetime(lifetime: Any) -> Lifetime:
    """Return the argument, if it is a lifetime.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(lifetime, Lifetime):
        raise InvalidArgumentError(
            f"{shown(lifetime)} is not a lifetime",
            remedy="pass a ContextLifetime or a LeaseLifetime; for a number of seconds use ttl=",
        )
    return lifetime
