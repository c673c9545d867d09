"""Objects in shared memory, for the processes of one host."""

from psk.connectors.shm.connector import ShmConnector
from psk.connectors.shm.liveness import is_alive, sweep
from psk.connectors.shm.segments import may_be_file_of

__all__ = ["ShmConnector", "is_alive", "may_be_file_of", "sweep"]
