"""Differences of the patterns that docs/porting.md describes. Each test is named in one of its tables."""

import copy
import gc
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import psk
from psk.errors import InvalidArgumentError
from psk_patterns import (
    ContextLifetime,
    LeaseLifetime,
    ProxyType,
    StoreExecutor,
    borrow,
    clone,
    future,
    mark_refs_out_of_scope,
    mut_borrow,
    owned_proxy,
    update,
)
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import BorrowedError, OwnershipError, ReferenceInvalidError


@pytest.fixture
def store():
    with psk.Store("difference", "local://patterns-difference") as opened:
        yield opened
        opened.clear()


@pytest.fixture
def executor(store):
    with StoreExecutor(ThreadPoolExecutor(2), store, ProxyType(str)) as opened:
        yield opened


def fail_if(condition):
    if condition:
        raise ZeroDivisionError


def test_a_lifetime_ends_with_its_block_after_an_error(store):
    with pytest.raises(ZeroDivisionError), ContextLifetime(store) as lifetime:
        fail_if(store.put([1], lifetime=lifetime))
    assert lifetime.done()
    assert store.list() == []


def test_a_lease_does_not_keep_the_interpreter_alive():
    program = (
        "import psk; from psk_patterns import LeaseLifetime; s = psk.Store('s', 'local://s');"
        "s.put([1], lifetime=LeaseLifetime(s, 60)); s.put([2], lifetime=LeaseLifetime(s, 60, renew=False))"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert time.monotonic() - start < 30


def test_an_owned_object_goes_although_its_maker_used_it(store):
    owned = owned_proxy(store, [1, 2])
    assert owned == [1, 2]
    del owned
    assert flush()
    assert store.list() == []


def test_two_results_of_one_future_share_nothing(store):
    promised = future(store)
    promised.set_result([1])
    first, second = promised.result(), promised.result()
    first.append(2)
    assert (first, second, promised.result()) == ([1, 2], [1], [1])
    promised.release()


def test_a_mapped_function_gets_each_item_as_the_policy_says(executor):
    kinds = list(executor.map(lambda item: issubclass(type(item), psk.Proxy), ["text", 1, "text"]))
    assert kinds == [True, False, True]


def test_inputs_go_although_a_task_failed_and_nobody_fetched_the_rest(store, executor):
    results = executor.map(lambda text: fail_if(text == "b"), ["a", "b", "c"])
    assert next(results) is None
    with pytest.raises(ZeroDivisionError):
        next(results)
    del results
    executor.shutdown()
    assert flush()
    assert store.list() == []


LATER = datetime.now(UTC) + timedelta(hours=1)


@pytest.mark.parametrize(
    ("expiry", "renew"),
    [
        (0, True),
        (-1, True),
        (float("inf"), True),
        (timedelta(0), True),
        (LATER, True),
        (LATER - timedelta(hours=2), False),
        (LATER.replace(tzinfo=None), False),
    ],
    ids=str,
)
def test_a_lease_that_cannot_begin_is_refused(store, expiry, renew):
    with pytest.raises(InvalidArgumentError):
        LeaseLifetime(store, expiry, renew=renew)
    LeaseLifetime(store, LATER, renew=False).close()


def test_a_borrowed_owner_cannot_be_updated(store):
    owner = owned_proxy(store, [1])
    borrowed = borrow(owner)
    owner.append(2)
    with pytest.raises(BorrowedError) as caught:
        update(owner)
    assert isinstance(caught.value, OwnershipError)
    mark_refs_out_of_scope(borrowed)
    update(owner)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_only_a_borrow_can_be_copied(store, duplicate):
    owner = owned_proxy(store, [1])
    with pytest.raises(OwnershipError):
        duplicate(owner)
    first = borrow(owner)
    second = duplicate(first)
    mark_refs_out_of_scope(first)
    assert second == [1]
    with pytest.raises(BorrowedError):
        update(owner)
    mark_refs_out_of_scope(second)
    changing = mut_borrow(owner)
    with pytest.raises(OwnershipError):
        duplicate(changing)


def test_a_clone_holds_what_its_owner_shows(store):
    owner = owned_proxy(store, [1])
    owner.append(2)
    (before,) = store.list()
    cloned = clone(owner)
    assert not psk.is_resolved(cloned)
    (key,) = set(store.list()) - {before}
    assert store.get(key) == cloned == [1, 2]


def test_a_borrow_that_has_ended_still_has_its_class(store):
    owner = owned_proxy(store, [1])
    ended = borrow(owner)
    mark_refs_out_of_scope(ended)
    assert isinstance(ended, list)
    with pytest.raises(ReferenceInvalidError):
        len(ended)


class Client:
    """What an engine's client has: it is no executor of `concurrent.futures`."""

    def __init__(self, pool):
        self.submit = pool.submit
        self.open = True

    def close(self):
        self.open = False


def test_a_client_of_an_engine_stays_open(store):
    with ThreadPoolExecutor(1) as pool:
        client = Client(pool)
        with StoreExecutor(client, store, ProxyType(str)) as executor:
            assert executor.submit(len, "text").result() == 4
        assert client.open


def test_an_object_outlives_its_owner_for_its_borrows(store):
    owner = owned_proxy(store, [1])
    borrowed = borrow(owner)
    del owner
    gc.collect()
    assert borrowed == [1]
    del borrowed
    gc.collect()
    assert flush()
    assert store.list() == []
