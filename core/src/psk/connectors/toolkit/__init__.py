"""Offer authors of connectors what clients of servers need; each name is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk.connectors.toolkit.foreign import LoopThread, within
    from psk.connectors.toolkit.network import Address, tls_context
    from psk.connectors.toolkit.pool import Borrowed, Pool, Pooled
    from psk.connectors.toolkit.process import PerProcess
    from psk.connectors.toolkit.retry import Patience, Trouble
    from psk.connectors.toolkit.simple import SimpleConnector
    from psk.connectors.toolkit.subscriber import (
        Feed,
        Listener,
        Notice,
        Subscriber,
        SubscriptionRefusedError,
        dismiss,
    )
    from psk.connectors.toolkit.transfer import Summing, gather_send, receive_into, seconds_left
    from psk.connectors.waiting import WakePipe
    from psk.connectors.watching import Settable, ToldWatcher
    from psk.credentials import read_secret

_NAMES = {
    "psk.connectors.toolkit.foreign": ("LoopThread", "within"),
    "psk.connectors.toolkit.network": ("Address", "tls_context"),
    "psk.connectors.toolkit.pool": ("Borrowed", "Pool", "Pooled"),
    "psk.connectors.toolkit.process": ("PerProcess",),
    "psk.connectors.toolkit.retry": ("Patience", "Trouble"),
    "psk.connectors.toolkit.simple": ("SimpleConnector",),
    "psk.connectors.toolkit.subscriber": (
        "Feed",
        "Listener",
        "Notice",
        "Subscriber",
        "SubscriptionRefusedError",
        "dismiss",
    ),
    "psk.connectors.toolkit.transfer": ("Summing", "gather_send", "receive_into", "seconds_left"),
    "psk.connectors.waiting": ("WakePipe",),
    "psk.connectors.watching": ("Settable", "ToldWatcher"),
    "psk.credentials": ("read_secret",),
}

__all__ = [
    "Address",
    "Borrowed",
    "Feed",
    "Listener",
    "LoopThread",
    "Notice",
    "Patience",
    "PerProcess",
    "Pool",
    "Pooled",
    "Settable",
    "SimpleConnector",
    "Subscriber",
    "SubscriptionRefusedError",
    "Summing",
    "ToldWatcher",
    "Trouble",
    "WakePipe",
    "dismiss",
    "gather_send",
    "read_secret",
    "receive_into",
    "seconds_left",
    "tls_context",
    "within",
]


def __getattr__(name: str) -> Any:
    from psk.plugins.importing import import_target

    for module, names in _NAMES.items():
        if name in names:
            found = globals()[name] = import_target(f"{module}:{name}")
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
