"""Close the store of a future, lose its producer, and release it."""

import pickle
import threading
import time

import pytest

import psk
from psk.errors import CapabilityError
from psk_patterns import ContextLifetime, LeaseLifetime, future
from psk_patterns.errors import FutureDoneError, FutureError, FutureTimeoutError, ProducerDied
from psk_patterns.futures import waiting


def away(obj):
    return pickle.loads(pickle.dumps(obj))


def test_a_closed_store_is_no_obstacle(file_store, soon):
    made, copy = future(file_store), None
    soon(0.2, file_store.close)
    soon(0.5, lambda: copy.set_result(3))
    copy = away(made)
    assert made.result(20) == 3
    made.release()


def test_a_claim_outlives_the_store_that_it_was_made_with(file_store):
    made = future(file_store, ttl=0.3)
    copy = away(made)
    made.claim()
    file_store.close()
    with pytest.raises(FutureTimeoutError, match="alive"):
        copy.result(0.8)
    made.set_result(1)
    assert copy.result(5) == 1
    made.release()


def test_a_producer_that_forgets_its_future_counts_as_dead(file_store):
    made = future(file_store, ttl=0.4)
    copy = away(made)
    made.claim()
    del made
    with pytest.raises(ProducerDied, match=copy.key):
        copy.result(10)
    copy.release()
    assert file_store.list() == []


def test_nobody_uses_what_was_released(store):
    made = future(store)
    copy = away(made)
    made.release()
    made.release()
    for use in (made.result, made.done, made.cancel, made.claim, lambda: made.set_result(1)):
        with pytest.raises(FutureError, match="was released"):
            use()
    with pytest.raises(FutureError, match="was released by process"):
        copy.result(5)
    with pytest.raises(FutureDoneError):
        copy.set_result("too late")
    copy.release()
    assert store.list() == []


def test_one_that_nobody_else_knows_leaves_nothing_when_released(file_store):
    made = future(file_store)
    made.claim()
    made.release()
    assert file_store.list() == []


def test_a_lifetime_releases_a_future(file_store):
    with ContextLifetime(file_store) as lifetime:
        made = future(file_store, lifetime=lifetime)
        made.set_result(1)
        assert made.result(5) == 1
    assert file_store.list() == []


def test_a_lease_keeps_a_future_before_and_after_it_has_its_outcome(file_store):
    with LeaseLifetime(file_store, 0.3) as lease:
        made = future(file_store, lifetime=lease)
        time.sleep(0.4)
        made.set_result(1)
        time.sleep(0.4)
        assert made.result(5) == 1
    assert file_store.list() == []


def test_a_serializer_of_the_stores_own_is_left_alone(address):
    options = {"serializer": lambda _: b"never", "deserializer": lambda _: "never"}
    with psk.Store("own", address("file"), **options) as store:
        made = future(store)
        made.claim()
        made.set_result([1])
        assert made.result(5) == [1]
        assert made.exception() is None
        made.release()


def test_what_a_channel_cannot_do_is_refused_or_done_more_slowly(plain_store):
    with pytest.raises(CapabilityError):
        future(plain_store())
    made = future(plain_store("reserve", "list"), ttl=0.3, timeout=5)
    copy = away(made)
    made.claim()
    with pytest.raises(FutureTimeoutError, match="alive"):
        copy.result(0.6)
    made.set_result(1)
    assert copy.result() == 1
    made.release()
    assert made.store.list() == []


def test_a_thread_that_waits_for_what_another_one_releases_hears_of_it(file_store, monkeypatch):
    monkeypatch.setattr(waiting, "LISTEN_SECONDS", 0.2)
    made = future(file_store)
    releasing = threading.Timer(0.1, made.release)
    releasing.start()
    with pytest.raises(FutureError, match="was released"):
        made.result(20)
    releasing.join()
    assert file_store.list() == []
