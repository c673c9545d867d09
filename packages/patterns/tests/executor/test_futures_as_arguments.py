"""The future of a task is an argument like its result, for which no worker waits."""

import concurrent.futures
import gc
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from chores import LARGE, Pair, fail, fill, kinds, same, total, wait_for

from psk import Proxy
from psk_patterns import ProxySize, StoreExecutor
from psk_patterns.deferred_cleanup import flush
from psk_patterns.ownership import is_owned


@pytest.fixture
def store(open_store):
    return open_store("shm")


@pytest.fixture
def executor(store):
    """One with a single worker, which a task that waited would keep."""
    with StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(LARGE)) as opened:
        yield opened


def test_it_becomes_its_result_wherever_it_is(executor):
    small, large = executor.submit(total, 1, 2), executor.submit(fill, 1)
    seen = executor.submit(kinds, small, [small, {"a": large}], Pair(large, 5), named=large)
    assert seen.result() == ["int", ["int", {"a": "proxy"}], ["proxy", "int"], "proxy"]
    assert executor.submit(total, small, large).result() == 3 + LARGE


def test_it_crosses_processes(pool, store):
    executor = StoreExecutor(pool, store, ProxySize(LARGE))
    left = executor.submit(fill, 1)
    results = [executor.submit(total, executor.submit(same, left), left) for _ in range(3)]
    assert [result.result() for result in results] == [2 * LARGE] * 3
    assert is_owned(left.result())  # which was lent, not moved
    executor._tasks.wait()


def test_tasks_that_wait_for_others_keep_no_worker(executor):
    begin = threading.Event()
    first = executor.submit(wait_for, begin)
    chain = [first]
    chain += [executor.submit(kinds, future) for future in chain * 20]
    last = executor.submit(len, chain)
    begin.set()
    assert last.result(timeout=30) == 21


def test_a_long_chain_of_tasks_fails_as_its_first_one(executor):
    first = last = concurrent.futures.Future()
    for _ in range(400):
        last = executor.submit(len, last)
    first.set_exception(KeyError("first"))
    with pytest.raises(KeyError, match="first"):
        last.result(timeout=30)


def test_futures_of_other_executors_are_taken_too(executor):
    with ThreadPoolExecutor(1) as other:
        assert executor.submit(total, other.submit(fill, 2)).result() == 2 * LARGE
    done = concurrent.futures.Future()
    done.set_result(b"x" * LARGE)
    assert executor.submit(kinds, done).result() == ["proxy"]


def test_map_takes_them_as_items(executor):
    futures = [executor.submit(fill, number) for number in range(3)]
    assert list(executor.map(total, futures)) == [0, LARGE, 2 * LARGE]
    assert list(executor.map(total, futures, chunksize=2)) == [0, LARGE, 2 * LARGE]


def test_what_fails_fails_what_waits_for_it(executor):
    second = executor.submit(total, executor.submit(fail), b"x" * LARGE)
    third = executor.submit(total, second)
    with pytest.raises(ValueError, match="on purpose"):
        third.result(timeout=30)


def test_what_is_cancelled_ends_what_waits_for_it(executor):
    begin = threading.Event()
    first = executor.submit(wait_for, begin)
    second = executor.submit(fill, 1)
    third = executor.submit(total, second)
    fourth = executor.submit(total, first)
    assert second.cancel()
    assert fourth.cancel()
    with pytest.raises(CancelledError):
        third.result(timeout=30)
    assert fourth.cancelled()
    begin.set()


@pytest.mark.parametrize("wait", [True, False])
def test_shutdown_waits_for_what_is_yet_to_be_submitted(store, wait):
    begin = threading.Event()
    executor = StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(LARGE))
    last = executor.submit(total, executor.submit(kinds, executor.submit(wait_for, begin)), 1)
    if wait:
        threading.Timer(0.05, begin.set).start()
        executor.shutdown()
        assert last.done()
    else:
        executor.shutdown(wait=False)
        begin.set()
    with pytest.raises(TypeError):  # a list and a number
        last.result(timeout=30)
    for thread in executor.executor._threads:
        thread.join(30)
        assert not thread.is_alive()  # it ends when the wrapped executor is shut down


def test_shutdown_cancels_what_waits(store):
    begin = threading.Event()
    executor = StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(LARGE))
    first = executor.submit(wait_for, begin)
    second = executor.submit(total, first)
    executor.shutdown(wait=False, cancel_futures=True)
    assert second.cancelled()
    begin.set()
    assert first.result() is None
    executor.shutdown()


@pytest.mark.parametrize("retries", [False, True])
def test_a_result_goes_when_the_last_that_needs_it_is_done(store, retries):
    gc.disable()  # nothing is to wait for that
    try:
        with StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(LARGE), retries=retries) as executor:
            assert executor.submit(total, executor.submit(fill, 1), executor.submit(fill, 2)).result() == 3 * LARGE
        assert flush()
        assert store.list() == []
    finally:
        gc.enable()


def test_a_proxy_is_not_used_to_find_out_whether_it_is_a_future(executor, store):
    unused = store.proxy(b"x" * LARGE, evict=True, populate_target=False)
    assert executor.submit(kinds, [unused]).result() == [["proxy"]]
    assert Proxy in type(unused).__mro__
    assert total(unused) == LARGE * ord("x")
