"""Wait for many futures, and call back, without one thread for each."""

import concurrent.futures
import gc
import pickle
import threading
import time

import pytest
from future_checks import release_all, until

from psk.errors import InvalidArgumentError
from psk_patterns import as_completed, future, wait
from psk_patterns.errors import FutureCancelledError, FutureError, FutureTimeoutError

OPTIONS = ("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED")


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def set_each(futures, pause):
    for number, made in enumerate(futures):
        time.sleep(pause)
        made.set_result(number)


def test_many_are_waited_for_by_one_thread(store, scale):
    futures = [future(store) for _ in range(scale("patterns_futures.many"))]
    thread = in_thread(set_each, futures, 0.0)
    before = threading.active_count()
    most, count = 0, 0
    for made in as_completed(futures, 100):
        most = max(most, threading.active_count())
        count += made.result() is not None
    thread.join()
    assert count == len(futures)
    assert most <= before + 5, "one that watches, one that renews leases, and the channel's own"
    assert wait(futures).done == set(futures)
    release_all(futures)
    assert store.list() == []


def test_futures_of_several_channels_are_waited_for_together(address):
    from contextlib import ExitStack

    from psk import Store

    with ExitStack() as stack:
        kinds = ("local", "file", "shm", "redis")
        stores = [stack.enter_context(Store(kind, address(kind))) for kind in kinds]
        futures = [future(store) for store in stores for _ in range(3)]
        thread = in_thread(set_each, futures, 0.01)
        assert [made.result() for made in as_completed(futures, 20)] == list(range(12))
        thread.join()
        release_all(futures)
        assert [store.list() for store in stores] == [[]] * 4


def test_what_is_done_already_comes_at_once(store):
    futures = [future(store) for _ in range(4)]
    futures[0].set_result(0)
    futures[1].cancel()
    assert wait(futures, 0).done == set(futures[:2])
    assert wait(futures, 5, "FIRST_COMPLETED") == (set(futures[:2]), set(futures[2:]))
    assert wait([]) == (set(), set())
    assert list(as_completed([])) == []
    assert "psk-futures" not in {thread.name for thread in threading.enumerate()}
    release_all(futures)


def test_waiting_ends_when_it_was_asked_to(file_store):
    futures = [future(file_store) for _ in range(3)]
    thread = in_thread(lambda: (time.sleep(0.1), futures[0].set_result(1)))
    assert wait(futures, 10, "FIRST_COMPLETED").done == {futures[0]}
    thread.join()
    thread = in_thread(lambda: (time.sleep(0.1), futures[1].set_exception(ValueError())))
    assert wait(futures, 10, "FIRST_EXCEPTION") == ({futures[0], futures[1]}, {futures[2]})
    thread.join()
    assert wait(futures, 0.1).not_done == {futures[2]}
    with pytest.raises(FutureTimeoutError, match=r"1 of 3 futures.*pool"):
        list(as_completed(futures, 0.1))
    release_all(futures)


def test_an_abandoned_iterator_leaves_no_thread(file_store, soon):
    futures = [future(file_store) for _ in range(3)]
    futures[0].set_result(1)
    ends = as_completed(futures, 60)
    assert next(ends) == futures[0]
    soon(0.1, futures[1].set_result, 2)
    assert next(ends) == futures[1]
    del ends
    gc.collect()
    until(lambda: "psk-futures" not in {thread.name for thread in threading.enumerate()})
    release_all(futures)


def test_what_cannot_be_waited_for_is_refused(file_store):
    with pytest.raises(InvalidArgumentError, match="SOME"):
        wait([], return_when="SOME")
    with pytest.raises(InvalidArgumentError):
        wait([future(file_store)], timeout=-1)
    with pytest.raises(InvalidArgumentError):
        list(as_completed([future(file_store)], timeout="x"))
    for stranger in (1, [], concurrent.futures.Future(), future(file_store, timeout=60).proxy()):
        with pytest.raises(InvalidArgumentError, match=r"concurrent\.futures\.wait"):
            wait([future(file_store), stranger], 1)
        with pytest.raises(InvalidArgumentError, match=r"concurrent\.futures\.wait"):
            list(as_completed([stranger], 1))
    with pytest.raises(InvalidArgumentError, match="not an iterable"):
        wait(future(file_store))


@pytest.mark.parametrize("is_set", [True, False])
def test_what_was_released_is_not_waited_for_and_stays_away(store, is_set):
    made, other = future(store), future(store)
    other.set_result(1)
    (made.set_result if is_set else lambda _: made.claim())(1)
    made.release()
    for waited in (wait, lambda *args: list(as_completed(*args))):
        with pytest.raises(FutureError, match="was released here"):
            waited([other, made], 5)
    other.release()
    assert store.list() == []


def test_a_producer_misses_no_claim_that_it_has_done_with(store):
    made = future(store)
    copy = pickle.loads(pickle.dumps(made))
    made.set_result(1)
    copy.release()
    assert wait([made], 0.2).not_done == {made}
    assert not made.done()
    assert store.list() == []


def test_a_cancelled_one_is_no_exception_to_wait_for(file_store):
    futures = [future(file_store) for _ in range(2)]
    futures[0].cancel()
    assert wait(futures, 0.2, "FIRST_EXCEPTION").not_done == {futures[1]}
    with pytest.raises(FutureCancelledError):
        futures[0].result()
    release_all(futures)


def test_closing_the_store_does_not_stop_the_watch(file_store):
    made, called = future(file_store), []
    made.add_done_callback(called.append)
    time.sleep(0.05)
    file_store.close()
    made.set_result(1)
    until(lambda: called)
    made.release()


def test_releasing_right_after_the_result_leaves_nothing(store):
    called = []
    for _ in range(20):
        made = future(store)
        made.add_done_callback(called.append)
        thread = in_thread(made.set_result, 1)
        assert made.result() == 1
        made.release()
        thread.join()
    until(lambda: len(called) == 20)
    time.sleep(0.1)
    assert store.list() == []


def test_who_waits_here_for_what_is_released_here_hears_of_it(file_store, unraisable):
    made, called = future(file_store), []
    made.add_done_callback(called.append)
    releasing = threading.Timer(0.1, made.release)
    releasing.start()
    with pytest.raises(FutureError, match="was released"):
        list(as_completed([made], 20))
    releasing.join()
    assert file_store.list() == []
    assert called == unraisable == []
