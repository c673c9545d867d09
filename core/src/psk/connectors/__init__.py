"""What moves payloads? Connectors: the contract they keep, the powers they may have, the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors.catalog import find_connector, join_connector, open_connector
from psk.connectors.claim import check_claim
from psk.connectors.contract import DEFAULT_TIMEOUT, DURABILITIES, Connector, ContextManaged, Rebuilding
from psk.connectors.deadline import check_timeout, check_ttl, deadline_after, deadline_error
from psk.connectors.key import Key, check_object_id, key_of, listed, shown, validate_key, validate_plain_key
from psk.connectors.options import as_count, as_flag, as_seconds, as_text, read_options
from psk.connectors.polling import poll
from psk.connectors.ranges import check_range
from psk.connectors.sameness import holds
from psk.connectors.uri import format_uri, parse_uri
from psk.plugins.importing import on_demand
from psk.wire import Frames, Payload
from psk.wire.memory import allocate

if TYPE_CHECKING:
    from psk.connectors.capabilities import (
        CAPABILITIES,
        Allocation,
        SupportsAllocate,
        SupportsAsync,
        SupportsBatch,
        SupportsExpiry,
        SupportsList,
        SupportsRange,
        SupportsReserve,
        SupportsSwap,
        SupportsTake,
        SupportsWait,
        SupportsWatch,
        Watcher,
        capabilities_of,
    )

__all__ = [
    "CAPABILITIES",
    "DEFAULT_TIMEOUT",
    "DURABILITIES",
    "Allocation",
    "Connector",
    "ContextManaged",
    "Frames",
    "Key",
    "Payload",
    "Rebuilding",
    "SupportsAllocate",
    "SupportsAsync",
    "SupportsBatch",
    "SupportsExpiry",
    "SupportsList",
    "SupportsRange",
    "SupportsReserve",
    "SupportsSwap",
    "SupportsTake",
    "SupportsWait",
    "SupportsWatch",
    "Watcher",
    "allocate",
    "as_count",
    "as_flag",
    "as_seconds",
    "as_text",
    "capabilities_of",
    "check_claim",
    "check_object_id",
    "check_range",
    "check_timeout",
    "check_ttl",
    "deadline_after",
    "deadline_error",
    "find_connector",
    "format_uri",
    "holds",
    "join_connector",
    "key_of",
    "listed",
    "open_connector",
    "parse_uri",
    "poll",
    "read_options",
    "shown",
    "validate_key",
    "validate_plain_key",
]


def __getattr__(name: str) -> Any:
    # The protocols cost as much to import as everything else here, and put and get need none of them.
    if name in __all__:
        with on_demand:
            from psk.connectors import capabilities

        return getattr(capabilities, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
