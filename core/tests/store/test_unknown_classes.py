"""A proxy says nothing of its target before resolving that decoding does not keep."""

import json
import pickle

import pytest

import psk
from psk import Proxy, Store, extract, is_resolved
from psk.errors import CodecNotPortableError
from psk.wire import Codec, codecs

CODEC = Codec("tests-json", lambda obj: (json.dumps(obj).encode(),), lambda frames: json.loads(bytes(frames[0])))

DATA = json.dumps({"a": 1}).encode()
SERIALISED = {"serializer": bytes, "deserializer": json.loads}
WAYS = {
    "proxy": lambda store: store.proxy(DATA, **SERIALISED),
    "unpopulated": lambda store: store.proxy(DATA, populate_target=False, **SERIALISED),
    "evicting": lambda store: store.proxy(DATA, evict=True, **SERIALISED),
    "deserializer alone": lambda store: store.proxy(DATA.decode(), deserializer=json.loads),
    "batch": lambda store: store.proxy_batch([DATA], **SERIALISED)[0],
    "locked": lambda store: store.locked_proxy(DATA, **SERIALISED).unlock(),
    "key": lambda store: store.proxy_from_key(store.put(DATA), deserializer=json.loads),
    "codec of another type": lambda store: store.proxy(bytearray(DATA), serializer="bytes", deserializer=json.loads),
}


@pytest.fixture
def store(tmp_path):
    with Store("tested", f"file://{tmp_path}/objects") as opened:
        yield opened
        opened.clear()
    psk.store.close_opened_stores()


@pytest.mark.parametrize("way", WAYS)
def test_the_class_of_what_a_deserializer_makes_is_unknown(store, way):
    proxy = WAYS[way](store)
    assert not is_resolved(proxy)
    with pytest.raises(TypeError, match="unhashable"):
        hash(proxy)
    proxy = WAYS[way](store)
    assert not isinstance(proxy, bytes | bytearray | str)
    assert isinstance(proxy, dict)
    assert proxy == {"a": 1}


def test_a_store_with_a_deserializer_knows_no_class_either(tmp_path):
    with Store("decoding", f"file://{tmp_path}/objects", serializer=bytes, deserializer=json.loads) as store:
        for proxy in (store.proxy(DATA), store.proxy_batch([DATA])[0]):
            assert isinstance(proxy, dict)
        store.clear()


def test_a_codec_asked_for_by_name_may_change_the_class(store, monkeypatch):
    monkeypatch.setitem(codecs._by_name, CODEC.name, CODEC)
    for obj, codec, decoded in (((1, 2), "tests-json", [1, 2]), (bytearray(b"a"), "bytes", b"a")):
        proxy = store.proxy(obj, serializer=codec)
        arrived = pickle.loads(pickle.dumps(proxy))
        for one in (proxy, arrived):
            assert not is_resolved(one)
            assert isinstance(one, type(decoded))
            assert one == decoded


def test_a_codec_that_keeps_the_class_leaves_it_known(store):
    for obj, codec in (([1], "pickle"), (b"a", "bytes"), ("a", "str")):
        for options in ({"serializer": codec}, {"serializer": codec, "deserializer": codec}):
            proxy = pickle.loads(pickle.dumps(store.proxy(obj, **options)))
            assert isinstance(proxy, type(obj))
            assert not is_resolved(proxy)
            assert proxy == obj


class Plain:
    """Objects with the hash of one instance."""


HASHED_BY_INSTANCE = {"plain": Plain(), "tuple": (1, Plain()), "nan": float("nan"), "frozenset": frozenset({Plain()})}


@pytest.mark.parametrize("obj", HASHED_BY_INSTANCE.values(), ids=HASHED_BY_INSTANCE)
def test_a_hash_does_not_change_when_the_proxy_resolves(store, obj):
    proxy = store.proxy(obj, populate_target=False)
    before = hash(proxy)
    assert hash(extract(proxy)) == before == hash(proxy)


def test_what_was_asked_for_is_populated_all_the_same(store):
    proxy = store.proxy(DATA, populate_target=True, **SERIALISED)
    assert extract(proxy) is DATA


def test_a_proxy_to_be_decoded_otherwise_says_why_it_cannot_travel(store):
    proxy = store.proxy([1], deserializer="str")
    assert isinstance(proxy, Proxy)
    with pytest.raises(CodecNotPortableError, match="depends on 'str'") as caught:
        pickle.dumps(proxy)
    assert "serializer='str'" in caught.value.remedy
    with pytest.raises(CodecNotPortableError, match="loads"):
        pickle.dumps(store.proxy(DATA, **SERIALISED))
