"""One version of an object follows the other, whatever its size, and whatever interferes."""

import collections
import os
import threading

import pytest
from interference import names_in
from usage import value_of

from psk.errors import ChannelUnavailableError, MissingKeyError, RevisionConflictError
from psk.wire import encode
from psk_connector_redis import writing

LARGE = 300_000


def versions(first, values):
    """Give a payload for each value: one version after the other of one object."""
    return [encode(value, object_id=first.object_id, revision=place) for place, value in enumerate(values)]


@pytest.mark.parametrize("in_parts", [False, True])
def test_versions_of_every_size_follow_each_other(look, prefix, request, in_parts):
    if in_parts:
        request.getfixturevalue("small_parts")
    connector, client = look
    sizes = [10, 700, 2000, 100, 2500, 3000, 5, 100_000, 3]
    values = [os.urandom(size) for size in sizes]
    first, *others = versions(encode(0), values)
    key = connector.put(first, ttl=1000)
    connector.take(key, "first")
    for payload, value in zip(others, values[1:], strict=True):
        for _ in range(2):
            connector.swap(key, payload)
            assert value_of(connector.get(key)) == value
        assert connector.take(key, "second") is None
        assert all(client.pttl(name) > 900_000 for name in names_in(client, prefix))
    connector.swap(key, encode(b"", object_id=first.object_id, revision=len(sizes)), ttl=50)
    assert len(names_in(client, prefix)) == 2
    assert all(0 < client.pttl(name) <= 50_000 for name in names_in(client, prefix))
    connector.evict(key)
    assert names_in(client, prefix) == []


@pytest.mark.parametrize("size", [10, 700, 2000])
def test_a_swap_whose_answer_was_lost_is_one_swap(connector, losing_answers, small_parts, size):
    first, second, third = versions(encode(0), [b"1", b"2" * size, b"3" * size])
    key = connector.put(first)
    for payload in (second, third):
        losing_answers.append(1)
        connector.swap(key, payload)
    assert value_of(connector.get(key)) == b"3" * size


def test_a_swap_in_vain_uploads_nothing(look, prefix, monkeypatch, small_parts):
    connector, client = look
    first, *_, third = versions(encode(0), [b"1" * LARGE] * 3)
    with pytest.raises(MissingKeyError):
        connector.swap(first.key, third)
    key = connector.put(first)
    before = names_in(client, prefix)
    monkeypatch.setattr(writing, "_upload", lambda *_: pytest.fail("uploaded"))
    with pytest.raises(RevisionConflictError, match="revision 0"):
        connector.swap(key, third)
    other_content = encode(b"2" * LARGE, object_id=first.object_id)
    with pytest.raises(RevisionConflictError, match="revision 0"):
        connector.swap(key, other_content)
    assert names_in(client, prefix) == before


@pytest.mark.parametrize("size", [700, 2000])
def test_an_upload_that_vanishes_is_repeated(look, prefix, monkeypatch, small_parts, size):
    connector, client = look
    first, second = versions(encode(0), [b"1", b"2" * size])
    key = connector.put(first)
    upload, left = writing._upload, [2]

    def vanish(*arguments):
        upload(*arguments)
        if left[0]:
            left[0] -= 1
            client.delete(*(name for name in names_in(client, prefix) if b":part:" in name))

    monkeypatch.setattr(writing, "_upload", vanish)
    connector.swap(key, second)
    assert value_of(connector.get(key)) == b"2" * size


@pytest.mark.parametrize("size", [700, 2000])
def test_an_upload_that_is_given_up_leaves_nothing(look, prefix, monkeypatch, small_parts, size):
    connector, client = look
    first, second = versions(encode(0), [b"1", b"2" * size])
    key = connector.put(first)
    upload = writing._upload

    def vanish(*arguments):
        upload(*arguments)
        client.delete(*[name for name in names_in(client, prefix) if b":part:" in name][:1])

    monkeypatch.setattr(writing, "_upload", vanish)
    with pytest.raises(ChannelUnavailableError, match="vanish"):
        connector.swap(key, second)
    assert len(names_in(client, prefix)) == 1

    def break_off(*arguments):
        upload(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_upload", break_off)
    with pytest.raises(KeyboardInterrupt):
        connector.swap(key, second)
    assert len(names_in(client, prefix)) == 1


def test_of_racing_swaps_of_every_size_one_wins(connector, other, small_parts):
    [first] = versions(encode(0), [b"first"])
    key = connector.put(first)
    for revision in range(1, 13):
        won, start = [], threading.Barrier(4)

        def attempt(number, revision=revision, won=won, start=start):
            payload = encode(bytes([number]) * (600 * number), object_id=first.object_id, revision=revision)
            start.wait()
            try:
                (connector, other)[number % 2].swap(key, payload)
            except RevisionConflictError:
                return
            won.append(number)

        threads = [threading.Thread(target=attempt, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert value_of(connector.get(key)) == bytes(won) * (600 * won[0])


def test_readers_of_changing_parts_see_whole_versions_in_order(connector, other, small_parts):
    first = encode(b"\0" * 1500)
    key = connector.put(first)
    seen, stop = collections.defaultdict(list), threading.Event()

    def read(number):
        while not stop.is_set():
            value = value_of(other.get(key))
            assert value == value[:1] * len(value)
            seen[number].append(value[0])

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    for revision in range(1, 120):
        size = (100, 700, 1500)[revision % 3]
        connector.swap(key, encode(bytes([revision]) * size, object_id=first.object_id, revision=revision))
    stop.set()
    for reader in readers:
        reader.join()
    assert all(values == sorted(values) for values in seen.values())
    assert sum(map(len, seen.values())) > 10
