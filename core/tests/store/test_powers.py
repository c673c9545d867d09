"""Use optional capabilities of a channel through a store, and refuse them on channels without them."""

import asyncio
import json
import time

import pytest

from psk import Store
from psk.connectors import SupportsExpiry, SupportsSwap, SupportsTake
from psk.errors import CapabilityError, InvalidKeyError, MissingKeyError, RevisionConflictError
from psk_testing.timing import at_some_pace


@pytest.fixture(params=["local", "file", "shm"])
def store(request, tmp_path):
    uri = {"local": "local://", "file": f"file://{tmp_path}/objects", "shm": "shm://"}[request.param]
    with Store("powers", uri, metrics=True) as opened:
        yield opened
        opened.clear()  # a thread lives as long as something has yet to expire


@pytest.fixture
def swapping():
    with Store("swapping", "local://", cache_size=4) as opened:
        yield opened
        opened.clear()


class Ended:
    """A lifetime that only tells what is attached to it, and how long that is to live."""

    ttl = 0.2

    def __init__(self):
        self.keys = []

    def add_key(self, *keys, store):
        self.keys += keys


def test_a_store_tells_what_its_channel_can_do(tmp_path):
    with Store("file", f"file://{tmp_path}/objects") as opened:
        assert opened.supports(SupportsExpiry, SupportsTake)
        assert not opened.supports(SupportsExpiry, SupportsSwap)


def test_renewing_moves_the_end(store):
    def attempt(pace):
        short, renewed, freed = (store.put(number, ttl=0.2 * pace) for number in range(3))
        assert store.renew(renewed, 60)
        assert store.renew(freed, None)
        time.sleep(0.2 * pace + 0.1)
        assert [store.exists(key) for key in (short, renewed, freed)] == [False, True, True]
        assert not store.renew(short, 60)

    at_some_pace(attempt)


def test_a_taken_object_is_given_to_one_claim(store):
    key = store.put([1, 2])
    assert store.take(key, "first") == [1, 2]
    assert store.take(key, "second", default="none") == "none"
    assert store.take(key, "first") == [1, 2]
    store.evict(key)
    assert store.take(key, "first") is None
    assert store.metrics.times["store.take"].count == 4


def test_a_lease_gives_a_taken_object_back(store):
    key = store.put("prize")
    assert store.take(key, "first", lease=0.2) == "prize"
    time.sleep(0.3)
    assert store.take(key, "second") == "prize"


def test_a_swap_follows_the_current_revision(swapping):
    key = swapping.put("one")
    swapping.swap(key, "two", revision=1)
    assert (swapping.get(key), swapping.stat(key).revision) == ("two", 1)
    with pytest.raises(RevisionConflictError):
        swapping.swap(key, "other two", revision=1)
    swapping.evict(key)
    with pytest.raises(MissingKeyError):
        swapping.swap(key, "three", revision=2)


def test_another_store_never_goes_on_giving_an_old_version(swapping):
    with Store("reader", swapping.uri, cache_size=4) as reader:
        key = swapping.put(["one"], ttl=60)
        assert [reader.get(key), reader.get(key)] == [["one"]] * 2
        for revision in range(1, 4):
            swapping.swap(key, [revision], revision=revision)
            assert [reader.get(key), reader.get(key), swapping.get(key)] == [[revision]] * 3


def test_a_channel_without_the_power_says_so(tmp_path):
    with Store("file", f"file://{tmp_path}/objects") as opened:
        key = opened.put("one")
        with pytest.raises(CapabilityError, match=r"store 'file' cannot swap an object.* has no SupportsSwap; put the"):
            opened.swap(key, "two", revision=1)
        assert opened.get(key) == "one"


@pytest.mark.parametrize("call", ["renew", "take", "swap"])
def test_a_malformed_key_is_refused(swapping, call):
    arguments = {"renew": ((1.0,), {}), "take": (("me",), {}), "swap": ((1,), {"revision": 1})}[call]
    with pytest.raises(InvalidKeyError):
        getattr(swapping, call)("../key", *arguments[0], **arguments[1])


def test_what_is_taken_is_decoded_as_what_is_got(tmp_path):
    def read(encoded):
        return "read", json.loads(bytes(encoded))

    with Store("json", "local://", serializer=lambda obj: json.dumps(obj).encode(), deserializer=read) as opened:
        keys = opened.put_batch([1, 2])
        assert opened.get_batch(keys) == opened.get_batch(keys) == [("read", 1), ("read", 2)]
        assert opened.take(keys[0], "me") == ("read", 1)
        assert opened.take(keys[1], "me", deserializer=bytes) == b"2"


def test_objects_put_for_a_lifetime_live_as_long_as_it_says(store):
    ended = Ended()
    keys = [
        store.put(1, lifetime=ended),
        *store.put_batch([2], lifetime=ended),
        asyncio.run(store.aput(3, lifetime=ended)),
    ]
    store.proxy([4], lifetime=ended)
    store.proxy_batch([[5], [6]], lifetime=ended)
    kept = store.put(7, lifetime=ended, ttl=60)
    assert ended.keys[:3] == keys
    assert len(ended.keys) == 7
    time.sleep(0.4)
    assert [key for key in ended.keys if store.exists(key)] == [kept]
