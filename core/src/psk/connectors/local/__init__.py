"""Move objects within one process, through a named space of its memory."""

from psk.connectors.local.connector import LocalConnector

__all__ = ["LocalConnector"]
