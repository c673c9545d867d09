"""Move payloads through channels: the contract of connectors, their capabilities, and the built-in ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors.arguments import (
    DEFAULT_TIMEOUT,
    DURABILITIES,
    Key,
    check_claim,
    check_object_id,
    check_range,
    check_timeout,
    check_ttl,
    deadline_after,
    deadline_error,
    key_of,
    listed,
    shown,
    validate_key,
    validate_plain_key,
)
from psk.connectors.catalog import find_connector, join_connector, open_connector
from psk.connectors.config import as_count, as_flag, as_seconds, as_text, format_uri, parse_uri, read_options
from psk.connectors.duties import (
    HEADER_BYTES,
    ContextManaged,
    Finalised,
    Rebuilding,
    Reserving,
    has_checksum,
    is_same_payload,
)
from psk.connectors.waiting import Wake, poll
from psk.plugins.importing import on_demand
from psk.wire import Frames, Payload, allocate

if TYPE_CHECKING:
    from psk.connectors.contract import (
        CAPABILITIES,
        Allocation,
        Connector,
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
    "HEADER_BYTES",
    "Allocation",
    "Connector",
    "ContextManaged",
    "Finalised",
    "Frames",
    "Key",
    "Payload",
    "Rebuilding",
    "Reserving",
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
    "Wake",
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
    "has_checksum",
    "is_same_payload",
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
            from psk.connectors import contract

        return getattr(contract, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
