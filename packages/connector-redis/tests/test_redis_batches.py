"""A batch does for each of its objects what a single call does, in far fewer exchanges."""

import os
import threading

import pytest
from usage import opened, value_of

from psk.errors import ChannelDataError, DeadlineError, KeyExistsError, PayloadError
from psk.store import Store
from psk.wire import Payload, decode, encode
from psk_connector_redis import batches

MISSING = "0" * 32
SIZES = (0, 10, batches.SHORT_BYTES - 200, batches.SHORT_BYTES + 1, 500_000, batches.MOST_BYTES + 1)


def test_sizes_of_every_kind_go_together(connector):
    values = [os.urandom(size) for size in SIZES for _ in range(3)]
    keys = connector.put_batch([encode(value) for value in values], ttl=100)
    assert connector.exists_batch([*keys, MISSING]) == [True] * len(keys) + [False]
    assert [value_of(frames) for frames in connector.get_batch(keys)] == values
    backwards = connector.get_batch([MISSING, *reversed(keys), MISSING, keys[0]])
    assert [backwards[0], backwards[-2]] == [None, None]
    assert [value_of(frames) for frames in backwards[1:-2]] == values[::-1]
    assert value_of(backwards[-1]) == values[0]
    connector.evict_batch([*keys[1:], MISSING])
    assert connector.exists_batch(keys) == [True] + [False] * (len(keys) - 1)


def test_an_empty_batch_is_no_exchange(plain, exchanges):
    assert plain.put_batch([]) == plain.get_batch([]) == plain.exists_batch([]) == []
    plain.evict_batch([])
    assert exchanges == []


def test_many_objects_take_few_exchanges(plain, exchanges):
    payloads = [encode(b"%d" % number * 100) for number in range(2 * batches.MOST_COMMANDS + 1)]
    keys = plain.put_batch(payloads)
    assert len(exchanges) <= 60  # on a busy machine answers arrive in pieces
    exchanges.clear()
    assert None not in plain.get_batch(keys)
    assert all(plain.exists_batch(keys))
    assert len(exchanges) <= 60  # 700 kB of answers
    plain.evict(keys[0])
    exchanges.clear()
    plain.evict_batch(keys)
    assert len(exchanges) <= 60  # on a busy machine answers arrive in pieces
    assert not any(plain.exists_batch(keys))


def test_a_server_that_knows_no_script_learns_it_once(plain, client, exchanges):
    keys = plain.put_batch([encode(number) for number in range(300)])
    client.script_flush()
    exchanges.clear()
    plain.evict_batch(keys)
    assert len(exchanges) <= 60  # on a busy machine answers arrive in pieces
    assert not any(plain.exists_batch(keys))


def test_each_object_of_a_batch_is_written_once(connector):
    payloads = [encode(os.urandom(100)) for _ in range(20)]
    keys = connector.put_batch(payloads)
    assert connector.put_batch([*payloads, *payloads]) == keys * 2
    other = encode(b"other", object_id=payloads[7].object_id)
    more = encode(b"more")
    with pytest.raises(KeyExistsError):
        connector.put_batch([more, other])
    assert value_of(connector.get(keys[7])) == decode(Payload.parse(payloads[7].received))
    assert connector.exists(more.key)


def test_what_is_foreign_is_told_as_a_single_call_does(plain, client, prefix):
    keys = [encode(number).key for number in range(4)]
    names = [f"{prefix}:{{{key}}}" for key in keys]
    client.set(names[0], b"")
    client.set(names[1], b"nonsense")
    client.hset(names[2], "a", "b")
    assert plain.exists_batch(keys) == [True, True, True, False]
    empty, nonsense = plain.get_batch(keys[:2])
    for frames in (empty, nonsense):
        with pytest.raises(PayloadError):
            Payload.parse(frames)
    for call in (plain.get, lambda key: plain.get_batch([keys[3], key])):
        with pytest.raises(ChannelDataError):
            call(keys[2])
    client.delete(*names)


def test_a_batch_keeps_its_deadline(plain):
    payloads = [encode(number) for number in range(100)]
    for call in (plain.put_batch, lambda _, **options: plain.get_batch([MISSING] * 10, **options)):
        with pytest.raises(DeadlineError):
            call(payloads, timeout=0)


def test_a_batch_wakes_those_who_wait(plain, uri):
    payloads = [encode(number) for number in range(50)]
    found = []
    other = opened(uri)
    waiting = threading.Thread(target=lambda: found.extend(other.wait([payloads[40].key], timeout=10)))
    waiting.start()
    plain.put_batch(payloads)
    waiting.join(10)
    other.close()
    assert found == [payloads[40].key]


def test_a_store_uses_it(uri, exchanges):
    with Store("batches", uri) as writer, Store("readers", uri) as reader:
        keys = writer.put_batch(range(200))
        exchanges.clear()
        assert reader.get_batch([*keys, MISSING], default="none") == [*range(200), "none"]
        assert len(exchanges) < 20
        writer.evict_batch(keys)
