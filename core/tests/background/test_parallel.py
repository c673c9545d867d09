"""Work on large memory by several threads, none of which outlives the call or keeps what it worked on."""

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults.interrupts import elsewhere, steps
from psk import parallel
from psk.errors import ForkedConnectorError
from psk.parallel import for_each

LARGE = 1 << 30


@pytest.fixture(autouse=True)
def several_cores(monkeypatch):
    monkeypatch.setattr(parallel, "usable_cores", lambda: 4)


@pytest.fixture(autouse=True)
def no_thread_is_left(several_cores):
    before = set(os.listdir("/proc/self/task"))
    yield
    for _ in range(1000):
        if before.issuperset(os.listdir("/proc/self/task")):
            return
        time.sleep(0.001)  # what has ended is not gone from the system yet
    pytest.fail("a thread is left")


def test_each_item_is_done_once_by_several_threads():
    done, together = Counter(), threading.Barrier(parallel.MOST_THREADS)

    def work(item):
        if item < parallel.MOST_THREADS:
            together.wait(10)
        done[item] += 1

    for_each(work, range(50), LARGE)
    assert done == Counter(range(50))
    assert not parallel._calls


def test_a_small_call_or_a_single_core_starts_no_thread(monkeypatch):
    monkeypatch.setattr(parallel, "start_new_thread", lambda *_: pytest.fail("a thread was started"))
    threads = set()
    for_each(lambda _: threads.add(threading.get_ident()), range(9), parallel.THREAD_BYTES)
    for_each(lambda _: threads.add(threading.get_ident()), range(1), LARGE)
    monkeypatch.setattr(parallel, "usable_cores", lambda: 1)
    for_each(lambda _: threads.add(threading.get_ident()), range(9), LARGE)
    assert threads == {threading.get_ident()}


def test_calls_at_the_same_time_share_the_cores(monkeypatch):
    started, start = [], parallel.start_new_thread
    monkeypatch.setattr(parallel, "start_new_thread", lambda *work: started.append(1) or start(*work))
    for others, threads in ((0, 3), (1, 1), (3, 0), (15, 0)):
        started.clear()
        monkeypatch.setattr(parallel, "_calls", set(range(others)))
        for_each(len, ["item"] * 9, LARGE)
        assert (len(started), parallel._calls) == (threads, set(range(others)))


def test_without_a_thread_the_caller_does_all(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel, "start_new_thread", refuse)
    done = []
    for_each(done.append, range(9), LARGE)
    assert done == list(range(9))


@pytest.mark.parametrize("mine", [True, False])
def test_an_error_of_any_thread_is_raised_and_ends_the_others(mine):
    caller, done = threading.get_ident(), []

    def work(item):
        if (threading.get_ident() == caller) == mine:
            raise ValueError(item)
        done.append(item)
        time.sleep(0.001)

    with pytest.raises(ValueError, match=r"\d"):
        for_each(work, range(10_000), LARGE)
    assert len(done) < 9000
    count = len(done)
    time.sleep(0.01)
    assert len(done) == count


def test_no_thread_keeps_the_callers_memory():  # C17
    for _ in range(200):
        memory = bytearray(1000)
        with memoryview(memory) as view:
            for_each(bytes, [view[at : at + 10] for at in range(0, 1000, 10)], LARGE)
        memory += b"it can be resized"

        def fail(part):
            raise ValueError(part.nbytes)

        with memoryview(memory) as view, pytest.raises(ValueError, match="10"):
            for_each(fail, [view[at : at + 10] for at in range(0, 1000, 10)], LARGE)


def test_an_interrupt_at_any_instant_leaves_no_thread_at_work():
    working = []

    def work(_):
        working.append(1)
        time.sleep(0.0005)
        working.pop()

    def call(_):
        try:
            for_each(work, range(12), LARGE)
        finally:
            left.append(len(working) + len(parallel._calls))

    left = []
    count, amiss = steps(call, lambda: None, lambda _: None, where="psk/parallel")
    assert count > 50
    assert amiss == {}
    assert set(left) == {0}


def test_interrupts_that_follow_each_other_leave_no_thread_at_work():
    caller, working, together = threading.get_ident(), [], threading.Barrier(parallel.MOST_THREADS)

    def work(_):
        working.append(1)
        together.wait(10)
        if threading.get_ident() != caller:
            time.sleep(0.3)
        working.pop()

    def interrupt(*_):
        interrupts.append(1)
        if len(interrupts) == 5:
            signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

    interrupts = []
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.02)
            for_each(work, range(parallel.MOST_THREADS), LARGE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(interrupts) == 5
    assert not working
    assert not parallel._calls


def test_a_child_forked_by_a_signal_handler_in_the_middle_does_not_hang():
    def fork_and_go_on(*_):
        if os.fork() == 0:
            signal.alarm(30)  # ends a child that hangs

    def work(item):
        if item == 3:
            os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0.05)

    parent, before = os.getpid(), signal.signal(signal.SIGUSR1, fork_and_go_on)
    try:
        for_each(work, range(8), LARGE)
    except ForkedConnectorError:
        os._exit(3)
    finally:
        if os.getpid() != parent:
            os._exit(4)
        signal.signal(signal.SIGUSR1, before)
    assert os.waitstatus_to_exitcode(os.wait()[1]) in {3, 4}


def test_calls_in_many_threads_end():
    def call():
        total = []
        for_each(total.append, range(100), LARGE)
        return len(total)

    with ThreadPoolExecutor(16) as threads:
        assert set(elsewhere(lambda: [*threads.map(lambda _: call(), range(200))])) == {100}


@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({}, 4),
        ({"/sys/fs/cgroup/a/b/cpu.max": "max 100000"}, 4),
        ({"/sys/fs/cgroup/a/b/cpu.max": "250000 100000"}, 2),
        ({"/sys/fs/cgroup/a/b/cpu.max": "250000 100000", "/sys/fs/cgroup/a/cpu.max": "50000 100000"}, 0),
        ({"/sys/fs/cgroup/cpu.max": "300000 100000"}, 3),
        ({"/sys/fs/cgroup/a/cpu.max": "nonsense"}, 4),
        ({"/sys/fs/cgroup/a/cpu.max": ""}, 4),
        ({"/proc/self/cgroup": "0::/a/\udcff"}, 4),
    ],
)
def test_the_limits_of_control_groups_are_honoured(monkeypatch, limits, cores):
    files = {"/proc/self/cgroup": "1:name=systemd:/x\n0::/a/b", **limits}

    def lines(path):
        if path not in files:
            raise FileNotFoundError(path)
        return files[path].encode(errors="surrogateescape").decode().splitlines()

    monkeypatch.setattr(parallel, "_lines", lines)
    assert parallel._quota.__wrapped__() == cores


def test_at_least_one_core_is_used(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(parallel, "_quota", lambda: 0)
    assert parallel.usable_cores() == 1
