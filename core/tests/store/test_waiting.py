"""Wait for an object until it exists or the timeout is over."""

import pickle
import threading

import pytest

from psk.errors import DeadlineError, KeyExistsError
from psk.wire import encode, new_object_id
from psk_testing.timing import timed


def test_wait_returns_what_exists(store):
    keys = store.put_batch([1, 2])
    absent = new_object_id().hex()
    assert store.wait(keys[0]) == keys[:1]
    assert sorted(store.wait([*keys, absent])) == sorted(keys)


def test_wait_ends_at_its_deadline(store):
    with timed() as clock, pytest.raises(DeadlineError, match=r"waiting|keys"):
        store.wait([new_object_id().hex()], timeout=0.2)
    assert clock.seconds >= 0.2
    assert not clock.late(0.2)


def test_a_reserved_object_is_waited_for_wherever_its_proxy_is_used(store):
    key = store.reserve()
    proxy = pickle.loads(pickle.dumps(store.proxy_from_key(key, wait=True)))
    assert not store.exists(key)
    producer = threading.Timer(0.1, store.fulfil, (key, [1, 2]))
    producer.start()
    assert proxy == [1, 2]
    producer.join()
    with pytest.raises(KeyExistsError):
        store.fulfil(key, [3])
    assert store.get(key) == [1, 2]


def test_wait_wakes_when_the_object_comes(store):
    object_id = new_object_id()
    key = object_id.hex()
    producer = threading.Timer(0.1, lambda: store.connector.put(encode("late", object_id=object_id)))
    producer.start()
    assert store.wait(key, timeout=10) == [key]
    assert store.get(key) == "late"
    producer.join()
