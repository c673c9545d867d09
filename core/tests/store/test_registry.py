"""Register, look up, replace and unregister stores by name."""

import pytest

import psk
from psk import (
    Store,
    StoreConfig,
    get_or_create_store,
    get_store,
    register_store,
    store_registration,
    unregister_store,
)
from psk.errors import StoreExistsError


def test_a_taken_name_is_refused(uri):
    with Store("taken", uri, register=True) as first:
        with pytest.raises(StoreExistsError, match="taken"):
            Store("taken", uri, register=True)
        assert get_store("taken") is first


def test_replacing_is_possible_on_purpose(uri):
    with Store("replaced", uri) as first, Store("replaced", uri) as second:
        register_store(first)
        register_store(first)
        register_store(second, exist_ok=True)
        assert get_store("replaced") is second
        unregister_store(first)
        assert get_store("replaced") is second
        unregister_store("replaced")
        unregister_store("replaced")
        assert get_store("replaced") is None


def test_registration_ends_with_its_block_even_if_it_fails(uri):
    with Store("block", uri) as store:
        with pytest.raises(RuntimeError), store_registration(store):
            assert get_store("block") is store
            raise RuntimeError
        assert get_store("block") is None


def test_a_failing_registration_leaves_nothing_registered(uri):
    with (
        Store("first", uri) as first,
        Store("second", uri, register=True) as holder,
        Store("second", uri) as second,
    ):
        with pytest.raises(StoreExistsError), store_registration(first, second):
            pytest.fail("must not get here")
        assert get_store("first") is None
        assert get_store("second") is holder


def test_get_or_create_gives_the_same_store_for_the_same_configuration(uri):
    config = StoreConfig("shared", uri)
    store = get_or_create_store(config)
    assert get_or_create_store(StoreConfig("shared", uri)) is store
    assert get_or_create_store(store.config()) is store
    assert get_or_create_store(StoreConfig("shared", uri, register=True)) is store
    with pytest.raises(StoreExistsError):
        get_or_create_store(StoreConfig("shared", uri, cache_size=1))
    store.close()
    unregistered = get_or_create_store(config, register=False)
    assert get_store("shared") is None
    unregistered.close()


def test_a_channel_is_opened_once_for_all_its_proxies(store):
    import pickle

    first, second = (pickle.loads(pickle.dumps(store.proxy(n))) for n in (1, 2))
    assert get_store(first) is get_store(second)
    assert get_store(first) is not store
    psk.store.close_opened_stores()
    assert first + second == 3
