"""Mutable borrows that were sent away last as long as the receiver may need them, and no longer."""

import pickle
import time

import pytest

from psk.errors import MissingKeyError, ProxyResolveError
from psk_patterns import borrow, mark_refs_out_of_scope, mut_borrow, owned_proxy, release, update, withdraw
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import BorrowedError, MutableBorrowError, ReferenceInvalidError

WINDOW = 0.4
PATIENCE = 20.0


def test_it_outlasts_its_proxy_here_until_it_is_taken_back(store):
    owner = owned_proxy(store, [1])
    message = pickle.dumps(mut_borrow(owner))  # as a queue does; nobody keeps the proxy
    for call in (len, borrow, mut_borrow):
        with pytest.raises(MutableBorrowError, match=r"withdraw\(owner\).*pickled"):
            call(owner)
    for call in (update, pickle.dumps):
        with pytest.raises(BorrowedError, match="pickled"):
            call(owner)
    there = pickle.loads(message)
    there.append(2)
    update(there)
    withdraw(owner)
    assert owner == [1, 2]
    release(owner)
    flush()


def test_it_ends_with_its_owner(store):
    owner = owned_proxy(store, [1])
    message = pickle.dumps(mut_borrow(owner))
    release(owner)
    late = pickle.loads(message)
    with pytest.raises((ProxyResolveError, MissingKeyError)):
        late.append(2)
    with pytest.raises(ReferenceInvalidError, match="released"):
        borrow(owner)


def test_one_whose_proxy_is_still_here_is_ended_through_that(local_store):
    owner = owned_proxy(local_store, [1])
    here = mut_borrow(owner)
    pickle.dumps(here)
    withdraw(owner)
    with pytest.raises(MutableBorrowError):
        borrow(owner)
    with pytest.raises(BorrowedError):
        release(owner)
    mark_refs_out_of_scope(here)
    del here
    assert borrow(owner) == [1]
    release(owner)


def test_one_that_could_not_be_sent_ends_as_others_do(plain_store):
    owner = owned_proxy(plain_store(), [1])
    writer = mut_borrow(owner)
    with pytest.raises(Exception, match="cannot be sent"):
        pickle.dumps(writer)
    del writer
    release(owner)


def test_it_ends_when_the_window_is_over(shared_store):
    owner = owned_proxy(shared_store, [1], ttl=0.9, window=WINDOW)
    pickle.dumps(mut_borrow(owner))
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            reader = borrow(owner)
            break
        except MutableBorrowError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert reader == [1]
    mark_refs_out_of_scope(reader)
    pickle.dumps(mut_borrow(owner))
    del owner  # and with the window the object of an owner that is gone
    flush()
    assert shared_store.list() != []
    while shared_store.list():
        assert time.monotonic() < deadline
        time.sleep(0.02)
