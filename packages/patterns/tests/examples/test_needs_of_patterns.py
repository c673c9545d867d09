"""Check the table of docs/patterns.md: what each pattern does on a channel with few capabilities."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from psk.errors import CapabilityError
from psk_patterns import (
    ContextLifetime,
    LeaseLifetime,
    ProxySize,
    StoreExecutor,
    borrow,
    future,
    gather,
    mut_borrow,
    owned_proxy,
    release,
    scatter,
    update,
)
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import FutureTimeoutError


@pytest.fixture
def bare(plain_store):
    return plain_store("list")  # to see what is left


@pytest.mark.parametrize("missing", ["reserve", "expiry"])
def test_a_transfer_is_refused_without_reserve_or_expiry(plain_store, missing):
    owner = owned_proxy(plain_store(*({"reserve", "expiry"} - {missing})), [1])
    with pytest.raises(CapabilityError, match="SupportsReserve"):
        pickle.dumps(owner)
    assert owner == [1]
    release(owner)


def test_a_mutable_borrow_that_travels_needs_swap_or_reserve(plain_store):
    owner = owned_proxy(plain_store("expiry"), [1])
    with pytest.raises(CapabilityError, match="neither SupportsSwap nor SupportsReserve"):
        pickle.dumps(mut_borrow(owner))
    release(owner)


def test_objects_of_a_lifetime_and_of_scatter_come_and_go_one_by_one(bare):
    with ContextLifetime(bare) as lifetime:
        light = scatter([bytes(200_000), 1], store=bare, lifetime=lifetime)
        assert gather(light) == [bytes(200_000), 1]
        assert len(bare.list()) == 1
    assert bare.list() == []


def test_a_lease_is_refused_without_expiry(bare):
    with pytest.raises(CapabilityError, match="SupportsExpiry"):
        LeaseLifetime(bare, 60)


def test_a_future_is_refused_without_reserve(plain_store):
    with pytest.raises(CapabilityError):
        future(plain_store("list", "wait", "expiry"))


def test_a_future_needs_no_more_than_reserve(plain_store):
    store = plain_store("list", "reserve")
    promised = future(store)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(promised.result, timeout=30)
        promised.set_result([1])
        assert waiting.result() == [1]
    promised.release()
    assert store.list() == []


def test_a_death_is_not_noticed_without_expiry(plain_store):
    promised = future(plain_store("reserve", "wait"), ttl=0.3)
    pickle.loads(pickle.dumps(promised)).claim()  # and is forgotten
    with pytest.raises(FutureTimeoutError, match="has claimed it"):
        promised.result(timeout=1.0)
    promised.release()


def test_ownership_needs_nothing_and_an_update_has_a_new_key_without_swap(bare):
    owner = owned_proxy(bare, [1])
    before = bare.list()
    assert borrow(owner) == [1]
    writer = mut_borrow(owner)
    writer.append(2)
    update(writer)
    del writer
    assert owner == [1, 2]
    assert len(bare.list()) == 1
    assert bare.list() != before
    release(owner)
    assert bare.list() == []


def test_an_update_with_swap_keeps_the_key(plain_store):
    store = plain_store("list", "swap", "expiry", channel="local://needs-of-patterns")
    owner = owned_proxy(store, [1])
    before = store.list()
    owner.append(2)
    update(owner)
    assert list(borrow(owner)) == [1, 2]
    after = store.list()
    release(owner)
    assert after == before


def test_an_executor_needs_nothing(bare):
    with StoreExecutor(ThreadPoolExecutor(1), bare, ProxySize(100)) as executor:
        result = executor.submit(sorted, list(range(100, 0, -1))).result()
        assert result[0] == 1
        del result
    assert flush()
    assert bare.list() == []
