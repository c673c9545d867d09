"""Which connector serves a scheme? A table of built-ins, each loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from psk.connectors.key import shown
from psk.connectors.uri import parse_uri
from psk.errors import UnknownConnectorError

if TYPE_CHECKING:
    from psk.connectors.contract import Connector

BUILT_IN = {
    "file": ("psk.connectors.file", "FileConnector"),
    "local": ("psk.connectors.local", "LocalConnector"),
    "multi": ("psk.connectors.multi", "MultiConnector"),
    "shm": ("psk.connectors.shm", "ShmConnector"),
}
"""Where the class of each built-in scheme is; nothing that a proxy says is ever imported by name."""

FIRST_PARTY = {
    "daos": "psk-connector-daos",
    "endpoint": "psk-connector-endpoint",
    "globus": "psk-connector-globus",
    "keydb": "psk-connector-redis",
    "keydbs": "psk-connector-redis",
    "margo": "psk-connector-margo",
    "redis": "psk-connector-redis",
    "rediss": "psk-connector-redis",
    "ucx": "psk-connector-ucx",
    "valkey": "psk-connector-redis",
    "valkeys": "psk-connector-redis",
    "zmq": "psk-connector-zmq",
}
"""Which of our own distributions serves a scheme; only these are ever recommended for installation."""


def find_connector(scheme: str) -> type[Connector]:
    """Return the connector class that serves a scheme.

    Raises:
        UnknownConnectorError: None does here; lists the schemes there are, and what to install if one of our
            own distributions serves it.
    """
    place = BUILT_IN.get(scheme) if isinstance(scheme, str) else None
    if place is None:
        distribution = FIRST_PARTY.get(scheme) if isinstance(scheme, str) else None
        raise UnknownConnectorError(
            f"no connector for {shown(scheme)} here",
            remedy=f"pip install {distribution}" if distribution else "use one of the schemes found",
            found=sorted(BUILT_IN),
        )
    module, name = place
    return cast("type[Connector]", getattr(import_module(module), name))


def open_connector(uri: str) -> Connector:
    """Open the connector that a URI describes.

    Raises:
        ConnectorConfigError: The URI or one of its options makes no sense.
        UnknownConnectorError: No connector serves its scheme here.
    """
    config = parse_uri(uri)
    return find_connector(str(config["scheme"])).from_config(config)
