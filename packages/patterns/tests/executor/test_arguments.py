"""Send the chosen arguments of a task as proxies, at any depth, and evict them when the task is done."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from chores import (
    LARGE,
    Client,
    Model,
    Pair,
    extracted,
    fail,
    key_in,
    kind_of,
    kinds,
    pause,
    produce,
    same,
    total,
    wait_for,
)

from psk import get_store
from psk.errors import CapabilityError, ProxyResolveMissingKeyError, SerializationError
from psk_patterns import ProxyAlways, ProxyNever, ProxySize, ProxyType, StoreExecutor, future
from psk_patterns.errors import FutureCancelledError

ARRAY = np.ones(LARGE)


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as workers:
        yield workers


@pytest.fixture
def executor(threads, store):
    with StoreExecutor(threads, store, ProxySize(LARGE)) as opened:
        yield opened


def test_large_arguments_arrive_as_proxies_and_are_gone_when_the_task_is_done(executor, store):
    assert executor.submit(total, ARRAY, 5).result() == LARGE + 5
    assert store.list() == []
    assert executor.submit(kinds, ARRAY, 5, b"x" * LARGE, name="y" * LARGE).result() == ["proxy", "int", *["proxy"] * 2]


def test_processes_find_them_too(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    assert executor.submit(total, ARRAY, 5).result() == LARGE + 5
    assert shared_store.list() == []
    assert executor.submit(kinds, ARRAY, 5).result() == ["proxy", "int"]


def test_what_is_chosen_may_lie_at_any_depth(pool, open_store):
    executor = StoreExecutor(pool, open_store("shm"), ProxyType(np.ndarray))
    nested = [ARRAY, {"a": Pair(1, ARRAY * 2)}, Model(ARRAY * 3, "name")]
    assert executor.submit(kinds, nested, named=(ARRAY,)).result() == [
        ["proxy", {"a": ["int", "proxy"]}, "proxy"],
        ["proxy"],
    ]
    assert kind_of(nested) == ["ndarray", {"a": ["int", "ndarray"]}, "ndarray"]


def test_a_structure_can_be_chosen_whole(executor):
    assert executor.submit(kinds, [*range(LARGE)], dict.fromkeys(range(LARGE))).result() == ["proxy", "proxy"]
    executor.should_proxy = ProxyAlways()
    assert executor.submit(kinds, [1], None, True).result() == ["proxy", "NoneType", "bool"]


def test_what_cannot_be_searched_is_one_object(threads, store):
    holder = [1]
    holder.append(holder)
    assert StoreExecutor(threads, store, ProxyType(list)).submit(extracted, holder).result() == "list"
    assert StoreExecutor(threads, store).submit(same, holder).result() is holder


def test_one_object_in_several_places_is_put_once(threads, open_store):
    store = open_store("local", metrics=True)
    with StoreExecutor(threads, store, ProxySize(LARGE)) as executor:
        assert executor.submit(total, ARRAY, ARRAY).result() == 2 * LARGE
        assert store.metrics.times["store.proxy_batch"].count == 1
        assert store.metrics.nbytes["put"] < 2 * ARRAY.nbytes


def test_one_object_for_several_tasks_is_put_for_each(executor):
    event = threading.Event()
    waiting = executor.submit(wait_for, event, ARRAY)
    assert executor.submit(total, ARRAY).result() == LARGE
    event.set()
    waiting.result()


def test_proxies_of_the_user_are_left_to_the_user(executor, store):
    proxy = store.proxy(ARRAY, populate_target=False)
    assert executor.submit(kinds, proxy, [proxy]).result() == ["proxy", ["proxy"]]
    assert executor.submit(total, proxy).result() == LARGE
    assert len(store.list()) == 1
    store.clear()


def test_an_error_lets_the_arguments_go(executor, store):
    failed = executor.submit(fail, ARRAY)
    with pytest.raises(ValueError, match="on purpose"):
        failed.result()
    assert store.list() == []


def test_cancellation_lets_the_arguments_go(store):
    event = threading.Event()
    with ThreadPoolExecutor(1) as one, StoreExecutor(one, store, ProxySize(LARGE)) as executor:
        running = executor.submit(wait_for, event, ARRAY)
        waiting = executor.submit(total, ARRAY)
        assert len(store.list()) == 2
        assert waiting.cancel()
        assert waiting.cancelled()
        assert len(store.list()) == 1
        assert not running.cancel()
        event.set()


def test_a_task_that_meets_a_cancelled_future_was_not_cancelled_itself(store):
    promised = future(store)
    promised.cancel()
    with ThreadPoolExecutor(1) as one, StoreExecutor(one, store) as executor:
        task = executor.submit(promised.result)
        with pytest.raises(FutureCancelledError, match=f"future {promised.key} .* was cancelled by"):
            task.result()
        assert not task.cancelled()
    promised.release()


def test_arguments_that_cannot_be_put_leave_nothing_behind(executor, store):
    executor.should_proxy = ProxyAlways()
    with pytest.raises(SerializationError):
        executor.submit(total, ARRAY, (each for each in ()))
    assert store.list() == []
    assert executor.submit(same, 7).result() == 7


def test_arguments_that_cannot_be_sent_leave_nothing_behind(pool, shared_store):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    with pytest.raises(TypeError, match="pickle"):
        executor.submit(total, ARRAY, threading.Lock()).result()
    assert shared_store.list() == []


def test_any_client_with_submit_will_do(store):
    client = Client()
    with StoreExecutor(client, store, ProxySize(LARGE)) as executor:
        done, failed = executor.submit(total, ARRAY), executor.submit(fail, ARRAY)
        assert done.result() == LARGE
        assert isinstance(failed.exception(), ValueError)
        assert not done.running()
        assert list(executor.map(total, [ARRAY, ARRAY * 2])) == [LARGE, 2 * LARGE]
        executor.submit(pause, 0.05, ARRAY)
    client.join()


def test_a_task_that_may_be_repeated_keeps_its_arguments(threads, store):
    with StoreExecutor(threads, store, ProxySize(LARGE), retries=True) as executor:
        dropped, released = executor.submit(key_in, ARRAY), executor.submit(fail, ARRAY)
        key = dropped.result()
        assert isinstance(released.exception(), ValueError)
        assert len(store.list()) == 2
        released.release()
        released.release()
        assert store.list() == [key]
        assert store.get(key).sum() == LARGE
        del dropped  # check_empty sees the rest


def test_releasing_early_waits_for_the_task(threads, store):
    event = threading.Event()
    with StoreExecutor(threads, store, ProxySize(LARGE), retries=True) as executor:
        waiting = executor.submit(wait_for, event, ARRAY)
        waiting.release()
        assert len(store.list()) == 1
        event.set()
        waiting.result()
        assert executor.submit(same, 1).result() == 1
    assert store.list() == []


def test_a_future_among_the_arguments_is_waited_for_in_the_task(pool, open_store):
    store = open_store("shm")
    executor = StoreExecutor(pool, store, ProxySize(LARGE))
    coming, nested = future(store), future(store)
    pending = executor.submit(total, coming, 1), executor.submit(kinds, [nested])
    coming.set_result(ARRAY)
    nested.set_result("used by nobody")
    assert [each.result() for each in pending] == [LARGE + 1, [["proxy"]]]
    for each in (coming, nested):
        each.release()


def test_a_task_that_is_to_fulfil_a_future_gets_it_with_its_function(threads, store):
    coming = future(store)
    with StoreExecutor(threads, store) as executor:
        consumer = executor.submit(total, coming)
        executor.submit(partial(produce, coming), 7)
        assert consumer.result() == 7
    coming.release()


def test_memory_of_one_process_cannot_serve_another(pool, open_store):
    executor = StoreExecutor(pool, open_store("local"), ProxySize(LARGE))
    with pytest.raises(CapabilityError, match="shm://"):
        executor.submit(total, ARRAY).result()


def test_nothing_is_proxied_unless_it_is_asked_for(threads, store):
    with StoreExecutor(threads, store) as executor:
        assert isinstance(executor.should_proxy, ProxyNever)
        assert executor.submit(kinds, ARRAY).result() == ["ndarray"]


def test_a_proxy_that_a_task_keeps_is_not_kept_alive(executor, store):
    kept = []
    assert executor.submit(kept.append, ARRAY).result() is None
    with pytest.raises(ProxyResolveMissingKeyError):
        kept[0].sum()
    assert get_store(kept[0]) is store
