"""How do large payloads cross a socket without being copied in between? Sent as they lie, received where they stay."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any, Final

import hiredis

from psk.connectors import allocate
from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.resp import LONGEST_HEAD, joined, string_length

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from psk_connector_redis.connection_socket import RedisConnection
    from psk_connector_redis.resp import Buffer

_RECEIVED_BYTES: Final = 64 * 1024
_END: Final = b"\r\n"
_NOT_YET: Final = object()


class SocketLink:
    """Speak over the socket of a connection; see `Link`.

    Args:
        connection: Connected, with no answer due; stays in charge of closing.
        plain: Its socket, whose timeout changes with each step: no peer that drips outlasts a deadline.
    """

    __slots__ = ("_connection", "_reader", "_socket")

    def __init__(self, connection: RedisConnection, plain: socket.socket) -> None:
        self._connection = connection
        self._socket = plain
        self._reader = hiredis.Reader(replyError=Refusal, notEnoughData=_NOT_YET)

    def send(self, buffers: Sequence[Buffer], deadline: float) -> None:
        """Send the buffers, short ones together."""
        for piece in joined(buffers):
            self._send_piece(piece, deadline)

    def reply(self, deadline: float) -> Any:
        """Return the next answer."""
        return self.replies(1, deadline)[0]

    def replies(self, count: int, deadline: float) -> list[Any]:
        """Return the next answers."""
        reader = self._reader
        answers: list[Any] = []
        try:
            while len(answers) < count:
                answer = reader.gets()
                if answer is _NOT_YET:
                    reader.feed(self._receive(deadline))
                elif type(answer) is not hiredis.PushNotification:  # nobody asked for it
                    answers.append(answer)
        except hiredis.ProtocolError as error:
            raise GarbledError(str(error)) from None
        return answers

    def reply_into(
        self,
        deadline: float,
        memory: Callable[[int], memoryview] = allocate,
        reach: Callable[[memoryview, int], None] | None = None,
    ) -> Any:
        """Return the next answer, read past the parser where it is a string."""
        if self._reader.has_data():
            return self.reply(deadline)
        received = self._receive(deadline)
        while (end := received.find(_END, 0, LONGEST_HEAD)) < 0 and len(received) < LONGEST_HEAD:
            received += self._receive(deadline)
        length = string_length(received[: end if end >= 0 else LONGEST_HEAD])
        if length is None:
            self._reader.feed(received)
            return self.reply(deadline)
        start = end + len(_END)
        if length < 0:
            self._keep(received, start)
            return None
        if len(received) < start + length + len(_END):
            return self._receive_rest(memory(length), received[start:], deadline, reach)
        self._end_string(received, start + length)
        return received[start : start + length]

    def is_usable(self) -> bool:
        """Tell whether the connection is open and silent."""
        if self._reader.has_data():
            return False
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return not poller.poll(0)  # what can be read is an answer that nobody expects, or the end

    def fileno(self) -> int | None:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def has_received(self) -> bool:
        """Tell whether the parser holds something."""
        return bool(self._reader.has_data())

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _receive_rest(
        self,
        view: memoryview,
        received: bytes,
        deadline: float,
        reach: Callable[[memoryview, int], None] | None,
    ) -> memoryview:
        """Fill the memory of a string of which a part is here already."""
        length = len(view)
        filled = min(len(received), length)
        view[:filled] = received[:filled]
        received = received[filled:]
        plain = self._socket
        while filled < length:
            plain.settimeout(left(deadline))
            count = plain.recv_into(view[filled:])
            if not count:
                raise _ended()
            filled += count
            if reach is not None:
                reach(view, filled)
        while len(received) < len(_END):
            received += self._receive(deadline)
        self._end_string(received, 0)
        return view

    def _end_string(self, received: bytes, stop: int) -> None:
        if received[stop : stop + len(_END)] != _END:
            raise GarbledError("a string is longer than was announced")
        self._keep(received, stop + len(_END))

    def _keep(self, received: bytes, start: int) -> None:
        """Let the parser have what came after a string: answers to the commands that were sent with its own."""
        if len(received) > start:
            self._reader.feed(received[start:])

    def _receive(self, deadline: float) -> bytes:
        plain = self._socket
        plain.settimeout(left(deadline))
        received = plain.recv(_RECEIVED_BYTES)
        if not received:
            raise _ended()
        return received

    def _send_piece(self, piece: Buffer, deadline: float) -> None:
        self._socket.settimeout(left(deadline))
        self._socket.sendall(piece)  # its timeout is for the whole


class TlsLink(SocketLink):
    """Speak over a socket that encrypts, whose timeout is for each of its records by itself."""

    __slots__ = ()

    def has_received(self) -> bool:
        """Tell whether the parser, or TLS before it, holds something."""
        return super().has_received() or self._socket.pending() > 0  # type: ignore[attr-defined]  # TLS sockets have it

    def _send_piece(self, piece: Buffer, deadline: float) -> None:
        view = memoryview(piece)
        while view:
            self._socket.settimeout(left(deadline))
            view = view[self._socket.send(view) :]


def left(deadline: float) -> float:
    """Return the seconds that are left, more than 0.

    Raises:
        TimeoutError: None are.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _ended() -> ConnectionError:
    return ConnectionResetError("the server closed the connection")
