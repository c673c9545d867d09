"""Results and errors of futures: set once, delivered to every copy, shared by none."""

import pickle
from concurrent.futures import CancelledError, InvalidStateError

import future_peers
import numpy as np
import pytest

from psk.errors import DeadlineError, InvalidArgumentError, ProxyResolveError, SerializationError
from psk_patterns import Future, future
from psk_patterns.errors import (
    FutureCancelledError,
    FutureClaimedError,
    FutureDoneError,
    FutureTimeoutError,
    RemoteError,
)
from psk_testing.timing import timed


def away(obj):
    return pickle.loads(pickle.dumps(obj))


def test_a_result_arrives_in_every_copy(store):
    made = future(store)
    copy = away(made)
    assert (made.done(), copy.done(), made.running()) == (False, False, False)
    copy.set_result({"a": [1, 2]})
    assert made.result(5) == copy.result(5) == {"a": [1, 2]}
    assert made.exception(5) is None
    assert made.done()
    assert not made.running()
    assert not made.cancelled()
    made.release()
    assert store.list() == []


@pytest.mark.parametrize("value", [None, False, 0, "", (), Exception("a value")])
def test_any_value_is_a_result(file_store, value):
    made = future(file_store)
    made.set_result(value)
    assert repr(made.result(5)) == repr(value)
    made.release()


def test_each_result_is_the_callers_own(store):
    made = future(store)
    made.set_result([[1], np.arange(100_000)])
    first, second = made.result(), made.result()
    first[0].append(2)
    first[1][0] = 99
    assert second[0] == [1]
    assert second[1][0] == 0
    assert second[1].flags.writeable
    made.release()


def test_it_is_set_once(store):
    made = future(store)
    made.set_result(1)
    for again in (made, away(made)):
        with pytest.raises(FutureDoneError, match=made.key) as caught:
            again.set_result(1)
        assert isinstance(caught.value, InvalidStateError)
        with pytest.raises(FutureDoneError):
            again.set_exception(ValueError())
        with pytest.raises(FutureDoneError):
            again.claim()
        assert not again.cancel()
    assert made.result(5) == 1
    made.release()
    assert store.list() == []


def test_a_claim_keeps_others_out(store):
    made = future(store)
    made.claim()
    made.claim()
    other = away(made)
    assert made.running()
    assert other.running()
    for refused in (other.claim, lambda: other.set_result(1), lambda: other.set_exception(ValueError())):
        with pytest.raises(FutureClaimedError, match="has claimed it"):
            refused()
    assert not other.cancel()
    made.set_result(2)
    assert other.result(5) == 2
    made.release()
    assert store.list() == []


def test_cancelling_wins_before_a_claim(store):
    made = future(store)
    assert made.cancel()
    assert made.cancel()
    copy = away(made)
    assert copy.cancelled()
    assert copy.done()
    for refused in (copy.claim, lambda: copy.set_result(1), copy.result, copy.exception):
        with pytest.raises(FutureCancelledError, match=made.key) as caught:
            refused()
        assert isinstance(caught.value, CancelledError)
    made.release()
    assert store.list() == []


def test_a_canceller_that_dies_between_its_steps_is_completed_by_who_waits(file_store):
    from psk_patterns.futures.state import CANCELLED, Claim

    made = future(file_store)
    made.state.write_claim(Claim.make(CANCELLED))
    with pytest.raises(FutureCancelledError):
        made.result(5)
    assert file_store.exists(made.key)
    made.release()


def test_an_error_travels_with_its_traceback(store):
    made = future(store)
    future_peers.fail(away(made))
    with pytest.raises(future_peers.SpawnedError, match="went wrong") as caught:
        made.result(5)
    assert caught.value.code == 7
    assert "in break_down" in caught.value.__notes__[0]
    assert type(made.exception(5)) is future_peers.SpawnedError
    made.release()


@pytest.mark.parametrize(
    "error",
    [future_peers.StubbornError(1, two=2), future_peers.OpaqueError(), future_peers.UnreadableError()],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_cannot_travel_says_what_it_was(file_store, error):
    made = future(file_store)
    made.set_exception(error)
    told = made.exception(5)
    assert isinstance(told, RemoteError) == (type(error) is not future_peers.UnreadableError)
    assert isinstance(told, RemoteError) is False or type(error).__name__ in str(told)
    made.release()


def test_an_error_whose_class_is_missing_here_says_what_it_was(file_store, monkeypatch):
    made = future(file_store)
    made.set_exception(future_peers.SpawnedError("far away", 1))
    monkeypatch.delattr(future_peers, "SpawnedError")
    with pytest.raises(RemoteError, match=r"SpawnedError.*far away"):
        made.result(5)
    made.release()


def test_a_result_that_cannot_be_encoded_leaves_the_future_to_its_producer(file_store):
    made = future(file_store)
    with pytest.raises(SerializationError):
        made.set_result(number for number in ())
    with pytest.raises(FutureClaimedError):
        away(made).claim()
    made.set_exception(ValueError("could not be sent"))
    with pytest.raises(ValueError, match="could not be sent"):
        made.result(5)
    made.release()
    assert file_store.list() == []


def test_only_an_exception_is_one(file_store):
    made = future(file_store)
    with pytest.raises(InvalidArgumentError, match="'text' is not an exception"):
        made.set_exception("text")


def test_waiting_ends_in_its_time_and_says_why(store):
    made = future(store, timeout=0.2)
    with (
        timed() as clock,
        pytest.raises(FutureTimeoutError, match=r"0\.2 s.*no process has claimed.*pool.*workers") as caught,
    ):
        made.result()
    assert not clock.late(0.2)
    assert isinstance(caught.value, DeadlineError)
    copy = away(made)
    made.claim()
    with pytest.raises(FutureTimeoutError, match=r"within 0\.1 s; process .* has claimed it and is alive"):
        copy.result(0.1)
    with pytest.raises(FutureTimeoutError):
        copy.exception(0)
    made.set_result(1)
    assert copy.result(0) == 1
    made.release()


def test_times_that_make_no_sense_are_refused(file_store):
    for options in ({"ttl": 0.1}, {"ttl": None}, {"ttl": -1}, {"timeout": None}, {"timeout": -1}, {"timeout": "1"}):
        with pytest.raises(InvalidArgumentError):
            future(file_store, **options)
    with pytest.raises(InvalidArgumentError):
        future(file_store).result("soon")


def test_a_proxy_waits_for_the_result(store, soon):
    made = future(store)
    proxy = away(made.proxy())
    soon(0.1, made.set_result, [1, 2])
    assert proxy == [1, 2]
    made.release()


def test_a_proxy_of_a_failure_raises_it(file_store):
    made = future(file_store, timeout=5)
    made.set_exception(KeyError("gone"))
    with pytest.raises(ProxyResolveError, match="gone") as caught:
        len(made.proxy())
    assert isinstance(caught.value.cause, KeyError)
    made.release()


def test_a_proxy_that_evicts_leaves_nothing(store):
    made = future(store)
    made.set_result([1])
    assert away(made.proxy(evict=True)) == [1]
    assert store.list() == []


def test_futures_of_one_promise_are_equal(file_store):
    made, other = future(file_store), future(file_store)
    assert away(made) == made != other
    assert len({made, away(made), other}) == 2
    assert made.key in repr(made)
    assert made != made.key
    assert isinstance(made, Future)


def test_pickles_are_small(file_store):
    made = future(file_store)
    fixed = len(made.uri)
    assert len(pickle.dumps(made)) < fixed + 200
    assert len(pickle.dumps(made.proxy())) < fixed + 320
