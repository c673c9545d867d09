"""Payloads cross to Redis and back in one exchange or in pieces, uncopied and summed on the way."""

import os

import pytest
from usage import LARGE, value_of

from psk.connectors import allocate
from psk.connectors.toolkit import transfer
from psk.connectors.toolkit.transfer import STEP_BYTES, Summing
from psk.errors import PayloadError
from psk.wire import CHUNK_BYTES, Payload, encode
from psk_connector_redis import connection, reading, writing
from psk_connector_redis.channel import FIRST_BYTES
from psk_connector_redis.connection import Connection

LONG = FIRST_BYTES + 4_000_000


def prefix_of(connector):
    return connector.config()["prefix"]


def calls_of(client):
    """Count the commands that the server has run, by name."""
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}


@pytest.mark.parametrize("size", [10, LARGE, LONG])
def test_each_operation_is_one_exchange_but_the_get_of_a_long_object(plain, client, monkeypatch, size):
    payload = encode(os.urandom(size))
    plain.put(encode(b"opens the connection"))
    sent = []
    send = Connection.send
    monkeypatch.setattr(Connection, "send", lambda *arguments: sent.append(1) or send(*arguments))
    for command, count, packets, call in (
        ("set", 1, 1, lambda: plain.put(payload)),
        ("getrange", *((5, 3) if size == LONG else (1, 1)), lambda: plain.get(payload.key)),
        ("getrange", 2, 1, lambda: plain.get_range(payload.key, 10, 100)),
        ("exists", 1, 1, lambda: plain.exists(payload.key)),
    ):
        before = calls_of(client)
        sent.clear()
        call()
        after = calls_of(client)
        assert after[command] - before.get(command, 0) == count
        assert len(sent) == packets
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


@pytest.mark.parametrize("size", [100, STEP_BYTES, CHUNK_BYTES, 5 * CHUNK_BYTES + 17, LONG])
@pytest.mark.parametrize("checksum", [True, False])
def test_the_sum_that_is_made_on_the_way_is_right(plain, size, checksum):
    payload = encode(bytearray(os.urandom(size)), checksum=checksum)
    frames = plain.get(plain.put(payload))
    assert frames.sums == (payload.sums if checksum and size == LONG else None)
    Payload.parse(frames).verify()


def test_a_sum_goes_on_where_it_was_when_a_part_is_fetched_again():
    payload = encode(bytearray(os.urandom(4 * CHUNK_BYTES)))
    whole = memoryview(bytearray(payload.tobytes()))
    summing = Summing()
    for end in (100, CHUNK_BYTES + 500, CHUNK_BYTES // 2, 2 * CHUNK_BYTES + 500, 300, len(whole)):
        summing.reach(whole, end)
    assert summing.of(whole) == payload.sums
    unfinished = Summing()
    unfinished.reach(whole, CHUNK_BYTES * 2)
    assert unfinished.of(whole) is None


@pytest.mark.parametrize("size", [FIRST_BYTES, FIRST_BYTES + 1, LONG, 3 * FIRST_BYTES + 77])
def test_pieces_make_up_the_object(plain, client, size):
    data = os.urandom(size - len(encode(b"").tobytes()))
    key = plain.put(encode(data))
    before = calls_of(client)
    assert value_of(plain.get(key)) == data
    after = calls_of(client)
    rest = client.strlen(f"{prefix_of(plain)}:{{{key}}}") - FIRST_BYTES
    assert after["getrange"] - before.get("getrange", 0) == 1 - -rest // 2**20
    assert after.get("get", 0) == before.get("get", 0)


@pytest.fixture
def interfering(monkeypatch):
    """Return a function that has something done once, after the first piece of an object has arrived."""

    def interfere(deed):
        def interfered(*arguments, **options):
            monkeypatch.undo()
            deed()
            return fill(*arguments, **options)

        fill = reading._fill
        monkeypatch.setattr(reading, "_fill", interfered)

    return interfere


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("size", [LARGE, LONG, 100])
def test_pieces_of_two_versions_are_never_mixed(plain, interfering, size, checksum):
    first = encode(os.urandom(LONG), checksum=checksum)
    second = encode(os.urandom(size), object_id=first.object_id, revision=1, checksum=checksum)
    plain.put(first)
    interfering(lambda: plain.swap(first.key, second))
    found = plain.get(first.key).buffers[0]
    assert found == (second if checksum else first).tobytes()  # without one it comes in one answer
    plain.evict(first.key)


def test_an_object_that_is_evicted_between_its_pieces_is_missing(plain, interfering):
    key = plain.put(encode(os.urandom(LONG)))
    interfering(lambda: plain.evict(key))
    assert plain.get(key) is None


def test_an_object_that_becomes_several_parts_between_its_pieces(plain, interfering, monkeypatch):
    first = encode(os.urandom(LONG))
    second = encode(os.urandom(LONG), object_id=first.object_id, revision=1)
    plain.put(first)

    def swap():
        monkeypatch.setattr(writing, "LONGEST_STRING", 1_000_000)
        monkeypatch.setattr(writing, "PART_BYTES", 900_000)
        plain.swap(first.key, second)

    interfering(swap)
    assert plain.get(first.key).buffers[0] == second.tobytes()


def test_damage_is_returned_as_it_is_and_found_by_the_check(plain, client):
    payload = encode(os.urandom(LONG))
    plain.put(payload)
    name = f"{prefix_of(plain)}:{{{payload.key}}}"
    client.setrange(name, LONG - 5, b"?????")
    with pytest.raises(PayloadError, match="checksum"):
        Payload.parse(plain.get(payload.key)).verify()
    client.set(name, client.getrange(name, 0, FIRST_BYTES + 500_000))
    assert len(plain.get(payload.key).buffers[0]) == FIRST_BYTES + 500_001


def test_no_memory_is_allocated_for_what_a_header_claims(plain, client, monkeypatch):
    payload = encode(os.urandom(LONG))
    plain.put(payload)
    name = f"{prefix_of(plain)}:{{{payload.key}}}"
    client.setrange(name, 24, (10**15).to_bytes(8, "little"))
    allocated = []
    for module in (reading, connection):
        monkeypatch.setattr(module, "allocate", lambda nbytes: allocated.append(nbytes) or allocate(nbytes))
    assert plain.get(payload.key).nbytes == payload.nbytes
    assert max(allocated) == payload.nbytes


def test_the_deadline_is_looked_at_in_each_step(plain, monkeypatch):
    payload = encode(bytearray(os.urandom(LONG)))
    plain.put(payload)
    seconds_left, calls = transfer.seconds_left, []
    monkeypatch.setattr(transfer, "seconds_left", lambda deadline: calls.append(1) or seconds_left(deadline))
    plain.get(payload.key)
    assert len(calls) > 2
