"""Payloads cross to Redis and back in one exchange each, uncopied and summed on the way."""

import os
import zlib

import pytest
from usage import LARGE, value_of

from psk.connectors.toolkit import transfer
from psk.connectors.toolkit.transfer import STEP_BYTES, Summing
from psk.wire import Payload, encode
from psk_connector_redis.connection import Connection


def calls_of(client):
    """Count the commands that the server has run, by name."""
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}


@pytest.mark.parametrize("size", [10, LARGE])
def test_each_operation_is_one_exchange(plain, client, monkeypatch, size):
    payload = encode(os.urandom(size))
    plain.put(encode(b"opens the connection"))
    sent = []
    send = Connection.send
    monkeypatch.setattr(Connection, "send", lambda *arguments: sent.append(1) or send(*arguments))
    for command, count, call in (
        ("set", 1, lambda: plain.put(payload)),
        ("get", 1, lambda: plain.get(payload.key)),
        ("getrange", 2, lambda: plain.get_range(payload.key, 10, 100)),
        ("exists", 1, lambda: plain.exists(payload.key)),
    ):
        before = calls_of(client)
        sent.clear()
        call()
        after = calls_of(client)
        assert after[command] - before.get(command, 0) == count
        assert len(sent) == 1
    assert after["publish"] >= 2


def test_what_is_sent_is_the_memory_of_the_object(plain, monkeypatch):
    data = bytearray(os.urandom(LARGE))
    sent = []
    join_short = transfer.join_short

    def look(buffers):
        sent.extend(join_short(buffers))
        return list(sent)

    key = plain.put(encode(b"opens the connection"))
    monkeypatch.setattr(transfer, "join_short", look)
    plain.put(encode(data))
    monkeypatch.undo()
    assert plain.exists(key)
    views = [piece for piece in sent if isinstance(piece, memoryview)]
    assert sum(len(piece) for piece in sent if piece not in views) < 1000
    assert [view.obj is data for view in views] == [True]


def test_what_arrives_is_private_and_writable(plain):
    data = bytearray(os.urandom(LARGE))
    key = plain.put(encode(data))
    one, other = plain.get(key), plain.get(key)
    assert not one.buffers[0].readonly
    one.buffers[0][-1] ^= 255
    assert value_of(other) == data


@pytest.mark.parametrize("size", [100, STEP_BYTES - 1000, STEP_BYTES, 5 * STEP_BYTES + 17])
@pytest.mark.parametrize("checksum", [True, False])
def test_the_sum_that_is_made_on_the_way_is_right(plain, size, checksum):
    payload = encode(bytearray(os.urandom(size)), checksum=checksum)
    frames = plain.get(plain.put(payload))
    expected = zlib.crc32(payload.tobytes()[48:])
    assert frames.crc in ({expected} if checksum and size > 70_000 else {None, expected})
    if not checksum:
        assert frames.crc is None
    Payload.parse(frames).verify()


def test_a_sum_goes_on_where_it_was_when_a_part_is_fetched_again():
    whole = memoryview(bytearray(encode(bytearray(os.urandom(4 * STEP_BYTES))).tobytes()))
    summing = Summing()
    for end in (100, STEP_BYTES + 100, STEP_BYTES // 2, 2 * STEP_BYTES + 500, 300, len(whole)):
        summing.reach(whole, end)
    assert summing.of(whole) == zlib.crc32(whole[48:])
    unfinished = Summing()
    unfinished.reach(whole, STEP_BYTES * 2)
    assert unfinished.of(whole) is None


def test_the_deadline_is_looked_at_in_each_step(plain, monkeypatch):
    payload = encode(bytearray(os.urandom(LARGE)))
    plain.put(payload)
    seconds_left, calls = transfer.seconds_left, []
    monkeypatch.setattr(transfer, "seconds_left", lambda deadline: calls.append(1) or seconds_left(deadline))
    plain.get(payload.key)
    assert len(calls) > 2
