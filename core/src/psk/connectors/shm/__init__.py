"""Objects in shared memory, for the processes of one host."""

from psk.connectors.shm.connector import ShmConnector
from psk.connectors.shm.liveness import sweep

__all__ = ["ShmConnector", "sweep"]
