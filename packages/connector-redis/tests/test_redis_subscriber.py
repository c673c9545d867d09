"""One connection tells all waits of a process, survives what happens to it, and goes with the last wait."""

import gc
import os
import threading
import time

import pytest
from listening import is_listening, listeners, subscribers, waiting_for
from usage import eventually, opened

from psk.connectors.toolkit import subscriber
from psk.errors import ConnectorClosedError, DeadlineError
from psk.wire import encode
from psk_connector_redis import waiting
from psk_connector_redis.channel import Server
from psk_connector_redis.connection import Connection
from psk_testing.network import FaultProxy

MISSING = "0" * 32


@pytest.fixture
def connector(uri):
    """A connector to an empty channel on one server."""
    new = opened(uri)
    yield new
    new.close()


def test_one_connection_serves_all_waits_of_a_connector(connector, redis_server):
    payloads = [encode(number) for number in range(40)]
    outcomes = [[] for _ in payloads]

    def wait(place):
        outcomes[place] += connector.wait([payloads[place].key, MISSING], timeout=20)

    threads = [threading.Thread(target=wait, args=(place,)) for place in range(len(payloads))]
    for thread in threads:
        thread.start()
    assert eventually(lambda: [len(each._listeners) for each in subscribers(connector)] == [40])
    assert eventually(lambda: is_listening(subscribers(connector)[0]))
    assert len(listeners(redis_server)) == 1
    assert eventually(lambda: [each.name for each in threading.enumerate()].count("psk-subscriber") == 1)
    connector.put_batch(payloads)
    for thread in threads:
        thread.join()
    assert outcomes == [[payload.key] for payload in payloads]


def test_the_connection_goes_when_nobody_waits(connector, redis_server, monkeypatch):
    monkeypatch.setattr(subscriber, "IDLE_SECONDS", 0.05)
    with pytest.raises(DeadlineError):
        connector.wait([MISSING], timeout=0.05)
    assert eventually(lambda: not listeners(redis_server))
    assert eventually(lambda: not any(thread.name == "psk-subscriber" for thread in threading.enumerate()))
    payload = encode("again")
    with waiting_for(connector, [payload.key]) as outcome:
        connector.put(payload)
    assert outcome == [[payload.key]]


def test_closing_ends_the_wait_and_the_connection(connector, redis_server):
    with waiting_for(connector, [MISSING]) as outcome:
        connector.close()
    assert isinstance(outcome[0], ConnectorClosedError)
    assert eventually(lambda: not listeners(redis_server))


def test_closing_disturbs_no_other_instance(connector, uri):
    other = opened(uri)
    payload = encode("still told")
    with waiting_for(other, [payload.key]) as outcome:
        connector.close()
        time.sleep(0.02)
        other.put(payload)
    assert outcome == [[payload.key]]
    other.close()


def test_a_forgotten_instance_leaves_nothing(uri, redis_server):
    forgotten = opened(uri)
    with pytest.raises(DeadlineError):
        forgotten.wait([MISSING], timeout=0.01)
    del forgotten
    gc.collect()
    assert eventually(lambda: not listeners(redis_server))


def test_subscriptions_follow_the_waits(connector, redis_server, monkeypatch):
    monkeypatch.setattr(subscriber, "IDLE_SECONDS", 0.2)
    client = redis_server.client()
    payloads = [encode(number) for number in range(3)]
    for payload in payloads:
        with waiting_for(connector, [payload.key]) as outcome:
            assert len(client.pubsub_channels()) == 1
            connector.put(payload)
        assert outcome == [[payload.key]]
    assert eventually(lambda: client.pubsub_channels() == [])
    client.close()


def test_a_wait_outlives_its_connection(connector, redis_server, monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    client = redis_server.client()
    payload = encode("told by the next connection")
    with waiting_for(connector, [payload.key]) as outcome:
        for _ in range(3):
            [number] = listeners(redis_server)
            client.client_kill_filter(_id=number)
            assert eventually(lambda gone=number: any(new != gone for new in listeners(redis_server)))
            assert eventually(lambda: is_listening(subscribers(connector)[0]))
        connector.put(payload)
    assert outcome == [[payload.key]]
    client.close()


def test_what_is_put_while_nobody_listens_is_found(connector, redis_server, monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    monkeypatch.setattr(subscriber, "PAUSE_SECONDS", 0.2)
    client = redis_server.client()
    payload = encode("put in between")
    with waiting_for(connector, [payload.key]) as outcome:
        connect = type(connector._channel.server).connect

        def put_first(server, name, deadline):
            connector.put(payload)
            return connect(server, name, deadline)

        monkeypatch.setattr(type(connector._channel.server), "connect", put_first)
        client.client_kill_filter(_id=listeners(redis_server)[0])
    assert outcome == [[payload.key]]
    client.close()


def test_a_silent_connection_is_replaced(connector, redis_server, prefix, monkeypatch):
    monkeypatch.setattr(subscriber, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr(subscriber, "IDLE_SECONDS", 0.1)
    payload = encode("heard in the end")
    with FaultProxy((redis_server.host, redis_server.port)) as proxy:
        behind = opened("redis://{}:{}?prefix={}".format(*proxy.address, prefix))
        with waiting_for(behind, [payload.key]) as outcome:
            [silent] = [each._session for each in subscribers(behind)]
            proxy.half_open = True
            connector.put(payload)
            assert eventually(lambda: all(each._session is not silent for each in subscribers(behind)))
            proxy.calm()
            proxy.reset()
        assert outcome == [[payload.key]]
        behind.close()


def test_a_quiet_connection_stays(connector, redis_server, monkeypatch):
    monkeypatch.setattr(subscriber, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(subscriber, "IDLE_SECONDS", 0.02)
    pings, ping = [], waiting.RedisFeed.ping
    monkeypatch.setattr(waiting.RedisFeed, "ping", lambda feed: (pings.append(feed), ping(feed)))
    payload = encode("later")
    with waiting_for(connector, [payload.key]) as outcome:
        before = listeners(redis_server)
        assert eventually(lambda: len(pings) >= 4)  # each was answered, or another connection would be asked
        assert listeners(redis_server) == before
        assert len(set(map(id, pings))) == 1
        connector.put(payload)
    assert outcome == [[payload.key]]


@pytest.mark.parametrize("where", ["RedisFeed.receive", "Server.connect"])
def test_a_thread_that_ends_unforeseen_leaves_nobody_waiting(connector, redis_server, monkeypatch, where):
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    reported = []
    monkeypatch.setattr(threading, "excepthook", lambda found: reported.append(found.exc_value))

    def fail(*_):
        raise ArithmeticError

    kind, _, method = where.partition(".")
    monkeypatch.setattr({"RedisFeed": waiting.RedisFeed, "Server": Server}[kind], method, fail)
    payload = encode("found by looking")
    with waiting_for(connector, [payload.key], until=False) as outcome:
        assert eventually(lambda: reported)
        connector.put(payload)
    assert outcome == [[payload.key]]
    assert subscribers(connector) == []
    assert not listeners(redis_server)
    monkeypatch.undo()
    payload = encode("told by another thread")
    with waiting_for(connector, [payload.key]) as outcome:
        connector.put(payload)
    assert outcome == [[payload.key]]
    assert [type(error) for error in reported] == [ArithmeticError]


def test_a_message_that_makes_no_sense_breaks_the_connection_only(connector, redis_server, monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    reply, senseless = Connection.reply, [[b"message", [], b""], [7, b"x", b""], [b"message", 1, b""]]

    def answer(self, deadline):
        given = reply(self, deadline)
        return senseless.pop() if senseless and isinstance(given, list) else given

    monkeypatch.setattr(Connection, "reply", answer)
    payload = encode("told in the end")
    with waiting_for(connector, [payload.key]) as outcome:
        assert senseless == []
        connector.put(payload)
    assert outcome == [[payload.key]]


def test_forked_children_wait_for_themselves(connector, redis_server):
    payloads = [encode(number) for number in range(4)]
    mine = encode("the parent's")
    with waiting_for(connector, [mine.key]) as outcome:
        children = []
        for payload in payloads:
            pid = os.fork()
            if pid == 0:
                os._exit(connector.wait([payload.key], timeout=20) != [payload.key])
            children.append(pid)
        assert eventually(lambda: len(listeners(redis_server)) == 5)
        connector.put_batch(payloads)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        assert len(listeners(redis_server)) == 1
        connector.put(mine)
    assert outcome == [[mine.key]]
