"""Return the chosen results of a task as owned proxies, and leave nothing of those that cannot be returned."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from chores import LARGE, Client, Model, Pair, fill, is_large, kind_of, same, unpicklable, wrapped

from psk import get_key
from psk.errors import SerializationError
from psk_patterns import OwnedProxy, ProxyAlways, ProxySize, ProxyType, StoreExecutor, borrow, release


@pytest.fixture
def executor(store):
    with ThreadPoolExecutor(2) as threads, StoreExecutor(threads, store, ProxySize(LARGE)) as opened:
        yield opened


def test_a_large_result_is_owned(executor, store):
    result = executor.submit(fill, 1).result()
    assert isinstance(result, OwnedProxy)
    assert result == b"\1" * LARGE
    assert len(store.list()) == 1
    release(result)
    assert store.list() == []


def test_a_large_result_comes_from_another_process(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    result = executor.submit(fill, 1).result()
    assert isinstance(result, OwnedProxy)
    assert kind_of(result) == "proxy"
    assert borrow(result)[0] == 1
    assert len(shared_store.list()) == 1
    del result


def test_small_results_come_as_they_are(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    assert executor.submit(fill, 1, 10).result() == b"\1" * 10
    assert executor.submit(same, None).result() is None


def test_what_is_chosen_may_lie_at_any_depth(pool, open_store):
    executor = StoreExecutor(pool, open_store("shm"), ProxyType(bytes))
    (result,) = executor.map(wrapped, [b"x" * LARGE])
    first, (second, model) = result["inner"]
    assert type(result["inner"][1]) is Pair
    assert type(model) is Model
    # One object, in three places: as one proxy, which owns.
    assert first is second is model.weights
    assert isinstance(first, OwnedProxy)
    assert first == b"x" * LARGE
    assert len(executor.store.list()) == 1


def test_a_result_lives_as_long_as_its_proxy(executor, store):
    future = executor.submit(fill, 1)
    future.result()
    assert len(store.list()) == 1  # the future still has it
    del future


def test_an_argument_that_is_returned_becomes_a_result(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    result = executor.submit(same, b"x" * LARGE).result()
    assert isinstance(result, OwnedProxy)
    assert result == b"x" * LARGE
    assert len(shared_store.list()) == 1
    del result


def test_an_argument_that_is_returned_comes_as_it_is_if_results_do(executor):
    executor._settings.policy = ProxyType(np.ndarray)
    assert type(executor.submit(same, b"x" * LARGE).result()) is bytes


def test_without_ownership_results_are_plain_and_stay(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE), ownership=False, ttl=0.3)
    result = executor.submit(fill, 1).result()
    assert kind_of(result) == "proxy"
    assert not isinstance(result, OwnedProxy)
    key = get_key(result)
    del result
    threading.Event().wait(0.5)
    assert shared_store.get(key) == b"\1" * LARGE
    shared_store.evict(key)


def test_a_result_that_cannot_be_put_leaves_nothing_behind(executor, store):
    executor._settings.policy = ProxyAlways()
    future = executor.submit(unpicklable)
    with pytest.raises(SerializationError):
        future.result()
    assert store.list() == []


def test_a_result_that_cannot_be_sent_leaves_nothing_behind(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    with pytest.raises(TypeError, match="pickle"):
        executor.submit(unpicklable).result()
    assert shared_store.list() == []


def test_any_predicate_will_do_and_any_client(store):
    client = Client()
    with StoreExecutor(client, store, is_large) as executor:
        result = executor.submit(fill, 1).result()
        assert isinstance(result, OwnedProxy)
        assert type(executor.submit(fill, 1, 5).result()) is bytes
    client.join()
    del result


def test_it_goes_together_with_concurrent_futures(pool, open_store):
    executor = StoreExecutor(pool, open_store("shm"), ProxySize(LARGE))
    futures = [executor.submit(fill, number) for number in range(4)]
    done, not_done = wait(futures, timeout=30)
    assert (len(done), len(not_done)) == (4, 0)
    seen = []
    futures[0].add_done_callback(seen.append)
    assert seen == futures[:1]
    seen.clear()
