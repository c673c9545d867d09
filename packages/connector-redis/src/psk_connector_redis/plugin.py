"""Describe the connector to psk by strings only; its modules are imported when a channel is opened."""

from __future__ import annotations

from psk.plugins import ConnectorPlugin, hookimpl


@hookimpl
def psk_connectors() -> list[ConnectorPlugin]:
    """Describe the one connector of all schemes."""
    return [
        ConnectorPlugin(
            schemes=[
                *("redis", "rediss", "redis+unix"),
                *("valkey", "valkeys", "valkey+unix"),
                *("keydb", "keydbs", "keydb+unix"),
            ],
            target="psk_connector_redis.connector:RedisConnector",
            summary="Redis, Valkey or KeyDB: alone, as a cluster, or behind sentinels",
            uri="{scheme}://{user}@{host}:{port}/{db}{?prefix,cluster,sentinel,durability,timeout,connect_timeout,"
            "connections,retries,credentials,ca,cert,key,verify_host}",
        )
    ]
