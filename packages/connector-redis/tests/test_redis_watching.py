"""Watchers: one loop serves many waits, woken by the server."""

import select
import time

import pytest
from listening import listeners
from servers import RedisServer
from usage import eventually, joined, opened

from psk.connectors import SupportsWatch
from psk.errors import ConnectorClosedError
from psk.wire import encode
from psk_connector_redis import waiting

MISSING = "0" * 32


@pytest.fixture
def connector(uri):
    """A connector to an empty channel on one server."""
    new = opened(uri)
    yield new
    new.close()


def serve(watcher, is_done, seconds=10):
    """Dispatch whenever the watcher asks for it, until something is so."""
    end = time.monotonic() + seconds
    again = watcher.dispatch()
    while not is_done() and (left := end - time.monotonic()) > 0:
        select.select([watcher.fileno()], [], [], left if again is None else min(again, left))
        again = watcher.dispatch()
    return is_done()


def test_a_watcher_calls_back_for_what_is_there_and_for_what_is_put(connector, uri, redis_server, monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    assert isinstance(connector, SupportsWatch)
    producer, arrived = opened(uri), []
    watcher = connector.watcher()
    early, *payloads = [encode(number) for number in range(50)]
    producer.put(early)
    for payload in (early, *payloads):
        watcher.add(payload.key, arrived.append)
    watcher.add(MISSING, arrived.append)
    assert serve(watcher, lambda: arrived == [early.key])
    assert eventually(lambda: len(listeners(redis_server)) == 1)
    producer.put(payloads[7])
    assert serve(watcher, lambda: arrived[1:] == [payloads[7].key])
    producer.put_batch(payloads)
    assert serve(watcher, lambda: len(arrived) == 50)
    assert sorted(arrived) == sorted(payload.key for payload in (early, *payloads))
    watcher.discard(MISSING)
    assert watcher.dispatch() is None
    watcher.close()
    watcher.close()
    producer.close()


def test_a_watcher_looks_for_itself_where_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("psk_connector_redis.connector.LOOK_AGAIN_SECONDS", 0.02)
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "secret")
    with RedisServer(tmp_path, lines=["user app on >secret ~* &* +@all -subscribe"]) as server:
        connector, arrived = opened(server.uri.replace("//", "//app@")), []
        watcher, payload = connector.watcher(), encode("found")
        watcher.add(payload.key, arrived.append)
        assert watcher.dispatch() < 0.03
        connector.put(payload)
        assert serve(watcher, lambda: arrived == [payload.key])
        watcher.close()
        connector.close()


def test_watchers_of_clusters_sentinels_and_tls_are_told(cluster, sentinels, tls_server, prefix, monkeypatch):
    monkeypatch.setattr("psk_connector_redis.connector.LOOK_AGAIN_SECONDS", 60)
    for server in (cluster, sentinels, tls_server):
        connector, arrived = opened(joined(server.uri, f"prefix={prefix}")), []
        payloads = [encode(number) for number in range(6)]
        watcher = connector.watcher()
        for payload in payloads:
            watcher.add(payload.key, arrived.append)
        assert watcher.dispatch() > 1
        connector.put_batch(payloads)
        assert serve(watcher, lambda: len(arrived) == 6)  # noqa: B023  called before the next turn
        watcher.close()
        connector.clear()
        connector.close()


def test_a_callback_that_fails_leaves_the_others_due(connector):
    arrived = []

    def fail(key):
        arrived.append(key)
        if len(arrived) == 1:
            raise ArithmeticError

    watcher = connector.watcher()
    keys = connector.put_batch([encode(number) for number in range(3)])
    for key in keys:
        watcher.add(key, fail)
    with pytest.raises(ArithmeticError):
        watcher.dispatch()
    assert serve(watcher, lambda: sorted(arrived) == sorted(keys))
    watcher.close()


def test_closing_the_connector_wakes_the_loop_and_ends_the_watch(connector, redis_server):
    watcher = connector.watcher()
    watcher.add(MISSING, print)
    watcher.dispatch()
    assert eventually(lambda: listeners(redis_server))
    while select.select([watcher.fileno()], [], [], 0.05)[0]:  # told that it is subscribed
        watcher.dispatch()
    connector.close()
    assert select.select([watcher.fileno()], [], [], 10)[0]
    with pytest.raises(ConnectorClosedError):
        watcher.dispatch()
    with pytest.raises(ConnectorClosedError):
        connector.watcher()
    watcher.close()
    assert eventually(lambda: not listeners(redis_server))
