"""Use futures across threads, processes and pools of them."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import future_peers
import numpy as np
import pytest

from psk import Store
from psk_patterns import future, wait
from psk_patterns.errors import FutureTimeoutError

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def pool():
    """Two processes that have inherited nothing; not for shared memory, which they would hold."""
    with ProcessPoolExecutor(2, mp_context=SPAWN) as processes:
        list(processes.map(abs, range(8)))
        yield processes


def test_shared_memory_serves_a_pool(address):
    with Store("shm", address("shm")) as store, ProcessPoolExecutor(2, mp_context=SPAWN) as processes:
        array, futures = np.arange(50_000), [future(store) for _ in range(4)]
        used = processes.submit(future_peers.use, futures[0].proxy())
        processes.submit(future_peers.produce, futures[0], array, 0.05)
        processes.submit(future_peers.fail, futures[1])
        processes.submit(future_peers.relay, None, futures[2], 1)
        processes.submit(future_peers.relay, futures[2], futures[3], 2)
        assert used.result(20) == array.sum()
        np.testing.assert_array_equal(futures[0].result(), array)
        assert isinstance(futures[1].exception(20), future_peers.SpawnedError)
        assert futures[3].result(20) == [1, 2]
        for made in futures:
            made.release()
        assert store.list() == []


def test_threads_pass_results_on(store):
    futures = [future(store) for _ in range(3)]
    with ThreadPoolExecutor(4) as threads:
        last = threads.submit(future_peers.consume, futures[-1])
        for step, made in reversed(list(enumerate(futures))):
            threads.submit(future_peers.relay, futures[step - 1] if step else None, made, step)
        assert last.result(20) == [0, 1, 2]
    for made in futures:
        made.release()
    assert store.list() == []


def test_a_pool_of_processes_is_a_pipeline(pooled_store, pool):
    made, array = future(pooled_store), np.arange(50_000)
    used = pool.submit(future_peers.use, made.proxy())
    pool.submit(future_peers.produce, made, array, 0.05)
    assert used.result(20) == array.sum()
    np.testing.assert_array_equal(made.result(), array)
    made.release()
    assert pooled_store.list() == []


def test_errors_of_a_process_arrive(pooled_store, pool):
    made = future(pooled_store)
    pool.submit(future_peers.fail, made)
    with pytest.raises(future_peers.SpawnedError) as caught:
        made.result(20)
    assert caught.value.code == 7
    assert "In the producer, process" in caught.value.__notes__[0]
    made.release()


def test_a_process_waits_for_many(pooled_store, pool, scale):
    futures = [future(pooled_store) for _ in range(min(scale("patterns_futures.many"), 300))]
    waiting = pool.submit(future_peers.consume_all, futures)
    for number, made in enumerate(futures):
        made.set_result(number)
    assert waiting.result(60) == list(range(len(futures)))
    for made in futures:
        made.release()
    assert pooled_store.list() == []


def test_chains_of_tasks_run_in_order(pooled_store, pool, scale):
    for _ in range(scale("patterns_futures.chains")):
        futures = [future(pooled_store) for _ in range(10)]
        for step, made in enumerate(futures):
            pool.submit(future_peers.relay, futures[step - 1] if step else None, made, step)
        assert futures[-1].result(30) == list(range(10))
        assert len(wait(futures, 5).done) == 10
        for made in futures:
            made.release()
    assert pooled_store.list() == []


def test_a_pool_smaller_than_its_blocked_consumers_ends_with_an_error_that_says_so(file_store):
    futures = [future(file_store) for _ in range(2)]
    with ThreadPoolExecutor(1) as pool:
        consumers = [pool.submit(future_peers.blocked, futures, number, 0.3) for number in range(2)]
        producers = [pool.submit(future_peers.produce, made, 1) for made in futures]
        why = r"no process has claimed it.*whose workers all wait.*more workers"
        for consumer in consumers:
            with pytest.raises(FutureTimeoutError, match=why):
                consumer.result(20)
        for producer in producers:
            producer.result(20)
    for made in futures:
        made.release()
