"""A broken connection is replaced, and no answer is ever taken for that to another command."""

import contextlib
import os
import socketserver
import threading

import pytest
from usage import LARGE, value_of

from psk.connectors import open_connector
from psk.errors import ChannelUnavailableError, DeadlineError, PskError
from psk.wire import Payload, decode, encode
from psk_connector_redis.connection import Connection
from psk_testing.network import FaultProxy


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_connection_cut_in_mid_transfer_is_replaced(redis_server, prefix, size, part):
    with FaultProxy((redis_server.host, redis_server.port)) as proxy:
        connector = open_connector("redis://{}:{}?prefix={}".format(*proxy.address, prefix))
        payload = encode(bytearray(os.urandom(size)))
        after = 1 + int(part * payload.nbytes)
        proxy.cut_after = after
        connector.put(payload)
        assert proxy.cut_after is None
        proxy.cut_after = after
        assert connector.get(payload.key).buffers[0] == payload.tobytes()
        assert proxy.cut_after is None
        connector.clear()
        connector.close()


def test_a_connection_that_always_breaks_is_an_error_after_the_retries(redis_server, prefix, monkeypatch):
    connector = open_connector(f"{redis_server.uri}?prefix={prefix}&retries=2")
    attempts = []

    def break_off(self, buffers, deadline):
        attempts.append(1)
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(Connection, "send", break_off)
    with pytest.raises(ChannelUnavailableError, match="Broken pipe"):
        connector.put(encode(b"x"))
    assert len(attempts) == 3
    connector.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
@pytest.mark.parametrize("size", [10, LARGE])
def test_a_link_in_mid_sentence_is_never_used_again(plain, client, monkeypatch, error, size):
    payload = encode(os.urandom(size))
    plain.put(payload)
    before = len(client.client_list())
    receive = Connection._receive

    def interrupt(self, deadline):
        receive(self, deadline)
        raise error

    monkeypatch.setattr(Connection, "_receive", interrupt)
    with pytest.raises(error):
        plain.get(payload.key)
    monkeypatch.undo()
    other = plain.put(encode(b"other"))
    assert value_of(plain.get(other)) == b"other"
    assert value_of(plain.get(payload.key)) == decode(Payload.parse(payload.received))
    assert len(client.client_list()) <= before


def test_the_answer_to_a_call_that_was_late_is_never_that_of_the_next(redis_server, prefix):
    with FaultProxy((redis_server.host, redis_server.port)) as proxy:
        connector = open_connector("redis://{}:{}?prefix={}".format(*proxy.address, prefix))
        keys = [connector.put(encode(number)) for number in range(5)]
        for number, key in enumerate(keys):
            proxy.latency = 0.3
            with pytest.raises(DeadlineError):
                connector.get(keys[number - 1], timeout=0.1)
            proxy.latency = 0.0
            assert value_of(connector.get(key)) == number
        connector.clear()
        connector.close()


def test_damage_on_the_way_is_found_or_an_error(redis_server, prefix):
    with FaultProxy((redis_server.host, redis_server.port)) as proxy:
        connector = open_connector("redis://{}:{}?prefix={}&retries=0".format(*proxy.address, prefix))
        payload = encode(bytearray(os.urandom(LARGE)))
        connector.put(payload)
        for every in (7, 5000, LARGE // 2):
            proxy.corrupt_every = every
            with pytest.raises(PskError):
                Payload.parse(connector.get(payload.key, timeout=1.0)).verify()
            proxy.corrupt_every = None
            assert value_of(connector.get(payload.key)) == decode(Payload.parse(payload.received))
        connector.clear()
        connector.close()


class Nonsense:
    """A server whose every answer is the same, whatever it is asked."""

    def __init__(self, answer):
        self.answer = answer

    def handler(self):
        answer = self.answer

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    while received := self.request.recv(65536):
                        self.request.sendall(answer * received.count(b"*"))

        return Handler

    def __enter__(self):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self.server.server_address

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.mark.parametrize(
    "answer", [b":7\r\n", b"$2\r\nno\r\n", b"*0\r\n", b"*1\r\n*1\r\n$-1\r\n", b"$-1\r\n", b"+OK\r\n"]
)
def test_an_answer_that_fits_no_question_is_a_typed_error(answer):
    payload = encode(bytearray(os.urandom(500)))
    key = payload.key
    with Nonsense(answer) as (host, port):
        connector = open_connector(f"redis://{host}:{port}?retries=1")
        for call in (
            lambda: connector.put(payload, timeout=1),
            lambda: connector.get(key, timeout=1),
            lambda: connector.exists(key, timeout=1),
            lambda: connector.evict(key, timeout=1),
            lambda: connector.get_range(key, 0, 10, timeout=1),
            lambda: connector.put_batch([payload, payload], timeout=1),
            lambda: connector.get_batch([key, key], timeout=1),
            lambda: connector.exists_batch([key, key], timeout=1),
            lambda: connector.evict_batch([key, key], timeout=1),
        ):
            with contextlib.suppress(PskError):
                call()
        connector.close()
