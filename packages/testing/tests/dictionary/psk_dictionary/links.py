"""Connections to the server, kept open and each used by one call at a time."""

import contextlib
import os
import socket
import threading
import time

from psk.connectors import deadline_error
from psk.errors import ChannelUnavailableError, ConnectorClosedError
from psk_dictionary.messages import packed, received


class Links:
    """Keep connections to one server.

    Args:
        address: `(host, port)`.
    """

    def __init__(self, address):
        self.address = address
        self.name = "dict://{}:{}".format(*address)
        self.lock = threading.Lock()
        self.idle, self.busy = [], set()
        self.closed = False
        self.pid = os.getpid()

    def ask(self, head, deadline, buffers=()):
        """Send a question within the deadline and give the answer: a text and bytes."""
        while True:
            link, is_new = self.borrow(deadline)
            try:
                answer = self.exchange(link, [packed(head, buffers), *buffers], deadline)
            except TimeoutError:
                self.drop(link)
                raise deadline_error(f"{self.name} was asked to {head['do']}") from None
            except OSError as error:
                self.drop(link)
                if self.closed:
                    raise self.closed_error() from None
                if not is_new:  # the server may have gone and come back since this connection was used
                    continue
                raise ChannelUnavailableError(
                    f"{self.name} did not {head['do']}: {error}", remedy="see whether the server runs"
                ) from error
            except BaseException:
                self.drop(link)
                raise
            self.give_back(link)
            return answer

    def exchange(self, link, parts, deadline):
        def left():
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise TimeoutError
            link.settimeout(seconds)

        def read(most):
            left()
            if not (data := link.recv(most)):
                raise ConnectionError("the server closed the connection")
            return data

        for part in parts:
            left()
            link.sendall(part)
        head, body = received(read)
        return str(head.get("said")), body

    def borrow(self, deadline):
        with self.lock:
            if self.pid != os.getpid():  # a forked child: these connections are its parent's
                self.idle, self.busy, self.pid = [], set(), os.getpid()
            if self.closed:
                raise self.closed_error()
            if self.idle:
                link = self.idle.pop()
                self.busy.add(link)
                return link, False
        seconds = max(1e-6, deadline - time.monotonic())
        try:
            link = socket.create_connection(self.address, timeout=seconds)
        except TimeoutError:
            raise deadline_error(f"connecting to {self.name}") from None
        except OSError as error:
            raise ChannelUnavailableError(
                f"{self.name} cannot be reached: {error}", remedy="see whether the server runs"
            ) from error
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.busy.add(link)
        return link, True

    def give_back(self, link):
        with self.lock:
            self.busy.discard(link)
            if not self.closed:
                self.idle.append(link)
                return
        link.close()

    def drop(self, link):
        with self.lock:
            self.busy.discard(link)
        link.close()

    def close(self):
        with self.lock:
            self.closed = True
            idle, self.idle = self.idle, []
            busy = list(self.busy) if self.pid == os.getpid() else []
        for link in idle:
            link.close()
        for link in busy:  # wakes the thread that uses it, which closes it
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def closed_error(self):
        return ConnectorClosedError(f"the connector to {self.name} is closed", remedy="open a new one")
