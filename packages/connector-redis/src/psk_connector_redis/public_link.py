"""How do commands and answers cross a connection whose socket is out of reach? By redis-py's public calls, slower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions

from psk_connector_redis.refusal import Refusal
from psk_connector_redis.socket_link import left

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk_connector_redis.connection_socket import RedisConnection
    from psk_connector_redis.resp import Buffer


class PublicLink:
    """Speak by `send_packed_command` and `read_response`; see `Link`.

    The deadline holds for each step of redis-py by itself, so a server that sends a byte now and then can outlast it.

    Args:
        connection: Connected, with no answer due.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    def send(self, buffers: Sequence[Buffer], deadline: float) -> None:
        """Send the buffers one by one."""
        left(deadline)
        self._connection.send_packed_command(list(buffers), check_health=False)

    def reply(self, deadline: float) -> Any:
        """Return the next answer."""
        try:
            return self._connection.read_response(disable_decoding=True, timeout=left(deadline))
        except exceptions.ResponseError as error:
            return Refusal.of(error)
        except exceptions.TimeoutError:
            raise TimeoutError from None

    def replies(self, count: int, deadline: float) -> list[Any]:
        """Return the next answers."""
        return [self.reply(deadline) for _ in range(count)]

    def reply_into(
        self,
        deadline: float,
        memory: Callable[[int], memoryview] | None = None,
        reach: Callable[[memoryview, int], None] | None = None,  # noqa: ARG002  all of it comes at once
    ) -> Any:
        """Return the next answer, which redis-py has copied already."""
        answer = self.reply(deadline)
        if memory is None or type(answer) is not bytes:
            return answer
        view = memory(len(answer))
        view[:] = answer
        return view

    def is_usable(self) -> bool:
        """Tell whether the connection is open and silent."""
        try:
            return not self._connection.can_read(0)
        except exceptions.ConnectionError:
            return False

    def fileno(self) -> int | None:
        """Return None: only redis-py knows."""
        return None

    def has_received(self) -> bool:
        """Tell whether something has arrived."""
        return not self.is_usable()

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()
