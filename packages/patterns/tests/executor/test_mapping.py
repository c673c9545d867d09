"""Map over items with a policy: results in order, and nothing left of those that are not fetched."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from chores import LARGE, Client, fail, fill, kind_of, kinds, pause, same, total, wait_for

from psk.errors import DeadlineError, InvalidArgumentError, SerializationError
from psk_patterns import ProxyAlways, ProxySize, ProxyType, StoreExecutor


@pytest.fixture
def executor(store):
    with ThreadPoolExecutor(2) as threads, StoreExecutor(threads, store, ProxySize(LARGE)) as opened:
        yield opened


ITEMS = [b"\1" * LARGE, b"small", b"\2" * LARGE]


@pytest.mark.parametrize("chunksize", [1, 2, 10])
def test_each_item_is_looked_at_by_itself(executor, store, chunksize):
    expected = [["proxy", "int"], ["bytes", "int"], ["proxy", "int"]]
    assert list(executor.map(kinds, ITEMS, range(3), chunksize=chunksize)) == expected
    assert store.list() == []
    executor.should_proxy = ProxyType(str)
    assert list(executor.map(kinds, ["a", 1, "b"], chunksize=chunksize)) == [["proxy"], ["int"], ["proxy"]]
    executor.should_proxy = ProxyAlways()
    assert list(executor.map(kinds, [(1,), (2,)], chunksize=chunksize)) == [["proxy"], ["proxy"]]


@pytest.mark.parametrize("chunksize", [1, 3])
def test_results_come_in_order_from_processes(pool, open_store, chunksize):
    executor = StoreExecutor(pool, open_store("shm"), ProxySize(LARGE))
    assert list(executor.map(total, ITEMS, range(5), chunksize=chunksize)) == [LARGE, sum(b"small") + 1, 2 * LARGE + 2]


@pytest.mark.parametrize("chunksize", [1, 2])
def test_each_result_is_looked_at_by_itself(pool, shared_store, chunksize):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    results = list(executor.map(fill, [1, 2, 3], [LARGE, 1, LARGE], chunksize=chunksize))
    assert [kind_of(result) for result in results] == ["proxy", "bytes", "proxy"]
    assert [result[0] for result in results] == [1, 2, 3]
    assert len(shared_store.list()) == 2
    results.clear()


def test_an_error_ends_it_and_lets_everything_go(executor, store):
    results = executor.map(fail, ITEMS)
    with pytest.raises(ValueError, match="on purpose"):
        next(results)
    assert list(results) == []


def test_an_abandoned_iterator_lets_everything_go(store):
    event = threading.Event()
    with ThreadPoolExecutor(1) as one, StoreExecutor(one, store, ProxySize(LARGE)) as executor:
        results = executor.map(wait_for, [event] * 4, [fill(number) for number in range(4)])
        assert len(store.list()) == 4
        results.close()
        results.close()
        assert len(store.list()) == 1  # of the one that runs
        event.set()


def test_a_dropped_iterator_lets_everything_go(store):
    event = threading.Event()
    with ThreadPoolExecutor(1) as one, StoreExecutor(one, store, ProxySize(LARGE)) as executor:
        results = executor.map(wait_for, [event] * 4, [fill(number) for number in range(4)])
        event.set()
        next(results)
        del results


@pytest.mark.parametrize("ownership", [True, False])
def test_results_that_nobody_fetches_go_too(pool, shared_store, ownership):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE), ownership=ownership)
    results = executor.map(fill, range(6))
    assert next(results)[0] == 0
    fetched = next(results)
    results.close()
    executor._tasks.wait()
    if not ownership:
        for key in shared_store.list():
            assert shared_store.get(key)[0] in {0, 1}
            shared_store.evict(key)
    del fetched


def test_the_items_are_let_go_if_one_cannot_be_put(executor, store):
    executor.should_proxy = ProxyAlways()
    with pytest.raises(SerializationError):
        executor.map(pause, [0, 0], [b"x", (each for each in ())])


def test_the_items_are_let_go_if_there_is_an_error_among_them(executor, store):
    def items():
        yield 0.0
        raise LookupError

    with pytest.raises(LookupError):
        executor.map(pause, items(), ITEMS)


def test_a_map_has_a_deadline(store):
    event = threading.Event()
    with ThreadPoolExecutor(1) as one, StoreExecutor(one, store, ProxySize(LARGE)) as executor:
        results = executor.map(wait_for, [event] * 3, ITEMS, timeout=0.05)
        with pytest.raises(DeadlineError, match="3 tasks"):
            next(results)
        assert list(results) == []
        event.set()


def test_a_task_may_raise_a_timeout_error_of_its_own(executor):
    def late(_item):
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        next(executor.map(late, [1]))


@pytest.mark.parametrize("chunksize", [0, -1, 1.5, True])
def test_an_impossible_chunk_is_a_typed_error(executor, chunksize):
    with pytest.raises(InvalidArgumentError, match="chunksize"):
        executor.map(same, [1], chunksize=chunksize)


def test_a_map_of_nothing_is_empty(executor):
    assert list(executor.map(same, [])) == []
    assert list(executor.map(same, [], chunksize=4)) == []


def test_a_client_maps_in_chunks(store):
    client = Client()
    with StoreExecutor(client, store, ProxySize(LARGE)) as executor:
        assert list(executor.map(total, ITEMS, chunksize=2)) == [LARGE, sum(b"small"), 2 * LARGE]
    client.join()
    assert len(client.threads) == 2
