"""Connections are bounded, replaced when they died, closed when they should be, and each process's own."""

import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from psk.connectors import find_connector, format_uri, open_connector, parse_uri
from psk.errors import ConnectorClosedError, DeadlineError
from psk.wire import encode
from psk_connector_redis.protocol import Refusal, pack
from psk_testing.operations import value_of


def soon(seconds=5.0):
    return time.monotonic() + seconds


def ask(server, *words, name=b"psk:{x}"):
    deadline = soon()

    def exchange(link):
        link.send((pack(*words),), deadline)
        answer = link.reply(deadline)
        if isinstance(answer, Refusal):
            raise answer
        return answer

    return server.run(exchange, name=name, deadline=deadline, doing="asking")


def clients_of(real, but=()):
    """The connections that a server has, but for the one that asks."""
    lines = real.ask("CLIENT", "LIST").decode().splitlines()
    found = {line.split()[0] for line in lines if line.startswith("id=") and "cmd=client" not in line}
    return found - set(but)


def settled(real, count, but=()):
    end = soon(3)
    while len(clients_of(real, but)) != count and time.monotonic() < end:
        time.sleep(0.01)
    return len(clients_of(real, but)) == count


def test_one_connection_serves_one_call_after_the_other(redis_server, tls_server, new_server):
    for real in (redis_server, tls_server):
        before = clients_of(real)
        server = new_server(real.uri)
        links = set()
        for _ in range(20):
            with server._borrow(server.settings.addresses[0], soon()) as link:
                links.add(link)
            assert ask(server, b"PING") == b"PONG"
        assert len(links) == 1
        assert settled(real, 1, before)
        server.close()
        assert settled(real, 0, before)


def test_no_more_connections_than_allowed_and_all_are_served(redis_server, new_server):
    before = clients_of(redis_server)
    server = new_server(f"{redis_server.uri}?connections=3")
    done = []
    start = threading.Barrier(12)

    def work():
        start.wait()
        for _ in range(20):
            assert ask(server, b"PING") == b"PONG"
        done.append(True)

    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(clients_of(redis_server, before)))
    for thread in threads:
        thread.join()
    assert len(done) == 12
    assert 1 <= most <= 3


def test_who_waits_for_a_connection_waits_no_longer_than_allowed(redis_server, new_server):
    server = new_server(f"{redis_server.uri}?connections=1")
    with server._borrow(server.settings.addresses[0], soon()), ThreadPoolExecutor(1) as others:
        began = time.monotonic()
        asked = others.submit(server.run, lambda link: link, name=None, deadline=began + 0.2, doing="asking")
        with pytest.raises(DeadlineError, match="waiting for one of 1 connections"):
            asked.result()
        assert time.monotonic() - began < 0.6
    assert ask(server, b"PING") == b"PONG"


def test_a_call_within_a_call_does_not_wait_for_itself(redis_server, new_server):
    server = new_server(f"{redis_server.uri}?connections=1")
    with server._borrow(server.settings.addresses[0], soon()):
        assert ask(server, b"PING") == b"PONG"


def test_an_error_in_mid_exchange_closes_the_connection(redis_server, new_server):
    server = new_server(redis_server.uri)
    with pytest.raises(KeyboardInterrupt), server._borrow(server.settings.addresses[0], soon()) as link:
        link.send((pack(b"ECHO", b"not for you"),), soon())
        raise KeyboardInterrupt
    assert ask(server, b"PING") == b"PONG"
    with server._borrow(server.settings.addresses[0], soon()) as other:
        assert other is not link


def test_an_answer_that_nobody_waits_for_is_never_taken_for_another(redis_server, new_server):
    server = new_server(redis_server.uri)
    with server._borrow(server.settings.addresses[0], soon()) as link:
        link.send((pack(b"ECHO", b"forgotten"),), soon())
        time.sleep(0.05)
    for _ in range(3):
        assert ask(server, b"PING") == b"PONG"


def test_a_killed_connection_is_replaced_in_silence(redis_server, new_server):
    before = clients_of(redis_server)
    server = new_server(redis_server.uri)
    for _ in range(3):
        (identity,) = clients_of(redis_server, before)
        redis_server.ask("CLIENT", "KILL", "ID", identity.removeprefix("id="))
        assert ask(server, b"PING") == b"PONG"


def test_after_close_nothing_is_lent(redis_server, new_server):
    server = new_server(redis_server.uri)
    before = clients_of(redis_server)
    with server._borrow(server.settings.addresses[0], soon()) as link:
        server.close()
        server.close()
        link.send((pack(b"PING"),), soon())
        assert link.reply(soon()) == b"PONG"
    assert settled(redis_server, len(before) - 1)
    with pytest.raises(ConnectorClosedError):
        ask(server, b"PING")
    with pytest.raises(ConnectorClosedError):
        server.connect(None, soon())


def test_a_connector_that_is_forgotten_closes_its_connections(redis_server):
    before = clients_of(redis_server)
    connector = find_connector("redis")(redis_server.host, redis_server.port)
    assert settled(redis_server, 1, before)
    del connector
    assert settled(redis_server, 0, before)


def test_opening_that_fails_leaves_no_connection(redis_server):
    before = clients_of(redis_server)
    for _ in range(3):
        with pytest.raises(Exception, match="durability"):
            find_connector("redis")(redis_server.host, redis_server.port, durability="disk")
    gc.collect()
    assert settled(redis_server, 0, before)


def test_a_forked_child_has_its_own_connections(redis_server, new_server):
    before = clients_of(redis_server)
    server = new_server(redis_server.uri)
    with server._borrow(server.settings.addresses[0], soon()) as link:
        link.send((pack(b"ECHO", b"the parent's"),), soon())
        child = os.fork()
        if child == 0:
            answers = [ask(server, b"ECHO", b"the child's") for _ in range(10)]
            server.close()
            os._exit(0 if set(answers) == {b"the child's"} else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert link.reply(soon()) == b"the parent's"
    assert ask(server, b"PING") == b"PONG"
    assert settled(redis_server, 1, before)


def test_a_forked_child_holds_no_connection_of_its_parent_open(redis_server, new_server):
    before = clients_of(redis_server)
    server = new_server(redis_server.uri)
    ask(server, b"PING")
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    server.close()
    assert settled(redis_server, 0, before)
    os.close(write)
    os.waitpid(child, 0)


def test_children_of_children_and_threads_are_served_too(redis_server, new_server):
    server = new_server(f"{redis_server.uri}?connections=2")
    stop = threading.Event()

    def work():
        while not stop.is_set():
            ask(server, b"PING")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(10):
        child = os.fork()
        if child == 0:
            ok = ask(server, b"PING") == b"PONG"
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0 if ask(server, b"PING") == b"PONG" else 1)
            code = os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1])
            os._exit(0 if ok and code == 0 else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 10


def test_messages_name_the_server(redis_server, cluster, sentinels, new_server):
    port = redis_server.port
    assert new_server(f"{redis_server.uri}/1").describe() == f"redis at 127.0.0.1:{port}, database 1"
    assert new_server(redis_server.socket_uri).describe() == f"redis at {redis_server.socket_path}, database 0"
    assert new_server(cluster.uri).describe().startswith("redis cluster at 127.0.0.1:")
    assert new_server(sentinels.uri).describe().startswith("redis service 'objects' of the sentinels at 127.0.0.1:")


@pytest.mark.parametrize("product", ["redis", "valkey", "keydb"])
def test_the_name_of_the_product_changes_words_alone(redis_server, tls_server, prefix, product):
    for place in (redis_server.uri, redis_server.socket_uri, tls_server.uri):
        uri = f"{place}{'&' if '?' in place else '?'}prefix={prefix}".replace("redis", product, 1)
        with contextlib.closing(open_connector(uri)) as connector:
            key = connector.put(encode(uri))
            assert connector.config()["scheme"] == parse_uri(uri)["scheme"]
            assert connector._channel.server.describe().startswith(f"{product} at ")
            with contextlib.closing(open_connector(format_uri(connector.config()))) as again:
                assert value_of(again.get(key)) == uri
                again.evict(key)


def test_saying_what_there_is_imports_no_client():
    program = "import sys, psk_connector_redis.plugin as p; p.psk_connectors(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"hiredis", "pluggy", "ssl", "asyncio"} & set(loaded)
