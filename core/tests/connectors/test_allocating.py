"""Allocate memory of the channel and commit it as one whole object, or leave nothing (C65 to C67)."""

import contextlib
import errno
import gc
import os
import random
import resource
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest

from faults.interrupts import steps
from faults.killer import Victim
from psk.connectors import SupportsAllocate, open_connector
from psk.connectors.directory.locks import exclusively
from psk.connectors.directory.objects import Objects
from psk.connectors.directory.writing import DRAFTS
from psk.connectors.file import FileConnector
from psk.connectors.shm import ShmConnector
from psk.connectors.shm.segments import used_bytes
from psk.errors import (
    CapabilityError,
    ChannelFullError,
    ConnectorClosedError,
    ForkedConnectorError,
    InvalidArgumentError,
    KeyExistsError,
    PayloadError,
)
from psk.wire import encode

pytest_plugins = ["faults.tmpfs"]

MEGABYTE = 1 << 20
SIZES = (100, 5000, 70_000, 300_000, 3_000_000)


@pytest.fixture(params=["file", "shm", "shm with a limit"])
def channel(request, tmp_path):
    if request.param == "file":
        opened = FileConnector(tmp_path / "objects")
    else:
        opened = ShmConnector(max_bytes=100 * MEGABYTE if "limit" in request.param else None)
    yield opened
    opened.clear()
    opened.close()


def filled(channel, payload):
    """Allocate memory and receive a payload into it."""
    allocation = channel.allocate(payload.nbytes)
    allocation.buffer[:] = payload.tobytes()
    return allocation


def leftovers(channel):
    """Give the names of files that are neither objects nor memory for later puts."""
    path = channel._channel.path
    names = set(os.listdir(path)) - {".free", ".sweep", DRAFTS}
    with contextlib.suppress(FileNotFoundError):
        names |= set(os.listdir(f"{path}/{DRAFTS}"))
    return names - set(channel.keys())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ttl", [None, 1000])
def test_what_is_received_into_the_channel_is_an_object(channel, size, ttl, decoded):
    assert isinstance(channel, SupportsAllocate)
    payload = encode(np.full(size, 7, np.uint8))
    with channel.allocate(payload.nbytes) as allocation:
        assert allocation.buffer.nbytes == payload.nbytes
        assert not allocation.buffer.readonly
        allocation.buffer[:] = payload.tobytes()
        assert not channel.exists(payload.key)
        assert allocation.commit(ttl=ttl) == payload.key
    assert (decoded(channel.get(payload.key)) == 7).all()
    assert leftovers(channel) == set()
    assert channel.renew(payload.key, 50)
    assert (decoded(channel.get(payload.key)) == 7).all()


@pytest.mark.parametrize("size", SIZES)
def test_an_abort_leaves_nothing(channel, size):
    payload = encode(bytes(size))
    before = set(os.listdir("/proc/self/fd"))
    filled(channel, payload).abort()
    with filled(channel, payload):
        pass
    del payload
    filled(channel, encode(bytes(size)))  # collected
    gc.collect()
    assert list(channel.keys()) == []
    assert leftovers(channel) == set()
    if isinstance(channel, FileConnector):
        assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [100, 300_000])
def test_the_same_twice_is_one_put_and_another_is_refused(channel, size, decoded):  # C15, C16
    payload = encode(bytes(size))
    channel.put(payload)
    assert filled(channel, payload).commit() == payload.key
    other = encode(bytes([1]) * size, object_id=payload.object_id)
    with pytest.raises(KeyExistsError, match="holds a different object"):
        filled(channel, other).commit()
    assert decoded(channel.get(payload.key)) == bytes(size)
    assert channel.put(payload) == payload.key
    assert leftovers(channel) == set()


def test_what_is_not_one_whole_payload_is_refused(channel):
    payload = encode(bytes(1000))
    whole = payload.tobytes()
    for content in (bytes(len(whole)), whole + bytes(64), whole[:64] + bytes(20_000)):
        allocation = channel.allocate(len(content))
        allocation.buffer[:] = content
        with pytest.raises(PayloadError):
            allocation.commit()
        with pytest.raises(InvalidArgumentError, match="committed or aborted"):
            allocation.commit()
    assert list(channel.keys()) == []


@pytest.mark.parametrize("nbytes", [0, -1, 1.5, "10", None, True])
def test_a_size_that_makes_no_sense(channel, nbytes):
    with pytest.raises(InvalidArgumentError, match="is not the size of a payload"):
        channel.allocate(nbytes)


@pytest.mark.parametrize("size", [1000, 300_000])
def test_nobody_can_write_to_an_object_through_a_view_that_is_left(channel, size, decoded):  # C17
    payload = encode(np.zeros(size, np.uint8))
    allocation = filled(channel, payload)
    array = np.frombuffer(allocation.buffer, np.uint8)
    with pytest.raises(InvalidArgumentError, match="still in use"):
        allocation.commit()
    del array
    part = allocation.buffer[10:20]
    with pytest.raises(InvalidArgumentError, match="still in use"):
        allocation.commit()
    part.release()
    buffer = allocation.buffer
    allocation.commit()
    with pytest.raises(ValueError, match="released"):
        buffer[100] = 1
    assert not decoded(channel.get(payload.key)).any()


@pytest.mark.parametrize("size", SIZES)
def test_a_view_of_an_aborted_allocation_reaches_no_later_object(channel, size, decoded):  # C66
    channel.evict(channel.put(encode(bytes(size))))  # in shared memory there is a free segment now
    payloads = [encode(np.full(size, number, np.uint8)) for number in range(3)]
    allocation = filled(channel, payloads[0])
    array = np.frombuffer(allocation.buffer, np.uint8)
    allocation.abort()
    channel.put(payloads[1])
    filled(channel, payloads[2]).commit()
    array[:] = 255
    for number in (1, 2):
        assert (decoded(channel.get(payloads[number].key)) == number).all()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # interrupts in finalisers
@pytest.mark.parametrize("size", [100, 300_000])
def test_interrupts_leave_no_descriptor_open(channel, size):  # C11
    payload = encode(bytes(size))

    def cycle(_):
        watcher = channel.watcher()
        try:
            watcher.add(payload.key, print)
            with filled(channel, payload) as allocation:
                allocation.commit()
        finally:
            watcher.close()

    def descriptors(_=None):
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    def check(before):
        channel.evict(payload.key)
        cycle(None)
        channel.clear()
        assert descriptors() <= before

    check(100_000)
    count, amiss = steps(cycle, descriptors, check, where="/psk/", stride=149)
    assert count
    assert amiss == {}


def test_an_object_evicted_during_the_commit_is_put(channel, monkeypatch, decoded):  # C15
    payload = encode(bytes(1000))
    channel.put(payload)
    look = Objects._is_the_same

    def evicted_first(self, name, *arguments):
        monkeypatch.undo()
        channel.evict(name)
        return look(self, name, *arguments)

    monkeypatch.setattr(Objects, "_is_the_same", evicted_first)
    filled(channel, payload).commit()
    assert decoded(channel.get(payload.key)) == bytes(1000)


def test_of_many_commits_of_one_object_all_succeed(channel, decoded):
    payload = encode(np.arange(50_000))
    allocations = [filled(channel, payload) for _ in range(8)]
    keys = []
    threads = [threading.Thread(target=lambda one=one: keys.append(one.commit())) for one in allocations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys == [payload.key] * 8
    assert np.array_equal(decoded(channel.get(payload.key)), np.arange(50_000))
    assert leftovers(channel) == set()


def test_a_closed_channel_says_so(tmp_path):
    connector = FileConnector(tmp_path)
    allocation = filled(connector, encode(1))
    connector.close()
    with pytest.raises(ConnectorClosedError):
        allocation.commit()
    with pytest.raises(ConnectorClosedError):
        connector.allocate(100)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", [100, 300_000])
def test_a_forked_child_leaves_the_parents_memory_alone(channel, size, in_child, decoded):  # C8
    payload = encode(bytes(size))
    allocation = filled(channel, payload)

    def child():
        with pytest.raises(ForkedConnectorError):
            allocation.commit()
        with pytest.raises(ForkedConnectorError):
            _ = allocation.buffer
        allocation.abort()
        own = encode("of the child")
        filled(channel, own).commit()
        return channel.exists(own.key)

    assert in_child(child) == "True"
    allocation.commit()
    assert decoded(channel.get(payload.key)) == bytes(size)


def allocate_and_wait(_, uri, size, moment, ready):
    connector = open_connector(uri)
    payload = encode(bytes(size))
    allocation = connector.allocate(payload.nbytes)
    if moment == "filled":
        allocation.buffer[:] = payload.tobytes()
    os.write(ready, b".")
    time.sleep(60)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("moment", ["allocated", "filled"])
def test_a_process_killed_in_the_middle_leaves_nothing(channel, size, moment, decoded):  # C67
    read, ready = os.pipe()
    victim = Victim(allocate_and_wait, channel.uri(), size, moment, ready)
    os.read(read, 1)
    with type(channel).from_config(channel.config()) as again:  # a sweep beside the living touches nothing
        assert list(again.keys()) == []
    victim.kill(0.0)
    os.close(read)
    os.close(ready)
    type(channel).from_config(channel.config()).close()
    assert list(channel.keys()) == []
    assert leftovers(channel) == set()
    if isinstance(channel, ShmConnector):
        # What it had is used by the next put, or goes where memory is short.
        channel.clear()
        assert used_bytes(channel._channel.opened().directory) == 0


def test_processes_killed_at_random_moments_leave_whole_objects_or_none(channel, seed, decoded):
    chance = random.Random(seed)

    def work(report, number):
        connector = open_connector(uri)
        for step in range(10_000):
            size = (100, 70_000, 300_000)[step % 3]
            with filled(connector, encode(np.full(size, step % 251, np.uint8))) as allocation:
                report(allocation.commit())

    uri, acknowledged = channel.uri(), set()
    for _ in range(5):
        victims = [Victim(work, number) for number in range(3)]
        for victim in victims:
            acknowledged.update(victim.kill(chance.uniform(0.005, 0.03)))
    present = set(channel.keys())
    assert acknowledged <= present
    for key in present:
        array = decoded(channel.get(key))
        assert array.min() == array.max()
    type(channel).from_config(channel.config()).close()
    assert leftovers(channel) == set()


def test_what_is_allocated_counts_before_it_is_an_object():
    """Across processes, and for every way to take memory."""
    owner = ShmConnector(max_bytes=2 * MEGABYTE)

    def work(report):
        guest = open_connector(owner.uri())
        held = [guest.allocate(MEGABYTE), guest.allocate(10_000)]
        report("held")
        signal.sigwait({signal.SIGTERM})
        del held

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    guest = Victim(work)
    try:
        directory = owner._channel.opened().directory
        while used_bytes(directory) < MEGABYTE + 10_000:
            time.sleep(0.005)
        for take in (owner.allocate, lambda nbytes: owner.put(encode(bytes(nbytes)))):
            with pytest.raises(ChannelFullError, match="max_bytes=2097152"):
                take(MEGABYTE)
        guest.kill(0.0)
        owner.allocate(MEGABYTE).abort()  # what the killed process held gives way
        key = owner.put(encode(bytes(MEGABYTE)))
        assert owner.exists(key)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        owner.clear()
        owner.close()


def test_two_processes_never_use_the_same_room(seed):
    """Each holds what it got; together they never get more than the limit."""
    owner = ShmConnector(max_bytes=10 * MEGABYTE)

    def work(report, number):
        guest = open_connector(owner.uri())
        chance, held = random.Random(seed + number), []
        for _ in range(60):
            with contextlib.suppress(ChannelFullError):
                held.append(guest.allocate(chance.choice([100_000, MEGABYTE])))
            if len(held) > 4:
                held.pop(chance.randrange(len(held))).abort()
            directory = guest._channel.opened().directory
            # Locked, so that nothing is allocated between two looks of one count.
            used = exclusively(directory, time.monotonic() + 10, "counting", partial(used_bytes, directory))
            if used > 10 * MEGABYTE:
                report(str(used))

    assert [victim.join() for victim in [Victim(work, number) for number in range(4)]] == [[]] * 4
    owner.clear()
    owner.close()


@pytest.mark.parametrize("size", [3 * MEGABYTE, 10_000])
def test_a_full_file_system_is_told_at_once_and_kills_nobody(small_tmpfs, size):
    for connector in (ShmConnector(root=str(small_tmpfs)), FileConnector(small_tmpfs / "objects")):
        held = []
        with pytest.raises(ChannelFullError, match=r"object of \d+ bytes"):
            while True:
                held.append(connector.allocate(size))
                held[-1].buffer[:] = b"x" * size  # every page is there
        for allocation in held:
            allocation.abort()
        connector.allocate(size).abort()
        held.clear()
        connector.clear()
        connector.close()
    gc.collect()


def test_a_limit_of_file_size(channel, in_child):
    def allocate():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        channel.allocate(200_000)

    answer = in_child(allocate)
    assert "FullError" in answer
    assert "ulimit -f" in answer


def test_a_file_system_that_cannot_map_says_so(files, directory, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr("psk.connectors.directory.writing.mmap.mmap", refuse)
    with pytest.raises(CapabilityError, match="cannot map files"):
        files.allocate(100)
    assert os.listdir(directory) == []
