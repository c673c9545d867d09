"""What moves payloads? Connectors: the contract they keep, the powers they may have, the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors.catalog import find_connector, open_connector
from psk.connectors.contract import DEFAULT_TIMEOUT, DURABILITIES, Connector
from psk.connectors.key import Key, validate_key
from psk.connectors.uri import format_uri, parse_uri
from psk.wire import Frames, Payload
from psk.wire.memory import allocate

if TYPE_CHECKING:
    from psk.connectors.capabilities import (
        CAPABILITIES,
        SupportsAsync,
        SupportsBatch,
        SupportsExpiry,
        SupportsList,
        SupportsRange,
        SupportsReserve,
        SupportsSwap,
        SupportsTake,
        SupportsWait,
    )

__all__ = [
    "CAPABILITIES",
    "DEFAULT_TIMEOUT",
    "DURABILITIES",
    "Connector",
    "Frames",
    "Key",
    "Payload",
    "SupportsAsync",
    "SupportsBatch",
    "SupportsExpiry",
    "SupportsList",
    "SupportsRange",
    "SupportsReserve",
    "SupportsSwap",
    "SupportsTake",
    "SupportsWait",
    "allocate",
    "find_connector",
    "format_uri",
    "open_connector",
    "parse_uri",
    "validate_key",
]


def __getattr__(name: str) -> Any:
    # The protocols cost as much to build as all else here, and whoever puts and gets never asks for one.
    if name in __all__:
        from psk.connectors import capabilities

        return getattr(capabilities, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
