"""Where is the socket of a redis-py connection? The one place that looks behind its public interface.

redis-py copies what it sends and receives two to three times; the socket itself takes and fills memory as it lies.
`tests/test_private_socket.py` fails when a release of redis-py moves what is used here.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Final, Protocol

import redis

if TYPE_CHECKING:
    from collections.abc import Sequence

TESTED: Final = range(8, 9)
"""Major versions of redis-py that keep the socket where we look; of any other only the public calls are used."""


class RedisConnection(Protocol):
    """What we call of a connection of redis-py, all of it public."""

    def connect(self) -> None:
        """Connect and authenticate."""
        ...

    def disconnect(self) -> None:
        """Close; in a forked child, its copy of the descriptor alone."""
        ...

    def can_read(self, timeout: float = 0) -> bool:
        """Tell whether something is there to be read; raise if it is the end."""
        ...

    def send_packed_command(self, command: Sequence[Any], check_health: bool = True) -> None:
        """Send buffers as they are."""
        ...

    def read_response(self, disable_decoding: bool = False, *, timeout: Any = ...) -> Any:
        """Return the next answer, or raise what the server says."""
        ...


def socket_of(connection: RedisConnection) -> socket.socket | None:
    """Return the socket of a connected connection, TLS included; None where it cannot be used directly."""
    if int(redis.__version__.partition(".")[0]) not in TESTED:
        return None
    found = getattr(connection, "_sock", None)
    return found if isinstance(found, socket.socket) else None
