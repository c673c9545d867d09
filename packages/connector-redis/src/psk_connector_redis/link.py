"""How do commands and answers cross one connection? By its socket itself, or by redis-py's public calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from psk.connectors import allocate
from psk_connector_redis.connection_socket import socket_of
from psk_connector_redis.public_link import PublicLink
from psk_connector_redis.socket_link import SocketLink, TlsLink

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk_connector_redis.connection_socket import RedisConnection
    from psk_connector_redis.resp import Buffer


class Link(Protocol):
    """A borrowed connection, used for one exchange at a time.

    Sending and receiving raise TimeoutError when the deadline (by `time.monotonic`) passes, and OSError or
    `redis.exceptions.RedisError` when the connection breaks. After either it is of no use any more.
    """

    def send(self, buffers: Sequence[Buffer], deadline: float) -> None:
        """Send packed commands, given as buffers that follow each other."""
        ...

    def reply(self, deadline: float) -> Any:
        """Return the next answer: bytes, a number, a list or None, or a `Refusal`, which is not raised."""
        ...

    def replies(self, count: int, deadline: float) -> list[Any]:
        """Return the next answers, each as `reply` does."""
        ...

    def reply_into(
        self,
        deadline: float,
        memory: Callable[[int], memoryview] = allocate,
        reach: Callable[[memoryview, int], None] | None = None,
    ) -> Any:
        """Return the next answer, which is expected to be a string.

        Args:
            deadline: When it must be here, whole.
            memory: Gives the memory for a long one, of exactly so many bytes.
            reach: Is told up to where that memory is filled, again and again.

        Returns:
            The string: as bytes if it is short, else in that memory. None if there is none; and what `reply`
            returns if it is no string.
        """
        ...

    def is_usable(self) -> bool:
        """Tell, without asking the server, whether the connection is open and no answer is due."""
        ...

    def fileno(self) -> int | None:
        """Return the descriptor that becomes readable when something arrives; None where that cannot be told."""
        ...

    def has_received(self) -> bool:
        """Tell whether something has arrived already that the descriptor says nothing of any more."""
        ...

    def close(self) -> None:
        """Close the connection; in a forked child, its copy of the descriptor alone."""
        ...


def link_over(connection: RedisConnection) -> Link:
    """Return a link over a connected connection of redis-py: over its socket where that is possible."""
    plain = socket_of(connection)
    if plain is None:
        return PublicLink(connection)
    return TlsLink(connection, plain) if hasattr(plain, "pending") else SocketLink(connection, plain)
