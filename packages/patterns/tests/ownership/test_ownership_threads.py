"""The rules of ownership between threads and across forks, and what owning leaves behind."""

import atexit
import copy
import threading

import pytest

from faults.killer import Victim
from psk import get_factory
from psk.errors import InvalidArgumentError, MissingKeyError, PskError
from psk_patterns import borrow, clone, into_owned, owned_proxy, release, update
from psk_patterns.errors import AlreadyOwnedError
from psk_patterns.ownership import accept, title


def test_of_threads_that_make_an_owner_at_once_one_does(open_channel, scale):
    store = open_channel("shm")
    for _ in range(scale("patterns_ownership.races")):
        plain = store.proxy([1])
        owners, refused, start = [], [], threading.Barrier(3)

        def race(plain=plain, start=start, owners=owners, refused=refused):
            start.wait()
            try:
                owners.append(into_owned(plain))
            except AlreadyOwnedError as error:
                refused.append(error)

        threads = [threading.Thread(target=race) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(owners), len(refused)) == (1, 2)
        release(owners.pop())
    assert store.list() == []


def test_who_failed_to_make_an_owner_may_try_again(local_store):
    plain = local_store.proxy([1])
    with pytest.raises(InvalidArgumentError, match="too short"):
        into_owned(plain, ttl=0.01)
    release(into_owned(plain))
    plain = local_store.proxy([1])
    local_store.evict(get_factory(plain).reference.key)
    for _ in range(2):
        with pytest.raises(MissingKeyError):
            into_owned(plain)


def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent(open_channel):
    store = open_channel("file")
    owner = owned_proxy(store, [1], populate_target=False)
    reader = borrow(owner)
    held, done = threading.Event(), threading.Event()

    def hold():
        with get_factory(owner).locked():
            held.set()
            done.wait(60)

    def live(report, owner=owner, reader=reader):
        for call in (borrow, clone, accept, release, update):
            try:
                call(owner)
            except PskError as error:
                report(type(error).__name__)
        report(str(copy.copy(reader)[0]))

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    victim = Victim(live)
    reports = victim.join()
    done.set()
    thread.join()
    assert reports == 5 * ["ReferenceNotOwnedError"] + ["1"]
    del live, reader
    release(owner)


def test_what_was_owned_leaves_nothing_behind(local_store, scale):
    release(owned_proxy(local_store, [1]))
    before = atexit._ncallbacks()
    for _ in range(scale("patterns_ownership.races")):
        release(owned_proxy(local_store, [1]))
    assert atexit._ncallbacks() == before
    assert not any((title._titles, title._claims))
