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
    from psk.secret_file import read_secret

_MODULES = {
    "Address": "psk.connectors.toolkit.network",
    "Borrowed": "psk.connectors.toolkit.pool",
    "Feed": "psk.connectors.toolkit.subscriber",
    "Listener": "psk.connectors.toolkit.subscriber",
    "LoopThread": "psk.connectors.toolkit.foreign",
    "Notice": "psk.connectors.toolkit.subscriber",
    "Patience": "psk.connectors.toolkit.retry",
    "PerProcess": "psk.connectors.toolkit.process",
    "Pool": "psk.connectors.toolkit.pool",
    "Pooled": "psk.connectors.toolkit.pool",
    "Settable": "psk.connectors.watching",
    "SimpleConnector": "psk.connectors.toolkit.simple",
    "Subscriber": "psk.connectors.toolkit.subscriber",
    "SubscriptionRefusedError": "psk.connectors.toolkit.subscriber",
    "Summing": "psk.connectors.toolkit.transfer",
    "ToldWatcher": "psk.connectors.watching",
    "Trouble": "psk.connectors.toolkit.retry",
    "WakePipe": "psk.connectors.waiting",
    "dismiss": "psk.connectors.toolkit.subscriber",
    "gather_send": "psk.connectors.toolkit.transfer",
    "read_secret": "psk.secret_file",
    "receive_into": "psk.connectors.toolkit.transfer",
    "seconds_left": "psk.connectors.toolkit.transfer",
    "tls_context": "psk.connectors.toolkit.network",
    "within": "psk.connectors.toolkit.foreign",
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

    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = import_target(f"{_MODULES[name]}:{name}")
    return found
