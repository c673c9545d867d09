"""Kill workers, shut the executor down and exit the program: nothing is left in the channel."""

import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import pytest
from chores import LARGE, Client, die, exit_task, fail, fill, pause, pause_and_add, same, total, wait_for

from psk import Store
from psk.errors import StoreClosedError
from psk_patterns import ProxySize, StoreExecutor
from psk_patterns.errors import ExecutorClosedError

TTL = 1.0
ITEM = b"x" * LARGE


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_killed_worker_leaves_nothing(shared_store, start, scale):
    for trial in range(scale("patterns_executor.killed_workers")):
        with ProcessPoolExecutor(2, mp_context=get_context(start)) as workers:
            executor = StoreExecutor(workers, shared_store, ProxySize(LARGE), ttl=TTL)
            executor.submit(same, 1).result()
            futures = [executor.submit(fill if number != 3 else die, number, LARGE) for number in range(trial % 3, 9)]
            futures.append(executor.submit(total, ITEM))
            errors = [future.exception() for future in futures]
            assert any(isinstance(error, BrokenProcessPool) for error in errors)
            assert all(error is None or isinstance(error, BrokenProcessPool) for error in errors)
            with pytest.raises(BrokenProcessPool):
                executor.submit(total, ITEM)
        futures.clear()
        gc.collect()
        await_empty(shared_store, TTL + 1)


def await_empty(store, seconds):
    end = time.monotonic() + seconds
    while store.list() and time.monotonic() < end:
        time.sleep(0.01)
    assert store.list() == []


def test_an_error_that_ends_a_worker_passes_through(store):
    with ThreadPoolExecutor(1) as threads, StoreExecutor(threads, store, ProxySize(LARGE)) as executor:
        assert isinstance(executor.submit(exit_task, ITEM).exception(), SystemExit)
        assert executor.submit(total, ITEM).result() == LARGE * ord("x")


def test_no_task_is_taken_after_shutdown(store):
    threads = ThreadPoolExecutor(1)
    executor = StoreExecutor(threads, store, ProxySize(LARGE))
    last = executor.submit(total, ITEM)
    executor.shutdown()
    executor.shutdown()
    assert last.done()
    for submit in (executor.submit, executor.map):
        with pytest.raises(ExecutorClosedError, match="shutdown"):
            submit(total, [ITEM])
    with pytest.raises(RuntimeError, match="shutdown"):
        threads.submit(total, 1)


def test_the_wrapped_executor_may_be_shut_down_meanwhile(store):
    threads = ThreadPoolExecutor(1)
    executor = StoreExecutor(threads, store, ProxySize(LARGE))
    threads.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(total, ITEM)
    assert store.list() == []
    executor.shutdown()


def test_shutdown_can_cancel_what_has_not_begun(store):
    event = threading.Event()
    executor = StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(LARGE))
    running, waiting = executor.submit(wait_for, event, ITEM), executor.submit(total, ITEM)
    while not running.running():
        time.sleep(0.001)
    executor.shutdown(wait=False, cancel_futures=True)
    assert waiting.cancelled()
    assert len(store.list()) == 1
    event.set()
    executor.shutdown()
    assert running.result() is None
    assert store.list() == []


def test_a_client_is_not_shut_down_but_waited_for(store):
    client = Client()
    with StoreExecutor(client, store, ProxySize(LARGE)) as executor:
        future = executor.submit(pause, 0.1, ITEM)
    assert future.done()
    assert client.submit(same, 5).result() == 5
    client.join()


@pytest.mark.parametrize("closes", [True, False])
def test_the_store_is_closed_only_if_that_was_asked_for(open_store, closes):
    store = open_store("local")
    with StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(LARGE), close_store=closes) as executor:
        executor.submit(pause, 0.05, ITEM)
        executor.shutdown(wait=False)
    assert store.closed == closes


def test_the_store_may_be_closed_while_a_task_runs(open_store):
    store = open_store("file")
    event = threading.Event()
    with ThreadPoolExecutor(1) as threads, StoreExecutor(threads, store, ProxySize(LARGE)) as executor:
        future = executor.submit(wait_for, event, ITEM)
        store.close()
        event.set()
        assert future.result() is None
        with pytest.raises(StoreClosedError):
            executor.submit(total, ITEM)


def test_arguments_outlive_their_lease_while_a_task_needs_them(shared_store):
    executor = StoreExecutor(ThreadPoolExecutor(1), shared_store, ProxySize(LARGE), ttl=0.4)
    slow = executor.submit(pause_and_add, 0.8, ITEM)
    assert slow.result() == LARGE * ord("x")
    executor.shutdown()


def test_progress_is_reported(store):
    told = []

    def progress(done, of):
        told.append((done, of))
        raise LookupError("the user's own")

    unraised = []
    before, sys.unraisablehook = sys.unraisablehook, unraised.append
    try:
        with ThreadPoolExecutor(1) as threads, StoreExecutor(threads, store, progress=progress) as executor:
            executor.submit(fail).exception()
            assert told == [(1, 1)]
            assert list(executor.map(same, range(3))) == [0, 1, 2]
            assert told[-1] == (4, 4)
    finally:
        sys.unraisablehook = before
    assert [type(each.exc_value) for each in unraised] == [LookupError] * 4


PROGRAM = """
import sys, time
from concurrent.futures import {pool}
import psk
from psk_patterns import ProxySize, StoreExecutor
sys.path.append({here!r})
from chores import fill, pause, total
if __name__ == "__main__":
    store = psk.Store("program", {uri!r}, register=True)
    executor = StoreExecutor({pool}(2), store, ProxySize(1000), retries={retries})
    kept = [executor.submit(total, b"x" * 1000), executor.submit(pause, 0.2, b"y" * 1000)]
    lazy = executor.map(pause, [0.1] * 3, [b"z" * 1000] * 3)
    print(len(store.list()), flush=True)
    end = time.monotonic()
    {ending}
"""


@pytest.mark.parametrize("retries", [True, False])
@pytest.mark.parametrize("pool", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_a_program_that_just_ends_leaves_nothing(tmp_path, pool, retries):
    uri = f"file://{tmp_path}/objects"
    program = PROGRAM.format(pool=pool, here=str(Path(__file__).parent), uri=uri, retries=retries, ending="pass")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout) >= 2
    with Store("after", uri) as store:
        assert store.list() == []


def test_a_program_that_is_killed_leaves_nothing_for_longer_than_the_lease(tmp_path):
    uri = f"file://{tmp_path}/objects"
    ending = "executor._holder.ttl; os = __import__('os'); os.kill(os.getpid(), 9)"
    program = PROGRAM.format(
        pool="ThreadPoolExecutor", here=str(Path(__file__).parent), uri=uri, retries=True, ending=ending
    )
    program = program.replace("retries=True", f"retries=True, ttl={TTL}")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == -9
    with Store("after", uri) as store:
        await_empty(store, TTL + 1)


def test_a_forked_child_lets_nothing_of_its_parent_go(open_store):
    store = open_store("file")
    with ThreadPoolExecutor(1) as threads, StoreExecutor(threads, store, ProxySize(LARGE), retries=True) as executor:
        future = executor.submit(total, ITEM)
        future.result()
        child = os.fork()
        if child == 0:
            future.release()
            del future
            gc.collect()
            os._exit(0)
        os.waitpid(child, 0)
        assert len(store.list()) == 1


def test_many_tasks_leave_nothing(pool, shared_store, scale):
    executor = StoreExecutor(pool, shared_store, ProxySize(LARGE))
    count = scale("patterns_executor.tasks")
    results = executor.map(total, [fill(number % 256) for number in range(count)])
    assert list(results) == [LARGE * (number % 256) for number in range(count)]
    assert shared_store.list() == []
