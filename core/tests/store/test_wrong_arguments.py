"""An argument of the wrong kind is an error of psk, at the call, before anything is stored (P19)."""

from itertools import product

import pytest

import psk
from psk import Store, StoreConfig
from psk.errors import PskError, StoreConfigError

NEITHER = [5, 0, b"", [], {}, object()]
PUTS = {
    "put": lambda store, **options: store.put([1], **options),
    "put_batch": lambda store, **options: store.put_batch([[1]], **options),
    "proxy": lambda store, **options: store.proxy([1], **options),
    "proxy_batch": lambda store, **options: store.proxy_batch([[1]], **options),
}
FULFIL = {"fulfil": lambda store, **options: store.fulfil(store.reserve(), [1], **options)}
GETS = {
    "get": lambda store, key, **options: store.get(key, **options),
    "get_batch": lambda store, key, **options: store.get_batch([key], **options),
    "take": lambda store, key, **options: store.take(key, "me", **options),
    "proxy_from_key": lambda store, key, **options: store.proxy_from_key(key, **options),
    "proxy": lambda store, _key, **options: store.proxy([1], **options),
}


def test_what_is_no_serializer_is_refused_before_anything_is_stored(store):
    for put, value in product((PUTS | FULFIL).values(), NEITHER):
        with pytest.raises(StoreConfigError, match="serializer"):
            put(store, serializer=value)
    assert store.list() == []


def test_what_is_no_deserializer_is_refused_before_anything_is_claimed(store):
    key = store.put([1])
    for get, value in product(GETS.values(), NEITHER):
        with pytest.raises(StoreConfigError, match="deserializer"):
            get(store, key, deserializer=value)
    assert store.list() == [key]
    assert store.take(key, "another") == [1]


def test_what_is_no_lifetime_is_refused_before_anything_is_stored(store):
    for value in (5, "x", object(), {}):
        for put in PUTS.values():
            with pytest.raises(StoreConfigError, match="lifetime"):
                put(store, lifetime=value)
        with pytest.raises(StoreConfigError, match="lifetime"):
            store.proxy_from_key("0" * 32, lifetime=value)
    assert store.list() == []


OTHERS = [
    lambda store: store.put_batch(5),
    lambda store: store.proxy_batch(5),
    lambda store: store.get_batch(5),
    lambda store: store.evict_batch(5),
    lambda store: store.fulfil(5, [1]),
    lambda store: store.is_configured_as(5),
    lambda _store: Store.from_config(5),
    lambda _store: StoreConfig.from_dict(5),
    lambda _store: StoreConfig.from_dict("x"),
    lambda _store: psk.get_or_create_store(5),
    lambda _store: psk.get_store([]),
    lambda _store: psk.register_store(5),
    lambda _store: psk.unregister_store(5),
    lambda _store: psk.register_codec(5),
]


def test_other_arguments_of_a_wrong_kind_are_errors_of_psk(store):
    for call in OTHERS:
        with pytest.raises(PskError):
            call(store)


def test_a_revision_is_a_whole_number():
    with Store("swapped", "local://swapped") as store:
        key = store.put([1])
        for revision in ("", None, 1.5, -1):
            with pytest.raises(PskError):
                store.swap(key, [2], revision=revision)
        store.clear()
