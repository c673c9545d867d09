"""Payloads in parts come back whole; damaged parts and manifests are found."""

import os

import pytest
from interference import names_in
from large_objects import PART, large

from psk.errors import ChannelDataError, KeyExistsError, PayloadError
from psk.wire import Payload, decode, encode
from psk_connector_redis import reading
from psk_connector_redis.reading import MANIFEST_BYTES, MOST_PARTS, Manifest, is_manifest
from psk_connector_redis.scripts import MANIFEST_MAGIC

pytestmark = pytest.mark.usefixtures("parts_of_10_kb")


@pytest.mark.parametrize("checksum", [True, False])
def test_a_payload_in_parts_comes_back_whole(connector, checksum):
    payload = large(150, checksum=checksum)
    key = connector.put(payload)
    frames = connector.get(key)
    [whole] = frames.buffers
    assert whole == payload.tobytes()
    assert not whole.readonly
    assert (frames.sums is not None) == checksum
    assert frames.sums == (payload.sums or None)
    received = Payload.parse(frames)
    received.verify()
    assert decode(received) == decode(Payload.parse(payload.received))
    # The same again is the same; another under its name is not.
    assert connector.put(payload) == key
    other = large(checksum=checksum, object_id=payload.object_id)
    with pytest.raises(KeyExistsError):
        connector.put(other)
    small = encode(b"small", checksum=checksum, object_id=payload.object_id)
    with pytest.raises(KeyExistsError):
        connector.put(small)
    assert connector.get(key).buffers[0] == whole
    connector.evict(key)
    assert connector.get(key) is None
    connector.put(small)
    with pytest.raises(KeyExistsError):
        connector.put(other)


def test_what_differs_in_its_last_byte_is_another_payload(connector):
    data = bytearray(os.urandom(3 * PART))
    payload = encode(data, checksum=False)
    connector.put(payload)
    data[-1] ^= 1
    with pytest.raises(KeyExistsError):
        connector.put(encode(data, checksum=False, object_id=payload.object_id))


@pytest.mark.parametrize("offset", [0, 1, 47, PART - 1, PART, PART + 1, 3 * PART - 5, 10**6, 2**62])
@pytest.mark.parametrize("length", [0, 1, 100, PART, PART + 2, 2 * PART + 1, 2**62])
def test_a_range_may_lie_over_several_parts(plain, offset, length):
    payload = large()
    key = plain.put(payload)
    assert plain.get_range(key, offset, length) == payload.tobytes()[offset : offset + length]


def test_a_range_asks_for_no_more_than_it_needs(plain, monkeypatch):
    payload = large()
    key = plain.put(payload)
    read = []
    monkeypatch.setattr(reading, "allocate", lambda size: read.append(size) or memoryview(bytearray(size)))
    plain.get_range(key, PART - 10, 20)
    assert read == [20]


def test_parts_have_the_time_to_live_of_their_object(plain, client, prefix):
    payload = large()
    plain.put(payload, ttl=500)
    left = [client.pttl(name) for name in names_in(client, prefix)]
    assert len(left) == 1 + -(-payload.nbytes // PART)
    assert all(490_000 < each <= 500_000 for each in left)
    plain.evict(payload.key)
    assert names_in(client, prefix) == []
    plain.put(payload)
    assert {client.pttl(name) for name in names_in(client, prefix)} == {-1}


@pytest.mark.parametrize("lost", [1, 3, -1])
def test_an_object_with_a_missing_part_is_not_the_payload_that_is_put(plain, client, prefix, lost):
    payload = large(checksum=False)
    plain.put(payload)
    client.delete(names_in(client, prefix)[lost])
    with pytest.raises(KeyExistsError):
        plain.put(payload)


def test_a_missing_part_is_damage_and_an_evicted_object_is_missing(plain, client, prefix, monkeypatch):
    payload = large()
    key = plain.put(payload)
    client.delete(names_in(client, prefix)[2])
    with pytest.raises(PayloadError, match="missing"):
        plain.get(key)
    with pytest.raises(PayloadError, match="missing"):
        plain.get_range(key, 0, 2**40)
    plain.evict(key)
    assert names_in(client, prefix) == []
    # Evicted between the manifest and the parts; and another version put in its place.
    plain.put(payload)
    read_parts, then = reading.read_parts, []

    def interfere(channel, key, *arguments, **options):
        if then:
            then.pop()()
        return read_parts(channel, key, *arguments, **options)

    monkeypatch.setattr(reading, "read_parts", interfere)
    then.append(lambda: plain.evict(key))
    assert plain.get(key) is None
    plain.put(payload)
    then.append(lambda: (plain.evict(key), plain.put(payload)))
    assert plain.get(key).buffers[0] == payload.tobytes()


def test_a_part_of_another_length_is_foreign_data(plain, client, prefix):
    key = plain.put(large())
    name = names_in(client, prefix)[1]
    client.append(name, b"more")
    with pytest.raises(ChannelDataError, match="length"):
        plain.get(key)
    client.delete(name)
    client.hset(name, "a", "b")
    with pytest.raises(ChannelDataError):
        plain.get(key)


@pytest.mark.parametrize(
    "claim",
    [(2**60, 2**50), (2**63, 2**60), (2**64 - 1, 1), (PART * MOST_PARTS, PART), (100, 0), (0, 0), (100, 100)],
)
def test_nothing_is_allocated_for_what_a_manifest_claims(plain, client, prefix, monkeypatch, claim):
    read = []
    monkeypatch.setattr(reading, "allocate", lambda size: read.append(size) or memoryview(bytearray(size)))
    payload = encode(b"x")
    manifest = Manifest(payload.tobytes()[:48], *claim, b"0" * 16)
    client.set(f"{prefix}:{{{payload.key}}}", manifest.write())
    for call in (plain.get, lambda key: plain.get_range(key, 0, 2**62)):
        with pytest.raises((ChannelDataError, PayloadError)):
            call(payload.key)
    assert read == []
    client.delete(f"{prefix}:{{{payload.key}}}")


def test_a_damaged_manifest_is_foreign_data(plain, client, prefix):
    payload = large()
    key = plain.put(payload)
    name = f"{prefix}:{{{key}}}"
    stored = client.get(name)
    assert len(stored) == MANIFEST_BYTES
    assert stored.startswith(MANIFEST_MAGIC)
    assert is_manifest(stored)
    client.set(name, stored[:-1])
    calls = (plain.get, lambda key: plain.get_range(key, 0, 10), lambda key: plain.renew(key, 10))
    for call in (*calls, lambda _: plain.put(payload)):
        with pytest.raises(ChannelDataError, match="damaged; evict it, and put the object again"):
            call(key)
    client.set(name, stored)
    plain.evict(key)
    assert names_in(client, prefix) == []


@pytest.mark.parametrize("call", ["evict", "evict_batch"])
@pytest.mark.parametrize("damage", ["manifest", "long manifest", "hash", "claim", "part"])
def test_what_is_damaged_is_evicted_and_put_again(plain, client, prefix, call, damage):
    payload = large()
    key = plain.put(payload)
    plain.take(key, "somebody")
    name = f"{prefix}:{{{key}}}"
    if damage.endswith("manifest"):
        client.set(name, MANIFEST_MAGIC + b"nonsense" * (1 if damage == "manifest" else 50_000))
    else:
        name += {"hash": "", "claim": ":claim", "part": ":part:x:0"}[damage]
        name = names_in(client, prefix)[2] if damage == "part" else name
        client.delete(name)
        client.hset(name, "a", "b")
    getattr(plain, call)([key] if call == "evict_batch" else key)
    assert plain.get(key) is None
    plain.put(payload)
    assert plain.get(key).buffers[0] == payload.tobytes()
    plain.evict(key)
    plain.clear()  # of parts that only the damaged manifest knew
    assert names_in(client, prefix) == []
