"""A password that the server repeats, in whatever form, is not repeated in messages (C12)."""

import socket
import threading
from contextlib import closing, contextmanager, suppress

import pytest
from leakage import SECRET, everything_about, leaks

from psk.errors import PskError
from psk.wire import encode
from psk_connector_redis.connector import RedisConnector


@contextmanager
def repeating_server(template):
    """A server that answers every packet with what it was sent, in some form."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    with suppress(OSError):
                        while received := connection.recv(65536):
                            line = received.replace(b"\r\n", b" ")
                            connection.sendall(template.replace(b"%length", b"%d" % len(line)).replace(b"%", line))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


TEMPLATES = {
    "error": b"-ERR unknown command 'AUTH', with args beginning with: %\r\n",
    "other error": b"-% is not understood\r\n",
    "after success": b"+OK\r\n-NOPERM you said %\r\n",
    "status": b"+%\r\n",
    "string": b"$%length\r\n%\r\n",
    "garbage": b"% what?\r\n",
    "redirection": b"-MOVED 1 %\r\n",
    "half": b"$999999\r\n%",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_server_repeats_is_not_repeated(template, log):
    options = {"password": SECRET, "connect_timeout": 0.3, "timeout": 0.3, "retries": 0}
    with repeating_server(TEMPLATES[template]) as port:
        for more in ({}, {"user": "lab"}, {"durability": "host"}, {"cluster": True}, {"sentinel": "objects"}):
            with (
                pytest.raises(PskError) as caught,
                closing(RedisConnector("127.0.0.1", port, **options, **more)) as connector,
            ):
                connector.put(encode(1))
            assert leaks(*everything_about(caught.value)) == []
    assert leaks(log.text) == []
