"""Does each channel keep the rules of the capabilities it has (C39 to C57 of docs/contract.md)?"""

import asyncio
import collections
import threading
import time

import pytest

from psk.connectors import (
    SupportsAsync,
    SupportsBatch,
    SupportsExpiry,
    SupportsList,
    SupportsRange,
    SupportsReserve,
    SupportsSwap,
    SupportsTake,
    SupportsWait,
)
from psk.errors import (
    DeadlineError,
    InvalidArgumentError,
    InvalidKeyError,
    KeyExistsError,
    MissingKeyError,
    RevisionConflictError,
)
from psk.wire import encode, new_object_id

MISSING = "0" * 32


@pytest.fixture
def capable(connector):
    """Give the connector if it has a capability, skip the test otherwise."""

    def capable(capability):
        if not isinstance(connector, capability):
            pytest.skip(f"the map of docs/contract.md says that {connector.scheme} has no {capability.__name__}")
        return connector

    return capable


def in_threads(count, function):
    """Run a function in many threads at the same instant; return what they returned."""
    start, results = threading.Barrier(count), []

    def run(number):
        start.wait()
        results.append(function(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_reserved_key_has_its_object_later(capable, decoded):  # C40, C41
    connector = capable(SupportsReserve)
    object_id = new_object_id()
    key = connector.reserve(object_id, ttl=100)
    assert connector.get(key) is None
    assert not connector.exists(key)
    connector.fulfil(key, encode("later", object_id=object_id))
    connector.fulfil(key, encode("later", object_id=object_id))
    assert decoded(connector.get(key)) == "later"
    with pytest.raises(KeyExistsError):
        connector.fulfil(key, encode("too late", object_id=object_id))


def test_a_reserved_key_refuses_another_object(capable):  # C41
    connector = capable(SupportsReserve)
    key = connector.reserve(new_object_id())
    with pytest.raises(InvalidKeyError, match="another object"):
        connector.fulfil(key, encode("foreign"))
    for wrong in (b"short", "0" * 32, None):
        with pytest.raises(InvalidArgumentError):
            connector.reserve(wrong)


def test_wait_returns_what_is_there(capable):  # C42
    connector = capable(SupportsWait)
    keys = [connector.put(encode(number)) for number in range(3)]
    assert connector.wait([keys[2], MISSING, keys[0]], timeout=1) == [keys[2], keys[0]]
    with pytest.raises(DeadlineError):
        connector.wait([MISSING], timeout=0)


def test_wait_wakes_up_with_the_object(capable):  # C42
    connector = capable(SupportsWait)
    delays = []
    for _ in range(20):
        payload, done = encode("here"), []
        waiter = threading.Thread(
            target=lambda key=payload.key, done=done: done.append((connector.wait([key], timeout=10), time.monotonic()))
        )
        waiter.start()
        time.sleep(0.005)
        put = time.monotonic()
        connector.fulfil(connector.reserve(payload.object_id), payload)
        waiter.join()
        assert done[0][0] == [payload.key]
        delays.append(done[0][1] - put)
    assert sorted(delays)[10] < 0.05


def test_many_wait_for_one(capable):  # C42
    connector = capable(SupportsWait)
    payload = encode("for all")
    timer = threading.Timer(0.05, connector.put, [payload])
    timer.start()
    found = in_threads(16, lambda _: connector.wait([MISSING, payload.key], timeout=10))
    timer.join()
    assert found == [[payload.key]] * 16


def test_batches_answer_in_order(capable, decoded):  # C43
    connector = capable(SupportsBatch)
    keys = connector.put_batch([encode(number) for number in range(5)])
    connector.evict_batch(keys[1:2])
    assert connector.exists_batch(keys) == [True, False, True, True, True]
    got = connector.get_batch(keys)
    assert [frames and decoded(frames) for frames in got] == [0, None, 2, 3, 4]


def test_an_expired_object_is_gone(capable):  # C44
    connector = capable(SupportsExpiry)
    for call in (
        connector.get,
        connector.exists,
        lambda key: connector.take(key, "me"),
        lambda key: connector.get_range(key, 0, 9),
        lambda key: key in set(connector.keys()),
        lambda key: connector.renew(key, 9),
    ):
        key = connector.put(encode("brief"), ttl=0.05)
        assert connector.exists(key)
        time.sleep(0.06)
        assert not call(key)


def test_an_expired_name_is_free_again(capable, decoded):  # C44
    connector = capable(SupportsExpiry)
    payload = encode("again")
    connector.put(payload, ttl=0.02)
    time.sleep(0.03)
    connector.put(payload)
    time.sleep(0.03)
    assert decoded(connector.get(payload.key)) == "again"


def test_the_first_expiry_stays(capable):  # C15
    connector = capable(SupportsExpiry)
    payload = encode("same")
    connector.put(payload)
    connector.put(payload, ttl=0.01)
    time.sleep(0.02)
    assert connector.exists(payload.key)


def test_renewing_moves_the_expiry(capable):  # C45
    connector = capable(SupportsExpiry)
    key = connector.put(encode("longer"), ttl=0.1)
    assert connector.renew(key, 1000)
    forever = connector.put(encode("forever"), ttl=0.1)
    assert connector.renew(forever, None)
    shorter = connector.put(encode("shorter"))
    assert connector.renew(shorter, 0.1)
    time.sleep(0.12)
    assert connector.exists(key)
    assert connector.exists(forever)
    assert not connector.exists(shorter)
    assert not connector.renew(MISSING, 1)


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e30, "1"])
def test_a_senseless_ttl_is_refused(capable, ttl):  # C18
    connector = capable(SupportsExpiry)
    payload = encode(1)
    with pytest.raises(InvalidArgumentError):
        connector.put(payload, ttl=ttl)
    assert not connector.exists(payload.key)
    with pytest.raises(InvalidArgumentError):
        connector.renew(MISSING, ttl)
    with pytest.raises(InvalidArgumentError):
        connector.take(MISSING, "me", lease=ttl)


def test_a_century_is_not_too_long(capable):  # C18
    connector = capable(SupportsExpiry)
    key = connector.put(encode("heirloom"), ttl=3e9)
    assert connector.exists(key)
    connector.evict(key)


def test_the_first_claim_wins(capable, decoded):  # C47, C48
    connector = capable(SupportsTake)
    key = connector.put(encode("prize"))
    assert decoded(connector.take(key, "first")) == "prize"
    assert connector.take(key, "second") is None
    assert decoded(connector.take(key, "first")) == "prize"
    assert connector.take(MISSING, "first") is None
    assert decoded(connector.get(key)) == "prize"  # C50


def test_a_race_has_one_winner(capable, scale):  # C47
    connector = capable(SupportsTake)
    for turn in range(scale("connectors.take_races")):
        key = connector.put(encode(turn))
        won = in_threads(8, lambda number, key=key: connector.take(key, f"claim {number}") is not None)
        assert won.count(True) == 1
        connector.evict(key)


def test_a_lease_gives_the_object_back(capable):  # C48, C49
    connector = capable(SupportsTake)
    key = connector.put(encode("lent"))
    assert connector.take(key, "slow", lease=0.1) is not None
    assert connector.take(key, "next") is None
    assert connector.take(key, "slow", lease=0.2) is not None  # anew
    time.sleep(0.12)
    assert connector.take(key, "next") is None
    time.sleep(0.1)
    assert connector.take(key, "next") is not None
    assert connector.take(key, "slow") is None


def test_evict_ends_a_claim(capable):  # C28, C50
    connector = capable(SupportsTake)
    payload = encode("done")
    key = connector.put(payload)
    connector.take(key, "first")
    connector.evict(key)
    assert connector.take(key, "first") is None
    connector.put(payload)
    assert connector.take(key, "second") is not None


@pytest.mark.parametrize("claim", ["", "x" * 129, "new\nline", "é", None, b"bytes"])
def test_a_senseless_claim_is_refused(capable, claim):  # C50
    with pytest.raises(InvalidArgumentError):
        capable(SupportsTake).take(MISSING, claim)


@pytest.mark.parametrize("checksum", [True, False])
def test_a_swap_follows_the_current_revision(capable, decoded, checksum):  # C51, C53
    connector = capable(SupportsSwap)
    first = encode("one", checksum=checksum)
    key = connector.put(first)
    second = encode("two", object_id=first.object_id, revision=1, checksum=checksum)
    connector.swap(key, second)
    connector.swap(key, second)
    assert decoded(connector.get(key)) == "two"
    for revision in (0, 1, 3):
        with pytest.raises(RevisionConflictError, match="revision 1"):
            connector.swap(key, encode("off", object_id=first.object_id, revision=revision, checksum=checksum))
    with pytest.raises(InvalidKeyError):
        connector.swap(key, encode("foreign", revision=2))
    connector.evict(key)
    with pytest.raises(MissingKeyError):
        connector.swap(key, encode("gone", object_id=first.object_id, revision=2))


def test_of_many_swaps_one_succeeds(capable):  # C51
    connector = capable(SupportsSwap)
    payload = encode(0)
    key = connector.put(payload)

    def swap(number, revision):
        try:
            connector.swap(key, encode(number, object_id=payload.object_id, revision=revision))
        except RevisionConflictError:
            return False
        return True

    for revision in range(1, 30):
        won = in_threads(6, lambda number, revision=revision: swap(number, revision))
        assert won.count(True) == 1


def test_swaps_are_never_seen_going_backwards(capable, decoded):  # C52
    connector = capable(SupportsSwap)
    payload = encode(0)
    key = connector.put(payload)
    seen, stop = collections.defaultdict(list), threading.Event()

    def read(number):
        while not stop.is_set():
            seen[number].append(decoded(connector.get(key)))

    readers = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for reader in readers:
        reader.start()
    for revision in range(1, 300):
        connector.swap(key, encode(revision, object_id=payload.object_id, revision=revision))
    stop.set()
    for reader in readers:
        reader.join()
    assert all(values == sorted(values) for values in seen.values())


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_range_is_a_part_of_the_whole(capable, size):  # C54
    connector = capable(SupportsRange)
    payload = encode([b"x" * size, bytearray(range(256)) * (size // 200)])
    whole = payload.tobytes()
    key = connector.put(payload)
    end = len(whole)
    for offset, length in ((0, end), (0, 0), (5, 60), (60, 100), (end - 3, 10), (end, 5), (end + 9, 5), (0, 2 * end)):
        assert bytes(connector.get_range(key, offset, length)) == whole[offset : offset + length]
    assert connector.get_range(MISSING, 0, 1) is None
    for wrong in ((-1, 1), (0, -1), ("0", 1), (0, None)):
        with pytest.raises(InvalidArgumentError):
            connector.get_range(key, *wrong)


def test_keys_and_clear(capable):  # C55, C56
    connector = capable(SupportsList)
    keys = {connector.put(encode(number)) for number in range(10)}
    keys.add(connector.put(encode("with expiry"), ttl=1000))
    assert set(connector.keys()) == keys
    assert connector.clear() == 11
    assert list(connector.keys()) == []
    assert connector.clear() == 0


def test_coroutines_do_the_same(capable, decoded):  # C57
    connector = capable(SupportsAsync)

    async def main():
        key = await connector.aput(encode("async"), ttl=100)
        there = await connector.aexists(key)
        value = decoded(await connector.aget(key, size=100))
        await connector.aevict(key)
        return there, value, await connector.aexists(key)

    assert asyncio.run(main()) == (True, "async", False)
