"""Which hooks may a plug-in implement, and what are they called with? Version 1.

An implementation is a module's function of the same name, marked with `psk.hookimpl`. It may leave out arguments
that it does not need; later versions of psk add hooks and arguments, and take none away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.plugins.marker import hookspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psk.plugins.descriptions import CodecPlugin, CommandPlugin, ConnectorPlugin

VERSION = 1
OBSERVER_HOOKS = ("psk_after_put", "psk_after_get", "psk_after_evict", "psk_after_resolve")


@hookspec
def psk_connectors() -> Iterable[ConnectorPlugin]:
    """Describe the connectors that this plug-in brings."""
    return ()


@hookspec
def psk_codecs() -> Iterable[CodecPlugin]:
    """Describe the codecs that this plug-in brings."""
    return ()


@hookspec
def psk_commands() -> Iterable[CommandPlugin]:
    """Describe the commands that this plug-in adds to the program `psk`."""
    return ()


@hookspec
def psk_after_put(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Hear that an object was stored.

    Args:
        store: The store's name.
        key: The object's key.
        nbytes: Bytes of its payload.
        seconds: How long the call took as a whole; each object of a batch gets an equal share.
    """


@hookspec
def psk_after_get(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Hear that an object was asked for by its key, arguments as of `psk_after_put`.

    `nbytes` is what moved: 0 if the store had the object at hand, or the channel had none.
    """


@hookspec
def psk_after_evict(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Hear that an object was evicted by its key; `nbytes` is 0, arguments as of `psk_after_put`."""


@hookspec
def psk_after_resolve(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Hear that a proxy was resolved, arguments as of `psk_after_get`."""
