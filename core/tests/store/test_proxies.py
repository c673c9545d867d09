"""Make, send, resolve and evict the proxies of a store."""

import copy
import pickle
import threading

import numpy as np
import pytest

import psk
from psk import Proxy, Store, StoreConfig, extract, get_factory, get_key, get_store, is_resolved
from psk.errors import (
    CodecNotPortableError,
    DeadlineError,
    InvalidArgumentError,
    NonProxiableTypeError,
    PatternMissingError,
    ProxyResolveError,
    ProxyResolveMissingKeyError,
    ProxyStoreFactoryError,
    StoreConfigError,
)
from psk.proxy.target import public_class


def travelled(proxy):
    return pickle.loads(pickle.dumps(proxy))


def test_a_proxy_travels_and_resolves(store):
    proxy = travelled(store.proxy({"a": [1, 2]}))
    assert not is_resolved(proxy)
    assert proxy == {"a": [1, 2]}
    assert proxy["a"][1] == 2


def test_type_and_hash_are_known_without_resolving(store):
    for obj in (7, 2.5, "text", (1, 2), frozenset({1})):
        proxy = store.proxy(obj, populate_target=False)
        assert isinstance(proxy, type(obj))
        assert hash(proxy) == hash(obj)
        assert not is_resolved(proxy)


def test_type_of_built_ins_and_arrays_is_known_after_travelling(store):
    for obj in (7, "text", [1], {"a": 1}, np.zeros(3)):
        proxy = travelled(store.proxy(obj))
        assert isinstance(proxy, type(obj))
        assert isinstance(proxy, Proxy)
        assert not is_resolved(proxy)
    assert hash(travelled(store.proxy(7))) == hash(7)


def test_a_populated_proxy_uses_its_source(store):
    source = [1]
    assert extract(store.proxy(source)) is source
    assert extract(store.proxy(source, populate_target=False)) is not source


def test_an_evicting_proxy_evicts_in_its_own_process_too(store):
    proxy = store.proxy([1], evict=True)
    key = get_key(proxy)
    assert store.exists(key)
    assert proxy == [1]
    assert not store.exists(key)
    assert proxy == [1]
    with pytest.raises(ProxyResolveMissingKeyError):
        psk.resolve(travelled(proxy))


def test_a_missing_object_names_store_connector_and_key(store):
    proxy = store.proxy("x", populate_target=False)
    key = get_key(proxy)
    store.evict(key)
    with pytest.raises(ProxyResolveMissingKeyError) as caught:
        str(proxy)
    assert store.name in str(caught.value)
    assert store.uri in str(caught.value)
    assert key in str(caught.value)
    assert isinstance(caught.value.cause, ProxyResolveMissingKeyError)
    assert key in str(caught.value.cause)


def test_a_failed_resolve_names_its_cause(tmp_path):
    with Store("failing", f"file://{tmp_path}/objects") as store:
        proxy = store.proxy([1, 2, 3], populate_target=False)
        path = tmp_path / "objects" / get_key(proxy)
        path.chmod(0o600)
        path.write_bytes(b"garbage")
        path.chmod(0o400)
        with pytest.raises(ProxyResolveError) as caught:
            len(proxy)
        assert get_key(proxy) in str(caught.value)
        assert isinstance(caught.value.cause, psk.errors.PayloadError)
        store.clear()


@pytest.mark.parametrize("obj", [None, True, False])
def test_what_is_compared_by_identity_is_not_proxied(store, obj):
    with pytest.raises(NonProxiableTypeError):
        store.proxy(obj)
    assert store.proxy(obj, skip_nonproxiable=True) is obj
    mixed = store.proxy_batch([1, obj, "x"], skip_nonproxiable=True)
    assert mixed[1] is obj
    assert [mixed[0], mixed[2]] == [1, "x"]


def test_evict_and_lifetime_exclude_each_other(store):
    for call in (store.proxy, store.proxy_from_key):
        with pytest.raises(StoreConfigError):
            call("0" * 32, evict=True, lifetime=object())


def test_a_lifetime_learns_of_every_key(store):
    class Recorder:
        keys = ()

        def add_key(self, *keys, store):
            self.keys += keys

    lifetime = Recorder()
    store.put(1, lifetime=lifetime)
    store.put_batch([1, 2], lifetime=lifetime)
    store.proxy("a", lifetime=lifetime)
    store.proxy_batch(["b", "c"], lifetime=lifetime)
    assert sorted(lifetime.keys) == sorted(store.list())


def test_a_locked_proxy_is_not_resolved_by_accident(store):
    locked = store.locked_proxy([1], populate_target=False)
    proxy = locked.unlock()
    assert not is_resolved(proxy)
    assert proxy == [1]
    assert store.locked_proxy(None) is None


def test_patterns_name_their_distribution(store):
    for call in (store.future, lambda: store.owned_proxy(1)):
        with pytest.raises(PatternMissingError, match="psk_patterns"):
            call()


def test_copies_of_a_proxy_are_unresolved_proxies(store):
    proxy = store.proxy([1])
    for made in (copy.copy(proxy), copy.deepcopy(proxy)):
        assert public_class(made) is Proxy
        assert not is_resolved(made)
        assert made == [1]


def test_a_proxy_of_a_proxy_works(store):
    outer = travelled(store.proxy(store.proxy([1, 2], populate_target=False)))
    assert outer[1] == 2


def test_a_codec_chosen_for_one_proxy_cannot_travel_either(store):
    proxy = store.proxy(b"x", deserializer="str", populate_target=False)
    with pytest.raises(CodecNotPortableError, match="str"):
        pickle.dumps(proxy)
    assert proxy == "x"


def test_a_callable_deserializer_cannot_travel(store):
    proxy = store.proxy(b"x", deserializer=bytes.upper, populate_target=False)
    assert proxy == b"X"
    with pytest.raises(CodecNotPortableError, match="register_codec"):
        pickle.dumps(proxy)


def test_a_proxy_of_another_factory_has_no_store():
    with pytest.raises(ProxyStoreFactoryError):
        get_store(Proxy(list))
    with pytest.raises(ProxyStoreFactoryError):
        get_key(Proxy(list))


def test_a_proxy_resolves_after_its_store_was_closed(uri):
    with Store("closing", uri) as store:
        proxy = store.proxy([1], populate_target=False)
    assert proxy == [1]
    psk.store.close_opened_stores()


def test_a_channel_without_a_name_gets_one_that_travels():
    with Store("anonymous", "local://") as store:
        assert store.uri != "local://"
        assert travelled(store.proxy([1])) == [1]
        store.clear()
        psk.store.close_opened_stores()


def test_two_stores_of_one_name_are_not_confused(tmp_path):
    with (
        Store("same", f"file://{tmp_path}/a") as a,
        Store("same", f"file://{tmp_path}/b", register=True) as b,
    ):
        proxy = travelled(a.proxy("from a"))
        assert proxy == "from a"
        assert get_factory(proxy).store() is not b
        a.clear()
        psk.store.close_opened_stores()


def test_a_registered_store_resolves_the_proxies_of_its_channel(uri):
    with Store("mine", uri, register=True) as store:
        proxy = travelled(store.proxy("x"))
        assert get_store(proxy) is store
        assert get_store("mine") is store
    assert get_store("mine") is None


def test_a_thousand_proxies_in_one_pickle_stay_small(tmp_path):
    with Store("many", f"file://{tmp_path}/objects") as store:
        proxies = store.proxy_batch(list(range(1000)))
        first = pickle.dumps(proxies, 5)
        assert len(first) <= 60 * 1000
        again = pickle.dumps(pickle.loads(first), 5)
        assert len(again) <= 60 * 1000
        one_by_one = [pickle.loads(pickle.dumps(proxy, 5)) for proxy in proxies]
        assert len(pickle.dumps(one_by_one, 5)) <= 60 * 1000
        store.clear()


def test_signed_proxies_stay_small(tmp_path, monkeypatch):
    psk.set_signing_key("laboratory", "0123456789abcdef")
    long = "file://" + f"{tmp_path}/".ljust(73, "x")
    with Store("signed", long, signing_key="laboratory") as store:
        assert len(store.uri) == 80
        proxies = store.proxy_batch([np.zeros(3)] * 1000)
        assert len(pickle.dumps(proxies[0], 5)) <= 200
        assert len(pickle.dumps(proxies, 5)) <= 100 * 1000
        assert len(pickle.dumps(pickle.loads(pickle.dumps(proxies)), 5)) <= 100 * 1000
        store.clear()


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((None, "local://x"), {}),
        (("x", None), {}),
        (("x", 3), {}),
        (("x", "local://x"), {"serializer": 5}),
        (("x", "local://x"), {"deserializer": b"pickle"}),
        (("x", "local://x"), {"verify": 0}),
        (("x", "local://x"), {"metrics": 1}),
        (("x", "local://x"), {"signing": ["required"]}),
    ],
)
def test_an_impossible_option_is_refused_before_anything_is_opened(arguments, options):
    with pytest.raises(StoreConfigError):
        Store(*arguments, **options)


def test_a_configuration_rebuilds_a_store(tmp_path):
    config = StoreConfig('re"bu\\ilt \N{PARTY POPPER}\x7f', f"file://{tmp_path}/objects", cache_size=3, verify=True)
    config.write_toml(tmp_path / "store.toml")
    assert StoreConfig.from_toml(tmp_path / "store.toml") == config
    with Store.from_config(config) as store, pickle.loads(pickle.dumps(store)) as again:
        assert again.config() == store.config() == pickle.loads(pickle.dumps(config))
        assert again.get(store.put([1])) == [1]
        store.clear()


def test_a_proxy_of_a_reserved_key_waits_as_long_as_it_was_told(store):
    key = store.reserve()
    for proxy in (store.proxy_from_key(key, wait=True, timeout=0.02), store.proxy_from_key(key, wait=True, timeout=0)):
        for one in (travelled(proxy), copy.copy(proxy), proxy):
            with pytest.raises(ProxyResolveError) as caught:
                psk.resolve(one)
            assert isinstance(caught.value.cause, DeadlineError)
    patient = travelled(store.proxy_from_key(key, wait=True, timeout=50))
    producer = threading.Timer(0.1, store.fulfil, (key, [1]))
    producer.start()
    assert patient == [1]
    producer.join()


def test_a_time_to_wait_must_make_sense(store):
    with pytest.raises(StoreConfigError, match="wait"):
        store.proxy_from_key("0" * 32, timeout=1)
    for timeout in (-1, float("inf"), "1", 1e10):
        with pytest.raises(InvalidArgumentError):
            store.proxy_from_key("0" * 32, wait=True, timeout=timeout)
