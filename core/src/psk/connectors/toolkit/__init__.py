"""Offer authors of connectors what clients of servers need."""

from __future__ import annotations

from psk.connectors.toolkit.foreign import LoopThread, PerProcess, within
from psk.connectors.toolkit.network import Address, tls_context
from psk.connectors.toolkit.pool import Borrowed, Pool, Pooled
from psk.connectors.toolkit.retry import Patience, Trouble
from psk.connectors.toolkit.simple import SimpleConnector
from psk.connectors.toolkit.subscriber import Feed, Listener, Notice, Subscriber, SubscriptionRefusedError
from psk.connectors.toolkit.transfer import Summing, gather_send, receive_into, seconds_left
from psk.connectors.waiting import WakePipe
from psk.connectors.watching import Settable, ToldWatcher
from psk.credentials import read_secret

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
    "gather_send",
    "read_secret",
    "receive_into",
    "seconds_left",
    "tls_context",
    "within",
]
