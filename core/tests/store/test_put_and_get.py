"""Put, get, exists and evict on a store, and the errors they raise."""

import numpy as np
import pytest

from psk import Store
from psk.connectors.local import LocalConnector
from psk.errors import (
    CapabilityError,
    CodecError,
    InvalidKeyError,
    SerializationError,
    StoreClosedError,
    StoreConfigError,
    UnknownConnectorError,
)

OBJECTS = [
    b"raw",
    "text",
    bytearray(b"b"),
    7,
    {"a": [1, 2.5, None]},
    [],
    (1, "x"),
    {3, 4},
    None,
    True,
    1 + 2j,
]


@pytest.mark.parametrize("obj", OBJECTS, ids=repr)
def test_an_object_comes_back_equal_and_of_its_type(store, obj):
    back = store.get(store.put(obj))
    assert back == obj
    assert type(back) is type(obj)


def test_an_array_comes_back_writable(store):
    array = np.arange(100_000.0).reshape(100, 1000)
    for _ in range(3):
        back = store.get(store.put(array))
        np.testing.assert_array_equal(back, array)
        back[0, 0] = 5
    assert array[0, 0] == 0


def test_a_missing_object_is_the_default(store):
    key = store.put(1)
    store.evict(key)
    assert store.get(key) is None
    assert store.get(key, default="none") == "none"
    assert not store.exists(key)


def test_evicting_twice_is_no_error(store):
    key = store.put(1)
    store.evict(key)
    store.evict(key)


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "0" * 31, "0" * 33, 5, None, b"0" * 32, ("a",), "\0" * 32])
def test_a_wrong_key_is_refused(store, key):
    for call in (store.get, store.exists, store.evict, store.stat, store.wait):
        with pytest.raises(InvalidKeyError):
            call(key)


def test_an_unpicklable_object_names_its_type(store):
    with pytest.raises(SerializationError, match="generator"):
        store.put(n for n in range(3))


def test_a_closed_store_says_so(uri):
    store = Store("gone", uri)
    key = store.put(1)
    store.close()
    store.close()
    for call in (lambda: store.put(1), lambda: store.get(key), lambda: store.proxy(2), store.list):
        with pytest.raises(StoreClosedError, match="gone"):
            call()


def test_an_unknown_scheme_lists_what_exists():
    with pytest.raises(UnknownConnectorError, match=r"install the distribution that provides it.*file.*local"):
        Store("s", "ucx://host")


def test_an_unknown_codec_is_refused_when_the_store_is_opened(uri):
    with pytest.raises(CodecError, match="nope"):
        Store("s", uri, serializer="nope")


def test_waiting_for_nothing_is_refused_at_once(store):
    with pytest.raises(InvalidKeyError):
        store.wait([])


def test_an_impossible_option_is_refused(uri):
    for options in (
        {"cache_size": -1},
        {"cache": "none"},
        {"signing": "maybe"},
        {"codecs": "some"},
        {"verify": 3},
    ):
        with pytest.raises(StoreConfigError):
            Store("s", uri, **options)


def test_batches_keep_their_order(store):
    keys = store.put_batch([0, "one", b"two"])
    assert store.get_batch(keys) == [0, "one", b"two"]
    store.evict_batch(keys[:1])
    assert store.get_batch(keys, default="gone") == ["gone", "one", b"two"]
    assert store.put_batch([]) == store.get_batch([]) == []


def test_list_stat_and_clear(store):
    keys = store.put_batch([np.zeros(10_000), "x"])
    assert sorted(store.list()) == sorted(keys)
    stat = store.stat(keys[0])
    assert stat.key == keys[0]
    assert stat.codec == "pickle"
    assert stat.frames[1] == 80_000
    assert stat.nbytes > 80_000
    assert stat.revision == 0
    assert stat.signed_by == ""
    assert store.clear() == 2
    assert store.list() == []
    assert store.stat(keys[0]) is None


def test_a_callable_serializer_works_within_the_process(uri):
    import json

    with Store("json", uri, serializer=lambda obj: json.dumps(obj).encode(), deserializer=json.loads) as store:
        key = store.put({"a": 1})
        assert store.get(key) == {"a": 1}
        assert store.get(key, deserializer=bytes) == b'{"a": 1}'
        assert store.get(key) == {"a": 1}


def test_a_failing_serializer_is_named(store):
    with pytest.raises(SerializationError, match="serializer"):
        store.put(1, serializer=lambda obj: 1 / 0)
    with pytest.raises(SerializationError, match="bytes"):
        store.put(1, serializer=lambda obj: obj)


@pytest.mark.parametrize("options", [{}, {"timeout": 3.0}])
def test_the_connector_is_told_how_long_closing_may_take(options):
    class Delivering(LocalConnector):
        def close(self, timeout=None):
            closings.append(timeout)
            super().close()

    closings = []
    store = Store("closing", Delivering())
    store.close(**options)
    store.close(**options)
    assert closings == [options.get("timeout")]


def test_a_channel_that_cannot_list_says_so(store, monkeypatch):
    monkeypatch.setattr(store._channel, "_capabilities", frozenset())
    with pytest.raises(CapabilityError, match=f"channel '{store.connector.scheme}' has no SupportsList"):
        store.list()
    monkeypatch.undo()
