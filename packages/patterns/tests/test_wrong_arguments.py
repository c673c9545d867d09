"""Refuse what is not a store, a lifetime or a proxy by a typed error, and leave nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

import psk
from psk.errors import InvalidArgumentError, NotAProxyError
from psk_patterns import (
    ContextLifetime,
    LeaseLifetime,
    StoreExecutor,
    future,
    owned_proxy,
    register_lifetime_atexit,
    scatter,
)

WITHOUT_STORE = {
    "ContextLifetime": ContextLifetime,
    "LeaseLifetime": lambda store: LeaseLifetime(store, 60),
    "owned_proxy": lambda store: owned_proxy(store, [1]),
    "future": future,
    "scatter": lambda store: scatter([1], store=store),
    "StoreExecutor": lambda store: StoreExecutor(ThreadPoolExecutor(1), store),
}
WITHOUT_LIFETIME = {
    "future": lambda store, lifetime: future(store, lifetime=lifetime),
    "scatter": lambda store, lifetime: scatter(bytes(200_000), store=store, lifetime=lifetime),
    "scatter of little": lambda store, lifetime: scatter([1], store=store, lifetime=lifetime),
    "register_lifetime_atexit": lambda _, lifetime: register_lifetime_atexit(lifetime),
}


@pytest.fixture
def store(open_channel):
    return open_channel("local")


@pytest.mark.parametrize("call", WITHOUT_STORE.values(), ids=WITHOUT_STORE)
def test_what_is_not_a_store_is_refused(call):
    for wrong in (5, "results", psk.LocalConnector):
        with pytest.raises(InvalidArgumentError, match="is not a store; pass an open"):
            call(wrong)


@pytest.mark.parametrize("call", WITHOUT_LIFETIME.values(), ids=WITHOUT_LIFETIME)
def test_what_is_not_a_lifetime_is_refused(store, call):
    for wrong in (5, "block", ContextLifetime.close):
        with pytest.raises(InvalidArgumentError, match=r"is not a lifetime; .* ttl="):
            call(store, wrong)
    assert store.list() == []


def test_what_cannot_be_attached_to_a_lifetime_is_refused(store):
    with ContextLifetime(store) as lifetime:
        key = store.put(1)
        with pytest.raises(InvalidArgumentError, match="is not a store"):
            lifetime.add_key(key, store=5)
        for wrong in (5, key, store.name):
            with pytest.raises(NotAProxyError):
                lifetime.add_proxy(store.proxy_from_key(key), wrong)
    assert store.list() == [key]
