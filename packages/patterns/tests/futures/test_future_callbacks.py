"""Call every callback of a future, even if others raise, exit or block."""

import sys
import threading

import pytest
from future_checks import release_all, until

from psk.errors import InvalidArgumentError
from psk_patterns import future, wait
from psk_patterns.errors import FutureTimeoutError
from psk_patterns.futures import watcher


def test_a_callback_is_called_once_for_each_end(store):
    ends = [future(store) for _ in range(3)]
    called = []
    for made in ends:
        made.add_done_callback(called.append)
        made.add_done_callback(called.append)
    ends[0].set_result(1)
    ends[1].set_exception(ValueError())
    ends[2].cancel()
    until(lambda: len(called) == 6)
    assert sorted(map(hash, called)) == sorted(map(hash, ends * 2))
    ends[0].add_done_callback(called.append)
    assert len(called) == 7, "one that is done calls at once"
    release_all(ends)
    assert store.list() == []


def test_an_error_of_a_callback_hurts_nobody(file_store, unraisable):
    first, second = future(file_store), future(file_store)
    called = []
    first.add_done_callback(lambda _: 1 / 0)
    first.add_done_callback(called.append)
    second.add_done_callback(called.append)
    first.set_result(1)
    until(lambda: len(called) == 1)
    second.set_result(2)
    until(lambda: len(called) == 2)
    assert [seen.exc_type for seen in unraisable] == [ZeroDivisionError]
    second.add_done_callback(lambda made: {}[made])
    assert [seen.exc_type for seen in unraisable] == [ZeroDivisionError, KeyError]
    release_all([first, second])


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_callback_that_exits_hurts_nobody(file_store, unraisable, error):
    first, *others = (future(file_store) for _ in range(3))
    called = []
    first.add_done_callback(lambda made: made.result())
    others[0].add_done_callback(called.append)
    first.set_exception(error)
    until(lambda: unraisable)
    others[0].set_result(1)
    until(lambda: called)
    others[1].set_result(2)
    assert wait(others, 10).not_done == set()
    assert [seen.exc_type for seen in unraisable] == [type(error)]
    release_all([first, *others])
    assert file_store.list() == []


def test_a_callback_that_exits_at_once_ends_not_its_caller(file_store, unraisable):
    made = future(file_store)
    made.set_result(1)
    made.add_done_callback(lambda _: sys.exit(3))
    assert [seen.exc_type for seen in unraisable] == [SystemExit]

    def interrupted(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # that is the user's
        made.add_done_callback(interrupted)
    for wrong in (None, 1):
        with pytest.raises(InvalidArgumentError, match="cannot be called"):
            made.add_done_callback(wrong)
    made.release()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_begins_anew_when_its_thread_has_ended(file_store, monkeypatch):
    ended = threading.Event()

    def end(*_):
        ended.set()
        raise SystemExit

    made, called = future(file_store), []
    with monkeypatch.context() as patch:
        patch.setattr(watcher.Watcher, "_next", end)
        made.add_done_callback(called.append)
        assert ended.wait(10)
        until(lambda: "psk-futures" not in {thread.name for thread in threading.enumerate()})
    made.add_done_callback(called.append)
    made.set_result(1)
    until(lambda: len(called) == 2)
    made.release()


def test_a_callback_that_is_never_called_is_told_of(file_store, unraisable):
    made = future(file_store, timeout=0.2)
    made.add_done_callback(print)
    until(lambda: unraisable)
    assert unraisable[0].exc_type is FutureTimeoutError
    made.release()


def test_callbacks_that_wait_and_set_go_on(file_store):
    first, second, called = future(file_store), future(file_store), []
    first.add_done_callback(lambda made: second.set_result(made.result() + 1))
    second.add_done_callback(lambda made: called.append(made.result()))
    first.set_result(1)
    until(lambda: called)
    assert called == [2]
    release_all([first, second])
    assert file_store.list() == []
