"""A claim holds where other clients or a lost answer interfere, and ends with its object."""

import threading

import pytest
from interference import names_in
from servers import RedisServer
from usage import eventually, opened, value_of

from psk.errors import CapabilityError
from psk.wire import encode
from psk_connector_redis import objects

LARGE = 300_000


@pytest.mark.parametrize("size", [10, LARGE])
def test_exactly_one_of_many_takes(connector, address, size, scale):
    connectors = [opened(address) for _ in range(3)]
    for _ in range(scale("redis.take_races")):
        key = connector.put(encode(b"x" * size))
        start, won = threading.Barrier(6), []

        def take(number, key=key, start=start, won=won):
            start.wait()
            if connectors[number % 3].take(key, f"claim {number}", lease=60) is not None:
                won.append(number)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        connector.evict(key)
    for each in connectors:
        each.close()


def test_a_large_object_that_changes_hands_on_its_way_is_not_handed_out(connector, other, monkeypatch):
    payload = encode(b"x" * LARGE)
    key = connector.put(payload)
    get_object = objects.get_object

    def interfere(channel, key, deadline):
        monkeypatch.setattr(objects, "get_object", get_object)
        other.evict(key)
        other.put(payload)
        assert other.take(key, "faster") is not None
        return get_object(channel, key, deadline)

    monkeypatch.setattr(objects, "get_object", interfere)
    assert connector.take(key, "slower") is None


def test_a_large_object_that_was_put_again_on_its_way_is_taken_again(connector, other, monkeypatch):
    payload = encode(b"x" * LARGE)
    key = connector.put(payload)
    get_object = objects.get_object

    def interfere(channel, key, deadline):
        monkeypatch.setattr(objects, "get_object", get_object)
        other.evict(key)
        other.put(payload)
        return get_object(channel, key, deadline)

    monkeypatch.setattr(objects, "get_object", interfere)
    assert connector.take(key, "first") is not None
    assert other.take(key, "second") is None


def test_a_large_object_that_goes_on_its_way_is_missing(connector, other, monkeypatch):
    key = connector.put(encode(b"x" * LARGE))
    get_object = objects.get_object

    def interfere(channel, key, deadline):
        other.evict(key)
        return get_object(channel, key, deadline)

    monkeypatch.setattr(objects, "get_object", interfere)
    assert connector.take(key, "first") is None


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_take_whose_answer_was_lost_is_the_same_take(connector, other, losing_answers, size):
    key = connector.put(encode(b"x" * size))
    losing_answers.append(1)
    assert connector.take(key, "first") is not None
    assert other.take(key, "second") is None


def test_objects_in_parts_are_taken_renewed_and_evicted(look, prefix, small_parts):
    connector, client = look
    key = connector.put(encode(b"x" * 2000), ttl=100)
    assert value_of(connector.take(key, "first")) == b"x" * 2000
    assert connector.take(key, "second") is None
    assert connector.renew(key, None)
    assert {client.pttl(name) for name in names_in(client, prefix)} == {-1}
    assert connector.renew(key, 50)
    assert all(40_000 < client.pttl(name) <= 50_000 for name in names_in(client, prefix))
    connector.evict(key)
    assert names_in(client, prefix) == []


def test_nothing_stays_of_an_object_that_expires(look, prefix, small_parts):
    connector, client = look
    for size in (10, 2000):
        key = connector.put(encode(b"x" * size), ttl=0.1)
        connector.take(key, "first")
    assert eventually(lambda: names_in(client, prefix) == [])


def test_a_server_that_evicts_keeps_no_claims(tmp_path):
    with RedisServer(tmp_path, maxmemory="50mb", maxmemory_policy="allkeys-lru") as server:
        connector = opened(server.uri)
        key = connector.put(encode(1))
        with pytest.raises(CapabilityError, match="noeviction"):
            connector.take(key, "first")
        connector.close()
