"""How do objects move through a directory? One file each, placed whole, on any file system."""

from psk.connectors.file.connector import FileConnector

__all__ = ["FileConnector"]
