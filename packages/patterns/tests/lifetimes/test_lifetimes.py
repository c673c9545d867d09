"""Evict the objects of a lifetime when it ends: all of them, and no others."""

import pickle
import threading
from datetime import UTC, datetime, timedelta

import pytest

import psk
from psk.errors import (
    CapabilityError,
    ChannelUnavailableError,
    InvalidArgumentError,
    InvalidKeyError,
    ProxyStoreFactoryError,
    SerializationError,
)
from psk.store import Lifetime
from psk_patterns import ContextLifetime, LeaseLifetime, StaticLifetime
from psk_patterns.errors import LifetimeCloseError, LifetimeEndedError

KINDS = ["local", "file", "shm", "redis"]
LIFETIMES = {
    "context": ContextLifetime,
    "lease": lambda store, **options: LeaseLifetime(store, 5, **options),
    "term": lambda store, **options: LeaseLifetime(store, 30, renew=False, **options),
}


@pytest.fixture(params=LIFETIMES)
def begin(request):
    return LIFETIMES[request.param]


@pytest.fixture
def store(open_channel):
    return open_channel("local")


def test_a_proxy_among_the_keys_is_sent_to_add_proxy(store, begin):
    with begin(store) as lifetime, pytest.raises(InvalidKeyError, match="add_proxy"):
        lifetime.add_key(store.put(1), store.proxy([1]), store=store)
    store.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_attached_goes_and_the_rest_stays(open_channel, begin, kind):
    store, other = open_channel(kind), open_channel("local")
    rest = store.put("the rest")
    with begin(store) as lifetime:
        assert isinstance(lifetime, Lifetime)
        keys = [store.put(1, lifetime=lifetime), *store.put_batch([2, 3], lifetime=lifetime)]
        keys += map(psk.get_key, [store.proxy(4, lifetime=lifetime), *store.proxy_batch([5, 6], lifetime=lifetime)])
        keys.append(psk.get_key(store.proxy_from_key(store.put(7), lifetime=lifetime)))
        keys += [store.put(8), store.put(9)]
        lifetime.add_key(*keys[-2:])
        keys.append(psk.get_key(proxy := store.proxy(10)))
        elsewhere = other.put("elsewhere")
        lifetime.add_proxy(proxy, other.proxy_from_key(elsewhere))
        reserved = store.reserve()
        lifetime.add_key(reserved)
        store.fulfil(reserved, "late")
        lifetime.add_key()
        assert sorted(store.list()) == sorted([rest, *keys, reserved])
        assert not lifetime.done()
    assert lifetime.done()
    assert store.list() == [rest]
    assert other.list() == []
    lifetime.close()


def test_a_store_that_was_closed_is_evicted_from_all_the_same(open_channel, begin):
    for kind in KINDS:
        store = open_channel(kind)
        lifetime = begin(store)
        key = store.put("brief", lifetime=lifetime)
        store.close()
        lifetime.close()
        with psk.Store.from_config(store.config(), register=False) as again:
            assert not again.exists(key)


def test_a_connector_that_was_closed_alone_is_evicted_from_all_the_same(store, begin):
    lifetime = begin(store)
    key = store.put("brief", lifetime=lifetime)
    store.connector.close()
    lifetime.close()
    with psk.Store.from_config(store.config(), register=False) as again:
        assert not again.exists(key)


def test_closing_closes_stores_when_asked(open_channel, begin):
    store, other = open_channel("local"), open_channel("file")
    lifetime = begin(store)
    other.put("brief", lifetime=lifetime)
    lifetime.close(close_stores=True)
    assert store.closed
    assert other.closed


def test_what_comes_too_late_is_refused_and_not_left_behind(open_channel, begin):
    for kind in KINDS:
        store = open_channel(kind)
        lifetime = begin(store, name="early")
        lifetime.close()
        for put in (store.put, store.proxy):
            with pytest.raises(LifetimeEndedError, match=r"store '.*' was to be attached to .*'early'.*ended.*evicted"):
                put("late", lifetime=lifetime)
        with pytest.raises(LifetimeEndedError):
            store.put_batch(["late", "later"], lifetime=lifetime)
        assert store.list() == []


@pytest.mark.parametrize("kind", ["local", "file"])
def test_all_that_can_be_evicted_is_and_all_failures_are_told(open_channel, begin, kind, monkeypatch):
    store = open_channel(kind)
    lifetime = begin(store, name="rough")
    keys = store.put_batch(range(20), lifetime=lifetime)
    stuck = keys[3:18:7]
    evict = type(store.connector).evict

    def sometimes(connector, key, *, timeout=None):
        if key in stuck:
            raise ChannelUnavailableError(f"the lock of {key} is held")
        evict(connector, key, timeout=timeout)

    def all_or_nothing(connector, keys, *, timeout=None):
        for key in keys:
            sometimes(connector, key, timeout=timeout)

    with monkeypatch.context() as patch:
        patch.setattr(type(store.connector), "evict", sometimes)
        if hasattr(store.connector, "evict_batch"):
            patch.setattr(type(store.connector), "evict_batch", all_or_nothing)
        with pytest.raises(LifetimeCloseError, match=r"'rough'.*3 of its 20 objects.*the lock of.*failures") as caught:
            lifetime.close()
    assert [key for key, _ in caught.value.failures] == stuck
    assert all(key in str(error) for key, error in caught.value.failures)
    assert sorted(store.list()) == sorted(stuck)
    assert lifetime.done()
    lifetime.close()


def test_an_error_of_the_block_is_not_hidden_by_one_of_the_end(store, begin, monkeypatch):
    def fail(*_, **__):
        raise ChannelUnavailableError("out of reach")

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError) as caught, begin(store) as lifetime:
        store.put("brief", lifetime=lifetime)
        patch.setattr(type(store.connector), "evict", fail)
        raise ZeroDivisionError
    assert "LifetimeCloseError" in caught.value.__notes__[0]
    with monkeypatch.context() as patch, pytest.raises(LifetimeCloseError), begin(store) as lifetime:
        store.put("brief", lifetime=lifetime)
        patch.setattr(type(store.connector), "evict", fail)


def test_only_proxies_of_stores_can_be_attached_all_or_none(store, begin):
    with begin(store) as lifetime:
        proxy = store.proxy("stays")
        with pytest.raises(ProxyStoreFactoryError):
            lifetime.add_proxy(proxy, psk.Proxy(lambda: 1))
    assert store.exists(psk.get_key(proxy))


def test_a_lifetime_does_not_travel_and_says_what_it_is(store, begin):
    with begin(store, name="mine") as lifetime:
        with pytest.raises(SerializationError, match="'mine'"):
            pickle.dumps(lifetime)
        assert "'mine'" in repr(lifetime)
        assert store.name in repr(lifetime)
    assert "ended" in repr(lifetime)


def test_threads_attach_while_another_ends_it_and_nothing_is_left(open_channel, begin):
    store = open_channel("local")
    for _ in range(5):
        lifetime, refused = begin(store), []

        def attach(lifetime=lifetime, refused=refused):
            while not refused:
                try:
                    store.put("brief", lifetime=lifetime)
                except LifetimeEndedError as error:
                    refused.append(error)

        threads = [threading.Thread(target=attach) for _ in range(2)]
        for thread in threads:
            thread.start()
        lifetime.close()
        for thread in threads:
            thread.join()
        assert store.list() == []


def test_lifetimes_work_where_a_channel_can_do_little(plain_store):
    store = plain_store()
    with ContextLifetime(store) as lifetime:
        keys = [store.put(number, lifetime=lifetime) for number in range(3)]
    assert not any(map(store.exists, keys))
    for renew in (True, False):
        with pytest.raises(CapabilityError, match=r"plain.*SupportsExpiry"):
            LeaseLifetime(store, 5, renew=renew)
    able = plain_store("expiry")
    with LeaseLifetime(able, 5) as lease:
        key = able.put("brief", lifetime=lease)
        stays = store.put("stays")
        with pytest.raises(CapabilityError, match="ContextLifetime"):
            lease.add_key(stays, store=store)
    assert not able.exists(key)
    assert store.exists(stays)


def test_impossible_expiries_are_refused(store):
    now = datetime.now(UTC)
    for expiry in (0, -1, float("inf"), "5", None, timedelta(0), now - timedelta(1), datetime.now()):  # noqa: DTZ005
        with pytest.raises(InvalidArgumentError):
            LeaseLifetime(store, expiry, renew=False)
    for expiry in (0.1, now + timedelta(hours=1)):
        with pytest.raises(InvalidArgumentError):
            LeaseLifetime(store, expiry)
    with pytest.raises(InvalidArgumentError, match="store="):
        StaticLifetime().add_key("0" * 32)
