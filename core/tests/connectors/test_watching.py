"""Watch keys from one event loop (C68, C69)."""

import os
import select
import shutil
import threading
import time

import pytest

from faults.killer import Victim
from psk.connectors import SupportsWatch, open_connector
from psk.connectors.directory import directory as directories
from psk.connectors.directory import waiting
from psk.connectors.file import FileConnector
from psk.connectors.waiting import WakePipe
from psk.connectors.watching import ToldWatcher
from psk.errors import ChannelUnavailableError, ConnectorClosedError, ForkedConnectorError, InvalidKeyError
from psk.wire import encode, new_object_id
from psk_testing.timing import timed


@pytest.fixture(params=["file", "shm", "looking"])
def channel(request, new_address, tmp_path, monkeypatch):
    """A connector whose watchers are told by the kernel, and one that believes to be on a network file system."""
    if request.param == "looking":
        monkeypatch.setattr(directories, "filesystem_of", lambda *_: "nfs4")
    opened = open_connector(new_address("shm" if request.param == "shm" else "file", tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def watcher(channel):
    opened = channel.watcher()
    yield opened
    opened.close()


def run_loop(watcher, done, seconds=20):
    """Dispatch whenever the watcher says that it is time, until a condition holds; give how often."""
    deadline, count = time.monotonic() + seconds, 0
    while not done():
        pause = watcher.dispatch()
        count += 1
        assert time.monotonic() < deadline
        if done():
            break
        if watcher.fileno() is None:
            time.sleep(pause)
        else:
            select.select([watcher.fileno()], [], [], pause)
    return count


def test_a_callback_is_called_once_for_what_comes_and_what_is_there(channel, watcher):
    assert isinstance(channel, SupportsWatch)
    there, later, never = (encode(number) for number in range(3))
    seen = []
    channel.put(there)
    for payload in (there, later, never):
        watcher.add(payload.key, seen.append)
    run_loop(watcher, lambda: seen == [there.key])
    channel.put(later)
    run_loop(watcher, lambda: len(seen) == 2)
    assert seen == [there.key, later.key]
    watcher.dispatch()
    assert len(seen) == 2
    channel.evict(there.key)
    channel.evict(later.key)


def test_objects_of_another_process_are_heard_of(channel, watcher):
    payloads = [encode(number) for number in range(200)]
    seen = []
    for payload in payloads:
        watcher.add(payload.key, seen.append)
    uri = channel.uri()

    def produce(_):
        other = open_connector(uri)
        for payload in payloads:
            other.put(payload)

    producer = Victim(produce)
    run_loop(watcher, lambda: len(seen) == len(payloads))
    producer.join()
    assert sorted(seen) == sorted(payload.key for payload in payloads)
    channel.clear()


def test_thousands_of_keys_cost_nothing_while_nothing_happens(files, monkeypatch):
    with_few, with_many = files.watcher(), files.watcher()
    with_few.add(new_object_id().hex(), print)
    for _ in range(10_000):
        with_many.add(new_object_id().hex(), print)
    looked = []
    for watcher in (with_few, with_many):
        watcher.dispatch()  # the first look
    monkeypatch.setattr(waiting.Source, "present", lambda _, names: looked.append(names) or [])
    for watcher in (with_few, with_many):
        watcher.dispatch()
        watcher.close()
    assert looked == []


def test_what_is_discarded_is_not_called(channel, watcher):
    payload, seen = encode("gone"), []
    watcher.add(payload.key, seen.append)
    watcher.discard(payload.key)
    watcher.discard(payload.key)
    channel.put(payload)
    watcher.dispatch()
    assert seen == []
    channel.evict(payload.key)


def test_a_callback_may_add_keys_and_one_that_raises_hides_no_other(channel, watcher):
    first, second, third = (encode(number) for number in range(3))
    seen = []

    def raising(key):
        seen.append(key)
        watcher.add(third.key, seen.append)
        raise RuntimeError("planted")

    watcher.add(first.key, raising)
    watcher.add(second.key, seen.append)
    for payload in (first, second, third):
        channel.put(payload)
    with pytest.raises(RuntimeError, match="planted"):
        run_loop(watcher, lambda: False)
    run_loop(watcher, lambda: len(seen) == 3)
    channel.clear()


def test_expired_and_evicted_objects_do_not_count(channel, watcher):
    payload, seen = encode("brief"), []
    channel.put(payload, ttl=0.001)
    time.sleep(0.01)
    watcher.add(payload.key, seen.append)
    watcher.dispatch()
    assert seen == []
    channel.put(payload)
    run_loop(watcher, lambda: seen == [payload.key])
    channel.evict(payload.key)


def test_a_wait_in_a_thread_and_a_watcher_share_what_the_kernel_tells(files, directory):
    """Whichever of the two reads it."""
    watcher, seen = files.watcher(), []
    other = FileConnector(directory)
    for _ in range(50):
        both = encode("for both")
        watcher.add(both.key, seen.append)
        waiting_thread = threading.Thread(target=files.wait, args=([both.key],), kwargs={"timeout": 20})
        waiting_thread.start()
        other.put(both)
        run_loop(watcher, lambda key=both.key: key in seen)
        waiting_thread.join()
    other.close()
    watcher.close()


def test_lost_events_are_made_up_for(files, monkeypatch):
    watcher, payload, seen = files.watcher(), encode("lost"), []
    watcher.add(payload.key, seen.append)
    watcher.dispatch()
    monkeypatch.setattr(
        waiting.Inotify, "events", lambda *_: [waiting.Event(-1, waiting.OVERFLOWN, b"")] if not seen else []
    )
    files.put(payload)
    run_loop(watcher, lambda: seen == [payload.key])
    watcher.close()


def test_an_interrupt_before_events_are_passed_on_loses_none(files, monkeypatch):
    """Whoever reads them, they are everybody's."""
    watcher, payload, seen = files.watcher(), encode("lost"), []
    watcher.add(payload.key, seen.append)
    watcher.dispatch()
    files.put(payload)
    read = waiting.Inotify.events

    def interrupted(*arguments):
        assert read(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(waiting.Inotify, "events", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.wait(["0" * 32], timeout=20)
    run_loop(watcher, lambda: seen == [payload.key])
    watcher.close()


def test_a_watcher_whose_closing_is_interrupted_is_told_no_more(files, monkeypatch):
    watcher = files.watcher()
    watcher.add("0" * 32, print)

    def interrupted(pipe):
        close(pipe)
        raise KeyboardInterrupt

    close = WakePipe.close
    with monkeypatch.context() as patch:
        patch.setattr(WakePipe, "close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            watcher.close()
    assert not files._channel.waiting
    assert not waiting.ARRIVALS._watches


def test_a_directory_removed_and_made_again_is_watched(files, directory):
    watcher, payload, seen = files.watcher(), encode("in the new one"), []
    watcher.add(payload.key, seen.append)
    watcher.dispatch()
    shutil.rmtree(directory)
    with FileConnector(directory) as other:
        watcher.dispatch()
        other.put(payload)
        run_loop(watcher, lambda: seen == [payload.key])
    watcher.close()


def test_a_directory_that_stays_away_is_an_error(files, directory):
    watcher = files.watcher()
    watcher.add("0" * 32, print)
    shutil.rmtree(directory)
    with pytest.raises(ChannelUnavailableError, match="No such file"):
        run_loop(watcher, lambda: False)
    watcher.close()


def test_closing_wakes_the_loop(channel):
    watcher = channel.watcher()
    watcher.add("0" * 32, print)
    watcher.dispatch()
    closing = threading.Timer(0.05, channel.close)
    closing.start()
    with timed() as clock, pytest.raises(ConnectorClosedError):
        run_loop(watcher, lambda: False)
    assert clock.seconds - clock.stalled < 0.45  # not only when it looks again
    closing.join()
    watcher.close()
    watcher.close()
    with pytest.raises(ConnectorClosedError):
        watcher.add("0" * 32, print)


def test_a_forked_child_is_told_to_make_its_own(channel, watcher, in_child):
    def child():
        with pytest.raises(ForkedConnectorError):
            watcher.add("0" * 32, print)
        watcher.close()
        own, seen = channel.watcher(), []
        own.add(channel.put(encode("of the child")), seen.append)
        run_loop(own, lambda: seen)
        own.close()
        return len(seen)

    seen = []
    assert in_child(child) == "1"
    watcher.add(channel.put(encode("of the parent")), seen.append)
    run_loop(watcher, lambda: seen)
    channel.clear()


def test_when_the_kernel_refuses_it_looks_instead(files, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(waiting.Inotify, "watch", refuse)
    watcher, payload, seen = files.watcher(), encode("found by looking"), []
    watcher.add(payload.key, seen.append)
    assert watcher.dispatch() <= waiting.LONG_PAUSE
    timer = threading.Timer(0.05, files.put, [payload])
    timer.start()
    run_loop(watcher, lambda: seen == [payload.key])
    timer.join()
    watcher.close()


def test_a_key_that_is_none_is_refused(watcher):
    with pytest.raises(InvalidKeyError):
        watcher.add("../x", print)


def test_watchers_leave_nothing_behind(directory):
    connector = FileConnector(directory)
    connector.watcher().close()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        watcher = connector.watcher()
        watcher.add("0" * 32, print)
        if number % 2:
            watcher.close()
        del watcher
    assert len(os.listdir("/proc/self/fd")) == before
    connector.close()


def test_a_watcher_that_is_closed_while_a_key_is_added_forgets_it():
    told = set()

    class Source:
        def tell(self, keys, settable):
            watcher.close()
            told.add(settable)

        def tell_no_more(self, keys, settable):
            told.discard(settable)

    watcher = ToldWatcher(Source(), lambda: None)
    with pytest.raises(ConnectorClosedError):
        watcher.add("0" * 32, print)
    assert told == set()


@pytest.mark.parametrize("scheme", ["local", "file", "shm"])
def test_a_watcher_that_another_thread_closes_says_so(scheme, new_address, tmp_path):
    payload = encode(1)
    with open_connector(new_address(scheme, tmp_path)) as connector:
        connector.put(payload)
        for _ in range(100):
            watcher = connector.watcher()
            closing = threading.Timer(0.001, watcher.close)
            closing.start()
            with pytest.raises(ConnectorClosedError):
                while True:
                    watcher.add(payload.key, str)
                    watcher.dispatch()
            closing.join()
            with pytest.raises(ConnectorClosedError):
                watcher.dispatch()
            with pytest.raises(ConnectorClosedError):
                watcher.add(payload.key, str)
        connector.clear()
