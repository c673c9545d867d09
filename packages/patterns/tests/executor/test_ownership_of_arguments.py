"""Move owned proxies into tasks, end borrows with them, and take back what never arrived."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from chores import LARGE, fail, fill, kind_of, kinds, same, total, wait_for

from psk_patterns import (
    OwnedProxy,
    ProxyAlways,
    ProxySize,
    StoreExecutor,
    borrow,
    mut_borrow,
    owned_proxy,
    release,
)
from psk_patterns.errors import BorrowedError, ReferenceInvalidError

ITEM = b"x" * LARGE


@pytest.fixture
def executor(store):
    with ThreadPoolExecutor(2) as threads, StoreExecutor(threads, store, ProxySize(LARGE)) as opened:
        yield opened


def test_an_owned_proxy_moves_into_a_thread(executor, store):
    owner = owned_proxy(store, ITEM)
    assert executor.submit(total, owner).result() == LARGE * ord("x")
    with pytest.raises(ReferenceInvalidError):
        release(owner)


def test_an_owned_proxy_moves_into_another_process(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    owner = owned_proxy(shared_store, ITEM)
    assert executor.submit(total, owner).result() == LARGE * ord("x")
    with pytest.raises(ReferenceInvalidError):
        release(owner)


def test_an_owned_proxy_can_be_sent_back(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    owner = owned_proxy(shared_store, ITEM)
    back = executor.submit(same, owner).result()
    assert isinstance(back, OwnedProxy)
    assert back == ITEM
    release(back)
    assert shared_store.list() == []


def test_what_a_task_never_received_comes_back(pool, shared_store):
    executor = StoreExecutor(pool, shared_store)
    owner = owned_proxy(shared_store, ITEM)
    with pytest.raises(TypeError, match="pickle"):
        executor.submit(total, owner, threading.Lock()).result()
    assert owner == ITEM
    release(owner)


def test_what_a_cancelled_task_never_received_comes_back(store):
    event = threading.Event()
    owner = owned_proxy(store, ITEM)
    with ThreadPoolExecutor(1) as one, StoreExecutor(one, store) as executor:
        executor.submit(wait_for, event)
        waiting = executor.submit(total, owner)
        assert waiting.cancel()
        event.set()
    assert owner == ITEM
    release(owner)


def test_what_a_task_did_not_use_comes_back(pool, shared_store):
    executor = StoreExecutor(pool, shared_store)
    owner = owned_proxy(shared_store, ITEM)
    assert isinstance(executor.submit(fail, owner).exception(), ValueError)
    del owner


def test_a_borrow_ends_with_its_task(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxyAlways())
    owner = owned_proxy(shared_store, ITEM)
    ref = borrow(owner)
    result = executor.submit(kinds, [ref], {"a": (ref,)}).result()
    assert kind_of(result) == "proxy"
    assert result == [["proxy"], {"a": ["proxy"]}]
    mut_borrow(owner)  # which is possible only if there is no other
    release(result)


def test_a_borrow_of_several_tasks_ends_with_the_last(store):
    event = threading.Event()
    owner = owned_proxy(store, ITEM)
    ref = borrow(owner)
    with ThreadPoolExecutor(2) as threads, StoreExecutor(threads, store) as executor:
        waiting = executor.submit(wait_for, event, ref)
        executor.submit(total, ref).result()
        with pytest.raises(BorrowedError):
            release(owner)
        event.set()
        waiting.result()
    release(owner)


def test_a_borrow_ends_with_a_task_that_fails_or_cannot_be_submitted(executor, store):
    owner = owned_proxy(store, ITEM)
    executor.submit(fail, borrow(owner)).exception()
    executor.shutdown()
    with pytest.raises(RuntimeError):
        executor.submit(total, borrow(owner))
    release(owner)


def test_results_are_lent_to_the_next_tasks(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    first = [future.result() for future in [executor.submit(fill, number) for number in (1, 2)]]
    second = [executor.submit(total, borrow(owner)) for owner in first]
    assert [future.result() for future in second] == [LARGE, 2 * LARGE]
    for owner in first:
        release(owner)
    assert shared_store.list() == []
