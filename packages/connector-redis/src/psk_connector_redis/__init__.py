"""What makes Redis, Valkey and KeyDB channels of psk? One connector, opened by their URIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk_connector_redis.connector import RedisConnector

__all__ = ["RedisConnector"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Whoever lists plug-ins imports this package too, and should not pay for redis-py.
    if name == "RedisConnector":
        from psk_connector_redis.connector import RedisConnector

        return RedisConnector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
