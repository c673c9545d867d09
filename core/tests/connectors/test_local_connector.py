"""Spaces, threads, forks and the reaper of the local channel."""

import errno
import gc
import random
import select
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from psk.connectors import format_uri
from psk.connectors.local import REAPER, SPACES, LocalConnector
from psk.errors import ConnectorClosedError, ConnectorConfigError, InvalidArgumentError, PayloadError, ShortageError
from psk.wire import Payload, decode, encode
from psk_testing.timing import becomes, timed


@pytest.fixture
def local():
    opened = LocalConnector()
    yield opened
    opened.clear()
    opened.close()


def test_instances_of_one_name_share_a_space(local, decoded):
    other = LocalConnector(local.config()["authority"])
    key = local.put(encode("shared"))
    assert decoded(other.get(key)) == "shared"
    other.close()


def test_unnamed_spaces_are_separate(local):
    other = LocalConnector()
    assert other.get(local.put(encode(1))) is None
    other.close()


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-x", 7])
def test_a_senseless_name_is_refused(name):
    with pytest.raises(ConnectorConfigError):
        LocalConnector(name)


def test_an_empty_space_goes_with_its_last_instance():
    first = LocalConnector("goes")
    second = LocalConnector("goes")
    key = first.put(encode(1))
    first.close()
    assert "goes" in SPACES.by_name
    second.evict(key)
    second.close()
    assert "goes" not in SPACES.by_name


def test_a_space_with_objects_stays_until_they_expire():  # C34
    connector = LocalConnector("stays")
    connector.put(encode(1), ttl=0.3)
    connector.close()
    assert "stays" in SPACES.by_name
    assert becomes(lambda: "stays" not in SPACES.by_name, within=10)


def test_expired_bytes_are_freed_within_a_second(local):  # C46
    with timed() as clock:
        for number in range(20):
            local.put(encode(number), ttl=0.01 * number + 0.01)
        assert becomes(lambda: not local._space.objects, within=10)
    assert not clock.late(0.2 + 1)


def test_the_reaper_hears_of_an_object_beside_the_removal_of_the_last_one(local, monkeypatch):  # C46
    putting = threading.Thread(target=lambda: local.put(encode("next"), ttl=0.3))
    forget = type(REAPER).forget

    def forget_slowly(reaper, owner):
        monkeypatch.undo()
        putting.start()
        putting.join(0.2)
        forget(reaper, owner)

    key = local.put(encode("last"), ttl=60)
    monkeypatch.setattr(type(REAPER), "forget", forget_slowly)
    local.evict(key)
    putting.join()
    assert becomes(lambda: not local._space.objects, within=10)


def test_the_reaper_ends_when_nothing_is_due(local):
    key = local.put(encode(1), ttl=1000)
    assert any(thread.name == "psk-reaper" for thread in threading.enumerate())
    local.evict(key)
    assert becomes(lambda: all(thread.name != "psk-reaper" for thread in threading.enumerate()), within=10)


@pytest.mark.parametrize("first", [None, 1000.0])
def test_of_simultaneous_puts_with_and_without_expiry_one_counts(local, first):  # C15
    payload = encode("both")
    second = 1000.0 if first is None else None
    with local._space.lock:  # the loser of a race for the name waits here
        local.put(payload, ttl=first)
        thread = threading.Thread(target=local.put, args=[payload], kwargs={"ttl": second})
        thread.start()
        thread.join(0.1)
    thread.join()
    assert (local._space.find(payload.key).expires is None) == (first is None)


def test_expiry_goes_by_a_clock_that_nobody_sets(local, monkeypatch):  # C44
    key = local.put(encode("here"), ttl=1000)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    monkeypatch.setattr(time, "time_ns", lambda: 4 * 10**18)
    assert local.exists(key)


@pytest.fixture
def busy_reaper(monkeypatch):
    """The reaper comes late, as on a busy machine: each test removes expired objects itself."""
    for method in ("watch", "forget"):
        monkeypatch.setattr(type(REAPER), method, lambda *_: None)


@pytest.mark.usefixtures("busy_reaper")
def test_an_expired_object_that_is_still_in_memory_is_not_counted(local):  # C44, C56
    key = local.put(encode("gone"), ttl=0.001)
    local.put(encode("here"))
    time.sleep(0.01)
    assert key in local._space.objects
    assert local.clear() == 1


@pytest.mark.usefixtures("busy_reaper")
def test_an_expired_object_that_is_removed_during_a_get_is_not_found(local):  # C44
    key = local.put(encode("gone"), ttl=0.001)
    time.sleep(0.01)
    found = []
    thread = threading.Thread(target=lambda: found.append(local.get(key)))
    with local._space.lock:
        thread.start()
        thread.join(0.1)  # it has seen that the object is expired, and waits for the lock
        local._space.remove(key)
    thread.join()
    assert found == [None]


class Worker:
    """One thread's objects, and what was wrong with them."""

    def __init__(self, connector, number, seed):
        self.connector, self.number = connector, number
        self.random = random.Random(seed * 1000 + number)
        self.mine, self.wrong = {}, []

    def put(self, step):
        key = self.connector.put(encode((self.number, step)))
        self.mine[key] = (self.number, step)

    def check(self, key):
        frames = self.connector.get(key)
        if frames is None or decode(Payload.parse(frames)) != self.mine[key]:
            self.wrong.append(key)

    def evict(self, key):
        self.connector.evict(key)
        del self.mine[key]
        if self.connector.exists(key):
            self.wrong.append(key)

    def claim(self, key):
        if self.connector.take(key, f"claim {self.number}") is None or not self.connector.renew(key, 1000):
            self.wrong.append(key)

    def run(self, operations):
        for step in range(operations):
            if not self.mine or self.random.random() < 0.3:
                self.put(step)
                continue
            action = self.evict if len(self.mine) > 50 else self.random.choice((self.check, self.evict, self.claim))
            action(self.random.choice(list(self.mine)))
        for key in list(self.mine):
            self.check(key)
            self.evict(key)


def test_64_threads_lose_nothing(local, scale, seed):
    workers = [Worker(local, number, seed) for number in range(64)]
    operations = scale("connectors.local_operations")
    threads = [threading.Thread(target=worker.run, args=(operations,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [worker.wrong for worker in workers] == [[]] * 64
    assert list(local.keys()) == []


def test_a_forked_child_reads_and_cannot_write(local, decoded, in_child):  # C8
    key = local.put(encode("snapshot"))
    assert in_child(lambda: decoded(local.get(key))) == "'snapshot'"
    assert in_child(lambda: sorted(local.keys())) == repr([key])
    for change in (
        lambda: local.put(encode("lost")),
        lambda: local.evict(key),
        lambda: local.take(key, "me"),
        lambda: local.renew(key, 5),
        local.clear,
    ):
        assert in_child(change).startswith("ForkedConnectorError: ")
    assert decoded(local.get(key)) == "snapshot"


def test_a_forked_child_can_open_its_own(in_child, decoded):  # C8
    def own():
        connector = LocalConnector()
        return decoded(connector.get(connector.put(encode("own"), ttl=10)))

    assert in_child(own) == "'own'"


def test_a_fork_while_threads_write_hangs_nobody(local, in_child):  # C8
    stop = threading.Event()

    def write():
        while not stop.is_set():
            local.evict(local.put(encode(1), ttl=1000))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    answers = [in_child(lambda: (local.get("0" * 32), list(LocalConnector("own").keys()))) for _ in range(30)]
    stop.set()
    for writer in writers:
        writer.join()
    assert answers == ["(None, [])"] * 30


def test_another_process_is_told_why(local):  # C36
    program = f"import psk.connectors as c; c.open_connector({format_uri(local.config())!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "ChannelUnavailableError" in done.stderr
    assert "local objects never leave their process" in done.stderr


def test_large_objects_are_copied_once_and_shared(local):  # C17, C23
    array = np.arange(1_000_000)
    key = local.put(encode(array))
    first, second = local.get(key), local.get(key)
    assert all(memoryview(one).readonly for one in first.buffers)
    assert first.buffers[-1] is second.buffers[-1]


def test_who_reads_while_it_is_evicted_reads_on(local):  # C29
    key = local.put(encode(np.ones(10_000_000, np.uint8)))
    view = memoryview(local.get(key).buffers[-1])
    local.evict(key)
    gc.collect()
    assert np.frombuffer(view, np.uint8).sum() == 10_000_000


def test_what_is_allocated_becomes_an_object_by_commit_alone(local, decoded):  # C65, C66, C67
    whole = encode("received").tobytes()
    with local.allocate(len(whole)) as allocation:
        view = allocation.buffer[:]
        view[:] = whole
        assert list(local.keys()) == []
        key = allocation.commit(ttl=100)
    view[-1:] = b"x"  # too late
    assert decoded(local.get(key)) == "received"
    for use in (lambda: allocation.buffer, allocation.commit):
        with pytest.raises(InvalidArgumentError, match="was committed or aborted"):
            use()
    for nbytes in (0, True, 2**63):
        with pytest.raises(InvalidArgumentError):
            local.allocate(nbytes)
    local.allocate(1000).abort()
    with pytest.raises(PayloadError):
        local.allocate(1000).commit()
    assert list(local.keys()) == [key]


def test_a_watcher_calls_for_what_is_there_and_for_what_comes(local):  # C68, C69
    there, coming, never = encode(1), encode(2), encode(3)
    local.put(there)
    called = []
    watcher = local.watcher()
    ready = select.poll()
    ready.register(watcher.fileno(), select.POLLIN)
    for payload in (there, coming, never):
        watcher.add(payload.key, called.append)
    assert ready.poll(0)
    assert watcher.dispatch() is None
    assert called == [there.key]
    assert not ready.poll(0)
    thread = threading.Thread(target=local.put, args=[coming])
    thread.start()
    assert ready.poll(10_000)
    thread.join()
    watcher.dispatch()
    watcher.dispatch()
    assert called == [there.key, coming.key]
    watcher.discard(never.key)
    local.put(never)
    assert not ready.poll(0)
    watcher.close()
    watcher.close()
    local.put(encode(4))


def test_a_watcher_without_a_descriptor_is_a_typed_error(local, monkeypatch):  # C5
    def refuse():
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("psk.connectors.watching.WakePipe", refuse)
    with pytest.raises(ShortageError, match="no descriptor is left"):
        local.watcher()


def test_a_watcher_of_a_closed_connector_says_so():  # C10, C68
    connector = LocalConnector()
    watcher = connector.watcher()
    watcher.add("0" * 32, print)
    ready = select.poll()
    ready.register(watcher.fileno(), select.POLLIN)
    connector.close()
    assert ready.poll(0)
    with pytest.raises(ConnectorClosedError):
        watcher.dispatch()
    watcher.close()


def test_a_watcher_of_the_parent_is_refused_in_a_child(local, in_child):  # C8
    with local.watcher() as watcher:
        watcher.add("0" * 32, print)
        assert in_child(watcher.dispatch).startswith("ForkedConnectorError")
        assert in_child(lambda: watcher.add("1" * 32, print)).startswith("ForkedConnectorError")
