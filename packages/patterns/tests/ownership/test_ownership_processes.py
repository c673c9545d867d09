"""Owners and borrows across processes, forks, threads and the interpreter's exit."""

import gc
import pickle
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from multiprocessing import get_context

import ownership_tasks
import pytest

import psk
from faults.killer import Victim
from psk.errors import InvalidArgumentError
from psk_patterns import borrow, mark_refs_out_of_scope, mut_borrow, owned_proxy, release, submit
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import BorrowedError, MutableBorrowError, ReferenceInvalidError
from psk_patterns.ownership import accept
from psk_testing.timing import timed

TTL = 1.0


def emptied(store, within):
    deadline = time.monotonic() + within
    while store.list() and time.monotonic() < deadline:
        time.sleep(0.02)
    return store.list() == []


@pytest.fixture
def pool():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


def test_tasks_borrow_update_give_and_consume(open_channel, pool):
    for kind in ("file", "shm", "redis"):
        store = open_channel(kind)
        owner = owned_proxy(store, [1, 2], ttl=TTL)
        reader, named = borrow(owner), borrow(owner)
        task = submit(pool.submit, args=(ownership_tasks.total, reader), kwargs={"named": named})
        assert task.result(60) == 6
        writer = mut_borrow(owner)
        assert submit(pool.submit, args=(ownership_tasks.append_to, writer, 3, 4)).result(60) == 4
        flush()
        assert owner == [1, 2, 3, 4]
        deep = {"at": (borrow(owner),), "n": 5}
        assert submit(pool.submit, args=(ownership_tasks.deep_total, deep)).result(60) == 15
        flush()
        assert pool.submit(ownership_tasks.consume, owner).result(60) == 1
        given = pool.submit(ownership_tasks.give, store.uri, 7).result(60)
        accept(given)
        assert given == [7]
        release(given)
        del deep, task
        assert emptied(store, TTL + 1)


def test_what_a_killed_worker_owned_goes(open_channel, pool):
    store = open_channel("file")
    owner = owned_proxy(store, [1], ttl=TTL, window=0.5)
    reader = borrow(owner)
    with pytest.raises(BrokenExecutor):
        submit(pool.submit, args=(ownership_tasks.die, reader)).result(60)
    mark_refs_out_of_scope(reader)
    assert owner[0] == 1
    release(owner)
    assert store.list() == []


def test_borrows_end_with_their_future(local_store):
    owner = owned_proxy(local_store, [1])
    task = Future()
    reader = borrow(owner)
    assert submit(lambda *_args: task, args=([(reader,)],)) is task
    with pytest.raises(MutableBorrowError):
        mut_borrow(owner)
    task.set_exception(OSError())
    with pytest.raises(ReferenceInvalidError):
        reader[0]
    reader = borrow(owner)
    with pytest.raises(InvalidArgumentError, match="add_done_callback"):
        submit(lambda _: None, args=(reader,))
    with pytest.raises(BorrowedError):
        release(owner)
    mark_refs_out_of_scope(reader)
    release(owner)


def test_a_forked_child_owns_nothing(open_channel):
    store = open_channel("file")
    owner = owned_proxy(store, [1], ttl=TTL, populate_target=False)

    def live(report, owner=owner):
        report(str(owner[0]))
        report(ownership_tasks.lend_in_child(owner))
        try:
            pickle.dumps(owner)
        except psk.errors.PskError as error:
            report(type(error).__name__)
        del owner
        gc.collect()
        flush()

    victim = Victim(live)
    del live
    assert victim.join() == ["1", "refused", "ReferenceNotOwnedError"]
    assert owner[0] == 1
    release(owner)


EXIT = """
import pickle, sys, psk
from psk_patterns import borrow, owned_proxy
store = psk.Store("s", sys.argv[1], register=True)
kept = owned_proxy(store, [1]), owned_proxy(store, [2], ttl=1, window=0.5)
reader = borrow(kept[0])
cycle = [owned_proxy(store, [3])]; cycle.append(cycle)
arrived = pickle.loads(pickle.dumps(owned_proxy(store, [4])))
sys.stderr.write(f"{len(store.list())} objects")
"""


def test_what_is_owned_goes_at_exit(open_channel):
    for kind in ("file", "redis"):
        store = open_channel(kind)
        with timed() as clock:
            ended = subprocess.run(
                [sys.executable, "-c", EXIT, store.uri], capture_output=True, text=True, check=True, timeout=60
            )
        assert ended.stderr == "5 objects"
        assert clock.seconds < 20
        assert store.list() == []


def test_garbage_in_any_order_leaves_nothing(open_channel, seed):
    import random

    chance = random.Random(seed)
    store = open_channel("local")
    for _ in range(30):
        owner = owned_proxy(store, [1])
        things = [owner, borrow(owner), borrow(owner), owned_proxy(store, {"a": 1})]
        del owner
        for thing in things[1:3]:
            assert thing[0] == 1
        chance.shuffle(things)
        things.append(things)  # a cycle
        del thing, things
    gc.collect()
    assert flush(5)
    assert store.list() == []


def test_an_object_whose_store_was_closed_goes_all_the_same(open_channel):
    store = open_channel("file")
    uri = store.uri
    owner = owned_proxy(store, [1])
    store.close()
    del owner
    assert flush()
    with psk.Store("again", uri) as again:
        assert again.list() == []
