"""How do objects move between the processes of one host? Through segments of shared memory, mapped, not copied."""

from psk.connectors.shm.connector import ShmConnector
from psk.connectors.shm.sweep import sweep

__all__ = ["ShmConnector", "sweep"]
