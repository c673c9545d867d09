"""Whatever is a proxy of a store's object has its key and its store, and can be attached to a lifetime."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

import psk
from psk_patterns import (
    ContextLifetime,
    LeaseLifetime,
    ProxyAlways,
    StoreExecutor,
    borrow,
    future,
    into_owned,
    mark_refs_out_of_scope,
    mut_borrow,
    owned_proxy,
    release,
    update,
)
from psk_patterns.deferred_cleanup import flush


def arrived(proxy):
    return pickle.loads(pickle.dumps(proxy))


def an_executor_result(store):
    with StoreExecutor(ThreadPoolExecutor(1), store, ProxyAlways()) as executor:
        return executor.submit(list, (1,)).result()


def a_fulfilled_future(store):
    promised = future(store)
    promised.set_result([1])
    return promised.proxy()


MADE = {
    "owner": lambda store: owned_proxy(store, [1]),
    "owner of a plain proxy": lambda store: into_owned(store.proxy([1])),
    "arrived owner": lambda store: arrived(owned_proxy(store, [1])),
    "executor result": an_executor_result,
    "future": a_fulfilled_future,
}


@pytest.fixture
def store(open_channel):
    return open_channel("local")


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_it_has_its_key_and_its_store_without_being_used(store, make):
    proxy = make(store)
    assert psk.get_key(proxy) in store.list()
    assert psk.get_store(proxy) is store
    assert proxy == [1]


@pytest.mark.parametrize("lend", [borrow, mut_borrow])
def test_a_borrow_has_the_key_of_its_owner_here_and_where_it_arrives(store, lend):
    owner = owned_proxy(store, [1])
    borrowed = lend(owner)
    sent = arrived(borrowed)
    assert psk.get_key(borrowed) == psk.get_key(sent) == psk.get_key(owner)
    assert psk.get_store(borrowed) is psk.get_store(sent) is store
    mark_refs_out_of_scope(borrowed)
    release(owner)


def test_an_owner_whose_object_moved_to_another_key_has_that_one(plain_store):
    store = plain_store("list")
    owner = owned_proxy(store, [1])
    before = psk.get_key(owner)
    update(owner)
    assert store.list() == [psk.get_key(owner)] != [before]
    release(owner)


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
@pytest.mark.parametrize("begin", [ContextLifetime, lambda store: LeaseLifetime(store, 5)], ids=["context", "lease"])
def test_it_goes_with_a_lifetime_that_it_is_attached_to(store, make, begin):
    proxy = make(store)
    assert proxy == [1]
    with begin(store) as lifetime:
        lifetime.add_proxy(proxy)
        key = psk.get_key(proxy)
        assert store.exists(key)
    assert not store.exists(key)
    del proxy
    assert flush()


def test_an_attached_owner_may_still_go_first(store):
    with ContextLifetime(store) as lifetime:
        owner = owned_proxy(store, [1])
        lifetime.add_proxy(owner)
        del owner
        assert flush()
        assert store.list() == []
