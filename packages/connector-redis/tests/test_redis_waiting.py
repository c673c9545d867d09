"""A wait ends with the put, on every kind of server, and for users with few rights."""

import threading
import time

import pytest
from listening import listeners, subscribers, waiting_for
from servers import RedisServer
from usage import eventually, joined, opened

from psk.connectors.toolkit import subscriber
from psk.errors import ChannelUnavailableError, DeadlineError
from psk.wire import encode
from psk_connector_redis import waiting

MISSING = "0" * 32


@pytest.fixture
def connector(uri):
    """A connector to an empty channel on one server."""
    new = opened(uri)
    yield new
    new.close()


def test_a_put_ends_the_wait(connector, uri):
    producer = opened(uri)
    for _ in range(20):
        payload = encode("here")
        with waiting_for(connector, [MISSING, payload.key]) as outcome:
            producer.put(payload)
        assert outcome == [[payload.key]]
    producer.close()


def test_what_is_there_is_found_without_listening(connector, redis_server):
    key = connector.put(encode("here"))
    assert connector.wait([MISSING, key, MISSING, key], timeout=0) == [key, key]
    assert listeners(redis_server) == []
    with pytest.raises(DeadlineError):
        connector.wait([MISSING], timeout=0)
    with pytest.raises(DeadlineError):
        connector.wait([], timeout=0.05)


def test_every_way_to_put_wakes(connector, monkeypatch):
    def in_parts(payload):
        monkeypatch.setattr("psk_connector_redis.writing.LONGEST_STRING", 1000)
        monkeypatch.setattr("psk_connector_redis.writing.PART_BYTES", 400)
        connector.put(payload)

    puts = (
        connector.put,
        lambda payload: connector.put(payload, ttl=100),
        lambda payload: connector.put_batch([encode("another"), payload]),
        lambda payload: connector.fulfil(connector.reserve(payload.object_id), payload),
        in_parts,
    )
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    for put in puts:
        payload = encode(b"x" * 2000)
        with waiting_for(connector, [payload.key]) as outcome:
            put(payload)
        assert outcome == [[payload.key]]


def test_a_wait_outlives_the_server(tmp_path):
    with RedisServer(tmp_path, appendonly=True) as server:
        connector, payload = opened(server.uri), encode("after the restart")
        with waiting_for(connector, [payload.key]) as outcome:
            server.kill()
            time.sleep(0.3)
            server.start()
            connector.put(payload)
        assert outcome == [[payload.key]]
        connector.close()


def test_a_server_that_does_not_come_back_ends_the_wait(tmp_path):
    with RedisServer(tmp_path) as server:
        connector = opened(f"{server.uri}?connect_timeout=0.5&retries=0")
        with waiting_for(connector, [MISSING]) as outcome:
            server.kill()
            start = time.monotonic()
        assert isinstance(outcome[0], ChannelUnavailableError)
        assert time.monotonic() - start < 10
        connector.close()


@pytest.mark.parametrize("may", ["publish", "subscribe", "neither"])
def test_who_may_not_publish_or_subscribe_is_found_by_looking(tmp_path, may, monkeypatch):
    rights = {"publish": "-subscribe", "subscribe": "-publish", "neither": "resetchannels"}[may]
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "secret")
    with RedisServer(tmp_path, lines=[f"user app on >secret ~* &* +@all {rights}"]) as server:
        connector = opened(server.uri.replace("//", "//app@"))
        payload = encode("found")
        with waiting_for(connector, [payload.key], until=may == "subscribe") as outcome:
            connector.put(payload)
        assert outcome == [[payload.key]]
        connector.close()


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), RuntimeError("can't start new thread")])
def test_a_system_without_threads_or_descriptors_to_spare_looks(connector, monkeypatch, error):
    def refuse():
        raise type(error)(*error.args)  # each time another, which holds no frames of an earlier one

    monkeypatch.setattr(subscriber, "WakePipe", refuse)
    payload = encode("found")
    with waiting_for(connector, [payload.key], until=False) as outcome:
        time.sleep(0.05)
        connector.put(payload)
    assert outcome == [[payload.key]]


def test_tls_sentinels_and_clusters_tell_too(tls_server, cluster, sentinels, prefix, monkeypatch):
    monkeypatch.setattr(waiting, "LOOK_AGAIN_SECONDS", 60)
    for server in (tls_server, cluster, sentinels):
        connector = opened(joined(server.uri, f"prefix={prefix}"))
        payloads = [encode(number) for number in range(6)]
        for payload in payloads:
            with waiting_for(connector, [each.key for each in payloads if each is payload]) as outcome:
                connector.put(payload)
            assert outcome == [[payload.key]]
        others = [encode(number) for number in range(12)]
        with waiting_for(connector, [each.key for each in others]) as outcome:
            connector.put(others[7])
        assert outcome == [[others[7].key]]
        connector.clear()
        connector.close()


def test_messages_of_tls_itself_do_not_hold_up_the_end_of_a_wait(tls_server, prefix):
    connector = opened(joined(tls_server.uri, f"prefix={prefix}"))
    for _ in range(5):
        with pytest.raises(DeadlineError):
            connector.wait([MISSING], timeout=0.01)
    connector.close()
    assert eventually(lambda: not subscribers(connector), 2)


def test_a_thousand_wait_at_once(connector, uri, scale):
    count = scale("waiting.waiters")
    payloads = [encode(number) for number in range(count)]
    woken = []
    threading.stack_size(256 * 1024)
    try:
        threads = [
            threading.Thread(target=lambda key=payload.key: woken.extend(connector.wait([key], timeout=60)))
            for payload in payloads
        ]
        for thread in threads:
            thread.start()
    finally:
        threading.stack_size(0)
    assert eventually(lambda: sum(len(each._listeners) for each in subscribers(connector)) == count, 30)
    connector.put_batch(payloads)
    for thread in threads:
        thread.join()
    assert sorted(woken) == sorted(payload.key for payload in payloads)
