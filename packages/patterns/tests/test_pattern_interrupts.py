"""Interrupts at any instant: the patterns keep no lock, claim or half-made owner that is in the way of others."""

import gc
import os
import sys
import threading
from concurrent.futures import Executor, Future

import pytest

from faults.interrupts import steps
from psk import Store
from psk_patterns import LeaseLifetime, StoreExecutor, future, futures, leases
from psk_patterns.deferred_cleanup import flush
from psk_patterns.ownership.title import claimed

# What interrupts a finaliser can be raised nowhere.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def store():
    with Store("interrupted", f"local://interrupted-{os.urandom(4).hex()}") as opened:
        yield opened
        # An interrupt in a finaliser ends that, and nobody can raise it: what it was to end goes on.
        for kept in list(leases._renewers.values()):
            for hold in list(kept.leases):
                hold.close()
        for thread in threading.enumerate():
            if thread.name == "psk-leases":
                thread.join(20)
        opened.clear()


def settle(made):
    made.set_result([1])
    made.result(timeout=5)
    made.add_done_callback(lambda _: None)


def test_futures_can_be_made_and_waited_for_after_any_interrupt(store, scale, seed):
    def check(_):
        made, seen = future(store), []
        made.add_done_callback(seen.append)
        made.set_result([2])
        assert made.result(timeout=5) == [2]
        made.release()

    stride = scale("interrupts.stride")
    count, amiss = steps(
        settle, lambda: future(store), check, where="/psk_patterns/", stride=stride, start=seed % stride + 1
    )
    assert count > 0
    assert amiss == {}
    flush(5)


def test_an_interrupt_at_any_instant_leaves_no_object_about_to_be_owned():
    def own(_):
        with claimed("local://any", "key"):
            pass

    count, amiss = steps(own, lambda: None, own, where="/psk_patterns/")
    assert count > 10
    assert amiss == {}


class Immediate(Executor):
    """Does its tasks as they are submitted."""

    def submit(self, fn, /, *args, **kwargs):
        done = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def test_an_executor_comes_to_its_end_after_any_interrupt(store, scale, seed):
    stride = scale("interrupts.stride")
    count, amiss = steps(
        lambda executor: executor.submit(len, "four"),
        lambda: StoreExecutor(Immediate(), store),
        lambda executor: executor.shutdown(),
        where="/psk_patterns/executor/",
        stride=stride,
        start=seed % stride + 1,
    )
    assert count > 0
    assert amiss == {}


def test_a_channel_whose_leases_two_threads_renew_forgets_them_once(store, monkeypatch):
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)

    def hold(lifetime):
        store.put([1], lifetime=lifetime)

    def check(lifetime):
        hold(lifetime)
        lifetime.close()

    # In mid-start: the thread is there, and cannot be seen yet.
    count, _ = steps(hold, lambda: LeaseLifetime(store, expiry=60), check, where="/threading.py")
    assert count > 0
    for thread in threading.enumerate():
        if thread.name == "psk-leases":
            thread.join(20)
    assert raised == []
    assert store.uri not in leases._renewers


def test_a_future_that_is_half_made_goes_in_silence(monkeypatch):
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: ignored.append(report.exc_type))
    count, _ = steps(
        lambda _: futures.Future(None, 1.0, 1.0), lambda: None, lambda _: gc.collect(), where="/promise.py"
    )
    assert count > 0
    assert set(ignored) <= {KeyboardInterrupt}
