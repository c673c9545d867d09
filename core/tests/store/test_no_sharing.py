"""Changes to one object are never seen through another, except in populated proxies and objects from get."""

import pickle

import numpy as np
import pytest

from psk import Store
from psk.errors import PskError

SIZES = {"small": 10, "in-band": 400, "below a page": 5_000, "copied": 7_000, "mapped": 100_000}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_change_of_the_source_after_put_is_not_seen(store, size):
    source = np.zeros(size)
    key = store.put(source)
    proxy = pickle.loads(pickle.dumps(store.proxy(source)))
    source[:] = 1
    assert store.get(key).sum() == 0
    assert proxy.sum() == 0


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_change_of_one_target_is_not_seen_through_another(store, size):
    key = store.put(np.zeros(size))
    for _ in range(4):  # uncached, entering the cache, and twice from it
        target = store.get(key)
        assert target.sum() == 0
        target += 1


def test_two_proxies_of_one_key_share_no_list(store):
    key = store.put([1, 2])
    first, second = store.proxy_from_key(key), store.proxy_from_key(key)
    first.append(3)
    assert second == [1, 2]
    assert store.get(key) == [1, 2]


def test_cached_objects_are_shared_on_request(uri):
    with Store("models", uri, cache="objects") as store:
        key = store.put([1])
        assert store.get(key) is store.get(key)


def test_the_cache_is_bounded_by_count_and_bytes(uri):
    with Store("bounded", uri, cache_size=2, cache_bytes=10_000) as store:
        keys = store.put_batch([b"a", b"b", b"c"])
        for key in keys:
            store.get(key)
        assert [store.is_cached(key) for key in keys] == [False, True, True]
        large = store.put(bytes(20_000))
        store.get(large)
        assert not store.is_cached(large)
        assert store.is_cached(keys[2])


def test_setting_a_cached_key_again_keeps_the_cache_whole(uri):
    with Store("again", uri, cache_size=2) as store:
        keys = store.put_batch([[1], [2], [3]])
        for _ in range(3):
            for key in (keys[0], keys[0], keys[1], keys[2], keys[0]):
                store.get(key)
        assert store.get_batch(keys) == [[1], [2], [3]]


def test_a_large_payload_enters_the_cache_at_its_second_fetch(tmp_path):
    with Store("large", f"file://{tmp_path}/objects") as store:
        key = store.put(np.ones(100_000))
        store.get(key)
        assert not store.is_cached(key)
        store.get(key)
        assert store.is_cached(key)
        assert store.get(key).sum() == 100_000
        store.clear()


def test_an_evicted_object_is_not_served_from_the_cache(store):
    key = store.put("x")
    assert store.get(key) == "x"
    store.evict(key)
    assert store.get(key) is None


def test_a_per_call_deserializer_is_used_even_when_cached(store):
    key = store.put(b"x")
    assert store.get(key) == b"x"
    assert store.get(key, deserializer=lambda encoded: encoded + b"!") == b"x!"


def test_what_expires_is_never_cached(store):
    key = store.put("soon", ttl=60)
    assert store.get(key) == "soon"
    assert not store.is_cached(key)


def test_a_wrong_deserializer_is_named(store):
    with pytest.raises(PskError, match="deserializer"):
        store.get(store.put(b"x"), deserializer=lambda encoded: 1 / 0)
