"""How do objects move within one process? Through a named space of its memory, the reference channel."""

from psk.connectors.local.connector import LocalConnector

__all__ = ["LocalConnector"]
