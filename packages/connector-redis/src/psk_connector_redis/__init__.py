"""Store objects of psk in Redis, Valkey and KeyDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk_connector_redis.connector import RedisConnector

__all__ = ["RedisConnector"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # A process that lists plug-ins imports this package too, and should not pay for the connector.
    if name == "RedisConnector":
        from psk_connector_redis.connector import RedisConnector

        return RedisConnector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
