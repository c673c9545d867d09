"""Lists are complete, and `clear` deletes what psk wrote and nothing else."""

import os
import random
import threading

import pytest
from interference import names_in
from usage import opened, value_of

from psk.errors import ChannelDataError, KeyExistsError
from psk.wire import decode, encode
from psk_connector_redis import objects
from psk_connector_redis.connector import RedisConnector

MISSING = "0" * 32


def test_clear_deletes_only_what_psk_wrote_here(redis_server, small_parts):
    prefix = "p*k?[a-z]" + os.urandom(4).hex()
    connector, client = opened(redis_server.uri), redis_server.client()
    connector.close()
    connector = RedisConnector(redis_server.host, redis_server.port, prefix=prefix)
    digits = "a1" * 16
    foreign = {
        prefix,
        f"{prefix}:other",
        f"{prefix}2:{{{digits}}}",
        f"{prefix}:{{{digits}}}x",
        f"{prefix}:{{{digits.upper()}}}",
        f"{prefix}:{{{digits}}}:claims",
        f"{prefix}:{{{digits}}}:part:x",
        f"{prefix}:{{{digits}",
        f"pk0a{prefix[9:]}:{{{digits}}}",
        f"x{prefix}:{{{digits}}}",
    }
    for name in foreign:
        client.set(name, b"foreign")
    listed = f"{prefix}:{{{'b2' * 16}}}"
    client.rpush(listed, b"foreign")
    elsewhere = redis_server.client(db=3)
    elsewhere.set(f"{prefix}:{{{digits}}}", b"foreign")
    try:
        keys = {connector.put(encode(bytes(size))) for size in (1, 10, 2000, 3000)}
        for key in keys:
            connector.take(key, "first")
        assert set(connector.keys()) == keys
        assert connector.clear() == 4
        assert list(connector.keys()) == []
        left = {name.decode() for name in client.scan_iter(match="*" + prefix[9:] + "*")}
        assert left == foreign | {listed}
        assert elsewhere.exists(f"{prefix}:{{{digits}}}")
        with pytest.raises(ChannelDataError, match="evict that key"):
            connector.get("b2" * 16)
        connector.evict("b2" * 16)
        assert not client.exists(listed)
    finally:
        client.delete(*foreign, listed)
        elsewhere.delete(f"{prefix}:{{{digits}}}")
        for each in (connector, client, elsewhere):
            each.close()


def test_clear_removes_what_lost_its_object_and_leaves_what_is_being_uploaded(look, prefix, small_parts):
    connector, client = look
    for size in (10, 2000):
        key = connector.put(encode(bytes(size)))
        connector.take(key, "first")
        client.delete(connector._channel.names.of(key))
    damaged = connector.put(encode(bytes(2000)))
    client.set(connector._channel.names.of(damaged), b"\x93PSM damaged")
    uploading = connector._channel.names.part(MISSING, b"0" * 16, 0)
    client.set(uploading, b"on its way", px=60_000)
    assert connector.clear() == 1
    # Parts of which nobody knows any more may be met before the manifest that hid them.
    assert connector.clear() == 0
    assert names_in(client, prefix) == [uploading]
    client.delete(uploading)


def test_a_list_is_complete_while_others_come_and_go(connector, other, monkeypatch):
    monkeypatch.setattr(objects, "PAGE_NAMES", 10)
    kept = set(connector.put_batch([encode(number) for number in range(500)]))
    stop = threading.Event()

    def churn():
        chance = random.Random(1)
        while not stop.is_set():
            keys = other.put_batch([encode(number) for number in range(chance.randrange(1, 400))])
            other.evict_batch(keys)

    busy = threading.Thread(target=churn)
    busy.start()
    try:
        for _ in range(10):
            found = list(connector.keys())
            assert kept <= set(found)
            assert len(found) == len(set(found))
    finally:
        stop.set()
        busy.join()


def test_a_scan_begins_anew_after_its_connection_broke(connector, monkeypatch):
    monkeypatch.setattr(objects, "PAGE_NAMES", 10)
    kept = set(connector.put_batch([encode(number) for number in range(300)]))
    accepted, calls = objects.accepted, []

    def break_sometimes(answer):
        calls.append(answer)
        if len(calls) in (5, 20):
            raise ConnectionResetError(104, "Connection reset by peer")
        return accepted(answer)

    monkeypatch.setattr(objects, "accepted", break_sometimes)
    assert set(connector.keys()) == kept
    calls.clear()
    assert connector.clear() == 300
    assert set(connector.keys()) == set()


def test_other_calls_whose_answer_was_lost_are_one_call(connector, losing_answers, small_parts):
    def lost(call):
        losing_answers.append(1)
        return call()

    for size in (10, 2000):
        payload = encode(os.urandom(size))
        key = lost(lambda payload=payload: connector.put(payload))
        assert lost(lambda key=key: value_of(connector.get(key))) == decode(payload)
        assert lost(lambda key=key: connector.exists(key))
        assert lost(lambda key=key: connector.renew(key, 100))
        assert lost(lambda key=key: list(connector.keys())) == [key]
        assert lost(lambda key=key: bytes(connector.get_range(key, 0, 4))) == payload.tobytes()[:4]
        assert lost(lambda key=key: connector.wait([key], timeout=5)) == [key]
        with pytest.raises(KeyExistsError):
            lost(lambda payload=payload: connector.put(encode(b"other" * 99, object_id=payload.object_id)))
        assert lost(lambda payload=payload: connector.put_batch([payload] * 3)) == [key] * 3
        assert lost(lambda key=key: connector.exists_batch([key, MISSING])) == [True, False]
        lost(lambda key=key: connector.evict(key))
        lost(lambda key=key: connector.evict_batch([key]))
        assert not connector.exists(key)
