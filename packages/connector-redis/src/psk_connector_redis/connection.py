"""Exchange commands and answers over one connection, whose socket large payloads cross without being copied."""

from __future__ import annotations

import select
import socket
import ssl
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import hiredis

from psk.connectors import allocate
from psk.connectors.toolkit import gather_send, receive_into, seconds_left, tls_context, within
from psk_connector_redis.protocol import LONGEST_STRING, GarbledError, Refusal, UnexpectedError, accepted, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.toolkit import Address
    from psk_connector_redis.credentials import Credentials
    from psk_connector_redis.protocol import Buffer
    from psk_connector_redis.settings import Settings

LONGEST_HEAD: Final = 32
"""More bytes than precede a string: a dollar, its length and the end of the line."""

END: Final = b"\r\n"

_MOST_BYTES: Final = 64 * 1024  # of one system call; longer buffers are not joined
_LONGEST_WAIT: Final = 1_000_000.0  # seconds; the system takes no more than 2**31 milliseconds
_NOT_YET: Final = object()


class Connection:
    """One connection, used for one exchange at a time.

    Sending and receiving raise TimeoutError when the deadline (by `time.monotonic`) passes, and OSError when the
    connection breaks. After either it cannot be used any more.

    Args:
        connected: Its socket, with TLS or without.
    """

    __slots__ = ("__weakref__", "_is_tls", "_poller", "_reader", "_socket")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._is_tls = hasattr(connected, "pending")
        self._poller = select.poll()
        self._poller.register(connected, select.POLLIN)
        self._reader = hiredis.Reader(replyError=Refusal, notEnoughData=_NOT_YET)
        self._unblock()

    def send(self, buffers: Sequence[Buffer], deadline: float) -> None:
        """Send packed commands, given as buffers that follow each other."""
        if not self._is_tls and sum(map(len, buffers)) < _MOST_BYTES:
            if time.monotonic() >= deadline:
                raise TimeoutError
            packet = b"".join(buffers)
            try:
                sent = self._socket.send(packet)
            except BlockingIOError:
                sent = 0
            if sent == len(packet):
                return
            buffers = (packet[sent:],)
        gather_send(self._socket, buffers, deadline)
        self._unblock()

    def reply(self, deadline: float) -> Any:
        """Return the next answer: bytes, a number, a list or None, or a `Refusal`, which is not raised."""
        return self.replies(1, deadline)[0]

    def replies(self, count: int, deadline: float) -> list[Any]:
        """Return the next answers, each as `reply` does."""
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

    def reply_into(self, deadline: float) -> Any:
        """Return the next answer, which is expected to be a string and is read past the parser.

        Returns:
            The string: as bytes if it is short, else in private memory. None if there is none; and what `reply`
            returns if it is not a string.
        """
        if self._reader.has_data():
            return self.reply(deadline)
        received = self._receive(deadline)
        while (end := received.find(END, 0, LONGEST_HEAD)) < 0 and len(received) < LONGEST_HEAD:
            received += self._receive(deadline)
        length = _string_length(received[: end if end >= 0 else LONGEST_HEAD])
        if length is None:
            self._reader.feed(received)
            return self.reply(deadline)
        start = end + len(END)
        if length < 0:
            self._keep(received, start)
            return None
        if len(received) < start + length + len(END):
            return self._receive_rest(allocate(length), received[start:], deadline)
        self._end_string(received, start + length)
        return received[start : start + length]

    def string_into(self, view: memoryview, deadline: float) -> None:
        """Fill memory with the next answer.

        Raises:
            UnexpectedError: It is not a string of this length.
        """
        self._expect(b"$%d\r\n" % len(view), deadline)
        receive_into(self._socket, view, deadline)
        self._unblock()
        self._expect(END, deadline)

    def is_usable(self) -> bool:
        """Tell, without asking the server, whether the connection is open and no answer is due."""
        # What can be read is an answer that nobody expects, or the end.
        return not (self._reader.has_data() or self._poller.poll(0))

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something arrives."""
        return self._socket.fileno()

    def has_received(self) -> bool:
        """Tell whether something was read that no call has returned yet, perhaps the beginning of an answer."""
        return bool(self._reader.has_data())

    def take_in(self) -> None:
        """Read, without waiting, what has made the descriptor readable; nothing if it was a message of TLS itself."""
        self._socket.settimeout(0)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            self._reader.feed(_not_the_end(self._socket.recv(_MOST_BYTES)))

    def close(self) -> None:
        """Close the connection; in a forked child, its copy of the descriptor alone."""
        self._socket.close()

    forget = close

    def __del__(self) -> None:
        # A call that a signal handler cut short may have dropped it. A finaliser never raises.
        try:  # noqa: SIM105  at the interpreter's end `suppress` has gone with its module
            self._socket.close()
        except Exception:  # noqa: BLE001, S110  as above
            pass

    def _receive_rest(self, view: memoryview, received: bytes, deadline: float) -> memoryview:
        """Fill the memory of a string of which a part has arrived already."""
        length = len(view)
        filled = min(len(received), length)
        view[:filled] = received[:filled]
        receive_into(self._socket, view, deadline, filled=filled)
        self._unblock()
        received = received[filled:]
        while len(received) < len(END):
            received += self._receive(deadline)
        self._end_string(received, 0)
        return view

    def _end_string(self, received: bytes, stop: int) -> None:
        if received[stop : stop + len(END)] != END:
            raise GarbledError("a string is longer than was announced")
        self._keep(received, stop + len(END))

    def _keep(self, received: bytes, start: int) -> None:
        """Give the parser what came after a string: answers to the commands that were sent with its own."""
        if len(received) > start:
            self._reader.feed(received[start:])

    def _expect(self, expected: bytes, deadline: float) -> None:
        received = b""
        while received != expected:
            received += self._receive(deadline, len(expected) - len(received))
            if not expected.startswith(received):
                raise UnexpectedError

    def _receive(self, deadline: float, most: int = _MOST_BYTES) -> bytes:
        self._await_bytes(deadline)
        return _not_the_end(self._socket.recv(most))

    def _await_bytes(self, deadline: float) -> None:
        seconds = deadline - time.monotonic()
        if seconds > 0:
            if self._is_tls:
                self._socket.settimeout(seconds)
                return
            if self._poller.poll(min(seconds, _LONGEST_WAIT) * 1000):
                return
        raise TimeoutError

    def _unblock(self) -> None:
        """Let no call wait in the socket, unless it is one with TLS: short answers then need no timeout to be set."""
        if not self._is_tls:
            self._socket.setblocking(False)


def _not_the_end(received: bytes) -> bytes:
    if not received:
        raise ConnectionResetError("the server closed the connection")
    return received


def _string_length(head: bytes) -> int | None:
    """Return the length of the string that a head announces, -1 if there is none; None for any other kind of answer.

    Raises:
        GarbledError: It announces a string that no server stores.
    """
    digits = head[1:]
    if head[:1] == b"$" and digits.isdigit() and (length := int(digits)) <= LONGEST_STRING:
        return length
    if head in {b"$-1", b"_"}:
        return -1
    if not head.startswith(b"$"):
        return None
    raise GarbledError("an impossible length of a string was announced")


class Dialer:
    """Make and authenticate connections to the servers of one channel.

    Args:
        settings: How to connect.
        credentials: The user and the password.
        db: The database; 0 for sentinels, which have none.
    """

    __slots__ = ("_context", "_credentials", "_db", "_settings")

    def __init__(self, settings: Settings, credentials: Credentials, db: int) -> None:
        self._settings = settings
        self._credentials = credentials
        self._db = db
        self._context: ssl.SSLContext | None = None

    def dial(self, address: Address, deadline: float) -> Connection:
        """Return a new connection.

        Raises:
            OSError: The server does not answer; TimeoutError if not in time.
            Refusal: The server refuses the user or the database.
            ChannelUnavailableError: The environment does not allow a connection to this address.
        """
        self._credentials.check_host(address)
        settings = self._settings
        if settings.is_tls and self._context is None:
            self._context = tls_context(
                settings.describe(),
                ca=settings.ca,
                cert=settings.cert,
                key=settings.key,
                verify_host=settings.verify_host,
            )
        end = min(deadline, time.monotonic() + settings.connect_timeout)
        # A lookup of a host name, a frozen listener, a handshake that drips: each can outlast the socket's timeout.
        connect = partial(self._connect, address, end)
        return within(end, connect, discard=Connection.close)

    def _connect(self, address: Address, deadline: float) -> Connection:
        if address.is_socket:
            connected = socket.socket(socket.AF_UNIX)
        else:
            connected = socket.create_connection(address, seconds_left(deadline))
        try:
            if address.is_socket:
                connected.settimeout(seconds_left(deadline))
                connected.connect(address.host)
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connected.getpeername()  # one that was reset would be lost in `wrap_socket`, and not closed
                connected = self._context.wrap_socket(connected, server_hostname=address.host)
            connection = Connection(connected)
            if self._credentials.exist():
                self._demand(connection, deadline, "AUTH", *self._credentials.get_credentials())
            if self._db:
                self._demand(connection, deadline, "SELECT", str(self._db))
        except BaseException:
            connected.close()
            raise
        return connection

    @staticmethod
    def _demand(connection: Connection, deadline: float, *command: str) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # a server that hung up may have said why
            connection.send((pack(*(word.encode(errors="surrogateescape") for word in command)),), deadline)
        if accepted(connection.reply(deadline)) != b"OK":
            raise GarbledError("the login was not answered as a Redis server does")
