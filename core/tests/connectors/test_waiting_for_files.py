"""Wait for files that other processes write, expire or remove, also when the kernel drops events."""

import asyncio
import os
import shutil
import signal
import threading
import time

import pytest

from faults.killer import Victim
from psk.connectors.directory import directory as directories
from psk.connectors.directory import waiting as inotify
from psk.connectors.directory.waiting import ARRIVALS
from psk.connectors.file import FileConnector
from psk.errors import ChannelUnavailableError, ConnectorClosedError, DeadlineError
from psk.wire import encode, new_object_id
from psk_testing.timing import GRACE_SECONDS, at_some_pace, timed

MISSING = "0" * 32


class Wait(threading.Thread):
    """A thread that waits, and keeps what it got and when."""

    def __init__(self, connector, keys, timeout=20):
        super().__init__()
        self.arguments = connector, keys, timeout
        self.outcome = None
        self.start()

    def run(self):
        connector, keys, timeout = self.arguments
        self.began = time.monotonic()
        try:
            self.outcome = connector.wait(keys, timeout=timeout)
        except Exception as error:  # noqa: BLE001  looked at by the test
            self.outcome = error
        self.ended = time.monotonic()

    def end(self):
        self.join(30)
        assert not self.is_alive()
        return self.outcome


def told():
    """Count what the kernel's word is passed on to."""
    return len({settable for watch in ARRIVALS._watches.values() for told in watch.values() for settable in told})


def until_waiting(count):
    """Return when so many threads wait for the kernel's word, and one of them reads it."""
    deadline = time.monotonic() + 30
    while True:
        with ARRIVALS._lock:
            if told() == count and ARRIVALS._reader is not None:
                return
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture(params=["told", "looking"])
def channel(request, directory, monkeypatch):
    """A connector whose waits are told by the kernel, and one that believes to be on a network file system."""
    if request.param == "looking":
        monkeypatch.setattr(directories, "filesystem_of", lambda *_: "nfs4")
    connector = FileConnector(directory)
    yield connector
    connector.close()


def test_an_object_of_another_process_ends_the_wait(channel, directory):  # C42
    def attempt(_):
        ids = [new_object_id() for _ in range(20)]
        wanted = [object_id.hex() for object_id in ids]

        def produce(report):
            connector = FileConnector(directory)
            for object_id in ids:
                time.sleep(0.02)
                connector.put(encode(1, object_id=object_id))
                report(time.monotonic())

        producer = Victim(produce)
        seen = []
        for key in wanted:
            assert channel.wait([MISSING, key], timeout=20) == [key]
            seen.append(time.monotonic())
        put = [float(line) for line in producer.join()]
        assert channel.wait([*wanted[::-1], wanted[0]], timeout=0) == [*wanted[::-1], wanted[0]]
        delays = sorted(arrived - done for arrived, done in zip(seen, put, strict=True))
        assert delays[10] < 0.02

    at_some_pace(attempt)


def test_time_is_kept_exactly(channel):  # C5, C42
    for timeout in (0, 0.05, 0.7, 1.2):
        with timed() as clock, pytest.raises(DeadlineError, match=r"waiting for 0* in file:///"):
            channel.wait([MISSING], timeout=timeout)
        assert clock.seconds >= timeout
        assert not clock.late(timeout)


def test_time_is_kept_while_others_read_and_much_happens(files):  # C5
    with timed() as clock:
        waits = [Wait(files, [MISSING], timeout) for timeout in (0.6, 0.4, 0.2, 0.5, 0.3)]
        while any(wait.is_alive() for wait in waits):
            files.evict(files.put(encode(1)))
    for wait in waits:
        assert isinstance(wait.end(), DeadlineError)
        took, timeout = wait.ended - wait.began, wait.arguments[2]
        assert took >= timeout
        assert took - clock.stalled < timeout + GRACE_SECONDS


def test_expired_and_evicted_objects_do_not_end_it(channel, directory):  # C42
    old, gone, new = (encode(number) for number in range(3))
    channel.put(old, ttl=0.001)
    channel.put(gone)
    channel.evict(gone.key)
    time.sleep(0.02)
    wait = Wait(channel, [old.key, gone.key, new.key])
    time.sleep(0.1)
    assert wait.is_alive()
    channel.put(new)
    assert wait.end() == [new.key]
    wait = Wait(channel, [old.key])
    channel.put(old, ttl=100)
    assert wait.end() == [old.key]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_comes_around_the_beginning_is_not_missed(files, monkeypatch, moment):
    payload = encode("just now")
    tell = inotify.Arrivals.tell

    def beside(arrivals, *arguments):
        if moment == "before":
            files.put(payload)
        number = tell(arrivals, *arguments)
        if moment == "after":
            files.put(payload)
        return number

    monkeypatch.setattr(inotify.Arrivals, "tell", beside)
    with timed() as clock:
        assert files.wait([payload.key], timeout=20) == [payload.key]
    assert clock.seconds - clock.stalled < 0.3


def test_many_wait_for_different_objects(files, reopened_files, scale):
    payloads = [encode(number) for number in range(scale("waiting.waiters"))]
    waits = [Wait((files, reopened_files)[n % 2], [payload.key], 60) for n, payload in enumerate(payloads)]
    until_waiting(len(waits))
    for payload in reversed(payloads):
        files.put(payload)
    assert [wait.end() for wait in waits] == [[payload.key] for payload in payloads]


@pytest.fixture
def reopened_files(directory):
    connector = FileConnector(directory)
    yield connector
    connector.close()


def test_different_directories_do_not_disturb_each_other(files, tmp_path):
    others = [FileConnector(tmp_path / f"other-{number}") for number in range(10)]
    payload = encode("the same everywhere")
    waits = [Wait(other, [payload.key]) for other in others]
    until_waiting(10)
    files.put(payload)
    for other, wait in zip(others, waits, strict=True):
        assert wait.is_alive()
        other.put(payload)
        assert wait.end() == [payload.key]
        other.close()


def test_events_that_the_kernel_dropped_are_made_up_for(files, directory, monkeypatch):
    payload = encode("among many")
    read = inotify.Inotify.events
    monkeypatch.setattr(inotify.Inotify, "events", lambda *_: time.sleep(0.01) or [])  # nothing is read
    wait = Wait(files, [payload.key])
    until_waiting(1)
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        limit = int(file.read())
    for number in range(limit // 2 + 1):
        open(f"{directory}/a", "w").close()
        os.rename(f"{directory}/a", f"{directory}/b{number % 2}")
    files.put(payload)
    assert wait.is_alive()
    with timed() as clock:
        monkeypatch.setattr(inotify.Inotify, "events", read)
        assert wait.end() == [payload.key]
    assert clock.seconds - clock.stalled < 0.5


def test_a_directory_removed_and_made_again_is_waited_for(channel, directory):
    payload = encode("in the new one")
    waits = [Wait(channel, [payload.key]) for _ in range(3)]
    time.sleep(0.1)
    shutil.rmtree(directory)
    time.sleep(0.7)  # long enough to be noticed
    other = FileConnector(directory)
    time.sleep(0.6)
    assert all(wait.is_alive() for wait in waits)
    other.put(payload)
    assert [wait.end() for wait in waits] == [[payload.key]] * 3
    other.close()


def test_a_directory_that_stays_away_is_an_error(channel, directory):
    waits = [Wait(channel, [MISSING]) for _ in range(3)]
    time.sleep(0.1)
    shutil.rmtree(directory)
    removed = time.monotonic()
    for wait in waits:
        assert isinstance(wait.end(), ChannelUnavailableError)
        assert wait.ended - removed < 10
    with pytest.raises(ChannelUnavailableError, match="No such file"):
        channel.wait([MISSING], timeout=0)


def test_closing_ends_the_waits_of_that_instance_only(channel, reopened_files):  # C10
    payload = encode("for the other one")
    waits = [Wait(channel, [payload.key]) for _ in range(5)]
    kept = Wait(reopened_files, [payload.key])
    time.sleep(0.1)
    channel.close()
    closed = time.monotonic()
    for wait in waits:
        assert isinstance(wait.end(), ConnectorClosedError)
        assert wait.ended - closed < 10
    assert kept.is_alive()
    reopened_files.put(payload)
    assert kept.end() == [payload.key]
    with pytest.raises(ConnectorClosedError):
        channel.wait([payload.key], timeout=1)


def test_a_child_forked_during_a_wait_waits_by_itself(files, directory, in_child):  # C8
    for_parent, for_child = encode("for the parent"), encode("for the child")
    wait = Wait(files, [for_parent.key])
    until_waiting(1)

    def child():
        inherited = [link for link in links() if "inotify" in link]
        timer = threading.Timer(0.1, files.put, [for_child])
        timer.start()
        found = files.wait([for_child.key], timeout=20)
        timer.join()
        files.put(for_parent)
        return inherited, found

    assert in_child(child) == repr(([], [for_child.key]))
    assert wait.end() == [for_parent.key]


def links():
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return found


def test_waits_run_beside_an_event_loop(files):  # C9
    payloads = [encode(number) for number in range(4)]

    async def produce_and_wait():
        waits = [asyncio.create_task(asyncio.to_thread(files.wait, [payload.key])) for payload in payloads]
        await asyncio.sleep(0.05)
        for payload in payloads:
            files.put(payload)
        return await asyncio.gather(*waits)

    assert asyncio.run(produce_and_wait()) == [[payload.key] for payload in payloads]


def test_a_reader_that_is_interrupted_leaves_the_reading_to_another(files, monkeypatch):
    payload, broken, read = encode("for who stays"), [RuntimeError("planted")], inotify.Arrivals.read
    first = Wait(files, [MISSING])
    until_waiting(1)
    second = Wait(files, [payload.key])
    until_waiting(2)

    def break_once(self, seconds):
        if broken and seconds:
            raise broken.pop()
        read(self, seconds)

    monkeypatch.setattr(inotify.Arrivals, "read", break_once)
    assert isinstance(first.end(), RuntimeError)
    files.put(payload)
    assert second.end() == [payload.key]


def test_a_wait_in_a_signal_handler_hears_what_the_interrupted_wait_would_have_read(files):
    outer, inner = encode("outer"), encode("inner")
    found = []

    def handle(*_):
        putting = threading.Timer(0.1, files.put, [inner])
        putting.start()
        found.append(files.wait([inner.key], timeout=20))
        putting.join()
        files.put(outer)

    before = signal.signal(signal.SIGUSR1, handle)
    interrupting = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGUSR1])
    try:
        interrupting.start()
        start = time.monotonic()
        found.append(files.wait([outer.key], timeout=20))
        assert time.monotonic() - start < 5
    finally:
        signal.signal(signal.SIGUSR1, before)
        interrupting.join()
    assert found == [[inner.key], [outer.key]]
