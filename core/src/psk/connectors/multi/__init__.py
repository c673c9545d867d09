"""Use several channels as one: each object goes to the first whose policy takes it."""

from psk.connectors.multi.connector import MultiConnector
from psk.connectors.multi.policy import Policy

__all__ = ["MultiConnector", "Policy"]
