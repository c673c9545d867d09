"""Threads and forked children share an instance, which ends with all its connections."""

import contextlib
import gc
import os
import threading

import pytest
from usage import LARGE, eventually, opened, value_of

from psk.errors import ConnectorClosedError
from psk.wire import Payload, decode, encode


def test_threads_share_an_instance(plain, redis_server, prefix):
    failures = []

    def work(number):
        try:
            for turn in range(20):
                value = b"%d-%d" % (number, turn) * (1 + 4000 * (turn % 5))
                key = plain.put(encode(value))
                assert value_of(plain.get(key)) == value
                plain.evict(key)
        except BaseException as error:  # noqa: BLE001  told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert list(plain.keys()) == []


def test_a_forked_child_has_connections_of_its_own(plain, client):
    payload = encode(os.urandom(LARGE))
    plain.put(payload)
    stop = threading.Event()
    wrong = []

    def keep_busy():
        while not stop.is_set():
            if plain.get(payload.key).buffers[0] != payload.tobytes():
                wrong.append(1)

    busy = [threading.Thread(target=keep_busy) for _ in range(3)]
    for thread in busy:
        thread.start()
    try:
        for turn in range(5):
            child = os.fork()
            if not child:
                status = 1
                with contextlib.suppress(BaseException):
                    assert plain.get(payload.key).buffers[0] == payload.tobytes()
                    plain.put(encode(turn))
                    plain.close()
                    status = 0
                os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        for thread in busy:
            thread.join()
    assert wrong == []
    assert value_of(plain.get(payload.key)) == decode(Payload.parse(payload.received))
    assert len(list(plain.keys())) == 6


def test_connections_go_with_the_instance(uri, client):
    def connections():
        return len(client.client_list())

    def settled(count):
        return eventually(lambda: connections() == count, 3)

    before = connections()
    for _ in range(5):
        with contextlib.closing(opened(uri)) as one:
            one.put(encode(b"x"))
            one.clear()
    assert settled(before)
    forgotten = opened(uri)
    forgotten.exists("0" * 32)
    del forgotten
    gc.collect()
    assert settled(before)


def test_after_closing_every_call_says_so(uri):
    connector = opened(uri)
    connector.close()
    connector.close()
    key = "0" * 32
    for call in (
        lambda: connector.put(encode(b"x")),
        lambda: connector.get(key),
        lambda: connector.exists(key),
        lambda: connector.evict(key),
        lambda: connector.get_range(key, 0, 1),
        lambda: connector.reserve(bytes(16)),
        lambda: connector.get_batch([key]),
        lambda: connector.exists_batch([key]),
    ):
        with pytest.raises(ConnectorClosedError):
            call()
