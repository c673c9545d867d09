"""Open, close, remove and expire: the directory, descriptors and expired files of a file connector."""

import os
import resource
import shutil
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from psk.connectors import file, open_connector
from psk.connectors.directory import directory as directories
from psk.connectors.directory import expiry, objects, writing
from psk.connectors.directory.expiry import MARK
from psk.connectors.file import FileConnector
from psk.errors import CapabilityError, ChannelFullError, ChannelUnavailableError, DeadlineError
from psk.wire import encode
from psk_testing.timing import at_some_pace, becomes, timed

MISSING = "0" * 32


def test_opening_and_closing_leaks_nothing(directory, scale):  # C34
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(scale("file.open_close")):
        connector = FileConnector(directory)
        key = connector.put(encode(number), ttl=1000 if number % 2 else None)
        assert connector.get(key) is not None
        if number % 3:
            connector.close()
        del connector
    assert becomes(lambda: threading.active_count() <= before[1], within=10)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_a_removed_directory_is_an_error_and_comes_back_with_the_next_put(files, directory, decoded):
    key = files.put(encode("lost"))
    shutil.rmtree(directory)
    for call in (lambda: files.get(key), lambda: files.exists(key), lambda: list(files.keys()), files.clear):
        with pytest.raises(ChannelUnavailableError, match="No such file or directory"):
            call()
    key = files.put(encode("back"))
    assert decoded(files.get(key)) == "back"
    assert os.stat(directory).st_mode & 0o777 == 0o700


def test_a_directory_made_again_by_another_is_found(files, directory, decoded):
    shutil.rmtree(directory)
    other = FileConnector(directory)
    key = other.put(encode("by the other"))
    assert decoded(files.get(key)) == "by the other"
    assert list(files.keys()) == [key]
    other.close()


@pytest.mark.parametrize("rest", ["x" * 300, "file/below", "file"])
def test_an_opening_that_fails_makes_no_directory(tmp_path, rest):  # C11
    (tmp_path / "file").touch()
    for path in (f"{tmp_path}/{rest}", f"{tmp_path}/new/newer/{'x' * 300}"):
        with pytest.raises(ChannelUnavailableError, match="cannot open the directory"):
            FileConnector(path)
    assert os.listdir(tmp_path) == ["file"]


def test_an_opening_without_a_descriptor_makes_no_directory(tmp_path, in_child):  # C11
    def child():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                os.open("/", os.O_RDONLY)
        FileConnector(tmp_path / "new" / "newer")

    assert in_child(child).startswith("ChannelUnavailableError")
    assert os.listdir(tmp_path) == []


def test_close_beside_a_reopening_stays_closed(files, directory):
    shutil.rmtree(directory)
    files.put(encode(1))
    files.close()
    assert files._channel._objects is None


@pytest.mark.parametrize("durability", ["volatile", "host", "disk"])
def test_every_durability_of_a_disk(tmp_path, durability, monkeypatch, decoded):  # C31
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor, fsync=os.fsync: (synced.append(descriptor), fsync(descriptor)))
    try:
        connector = FileConnector(tmp_path / "objects", durability=durability)
    except Exception as error:  # noqa: BLE001  a temporary directory in memory
        pytest.skip(str(error))
    payload = encode("safe")
    connector.put(payload)
    # The file before its name, its directory after; and both again for a put that found it there.
    assert len(synced) == (2 if durability == "disk" else 0)
    connector.put(payload)
    assert len(synced) == (5 if durability == "disk" else 0)
    assert decoded(connector.get(payload.key)) == "safe"
    connector.close()


def test_a_disk_put_syncs_the_file_before_it_is_named(tmp_path, monkeypatch):  # C31
    order = []
    link, sync = os.link, writing.sync

    def noted(descriptor):
        order.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    monkeypatch.setattr(os, "link", lambda *names, **at: (order.append("name"), link(*names, **at))[1])
    monkeypatch.setattr(writing, "sync", noted)
    connector = FileConnector(tmp_path / "objects")
    connector._channel.opened().durable = True
    connector.put(encode(1))
    assert order == ["file", "name", "directory"]
    connector.close()


def test_expired_files_are_removed_within_a_second(files, directory):  # C46
    with timed() as clock:
        files.put(encode("brief"), ttl=0.1)
        assert becomes(lambda: os.listdir(directory) == [MARK], within=10)
    assert not clock.late(1.1)


def test_what_expired_while_nobody_looked_goes_at_the_next_opening(files, directory):  # C46
    kept = files.put(encode("kept"), ttl=1000)
    files.put(encode("brief"), ttl=0.05)
    files.take(kept, "me", lease=0.05)
    files.close()
    time.sleep(0.06)
    FileConnector(directory).close()
    assert sorted(os.listdir(directory)) == sorted([MARK, kept, kept + ".claim"])


def test_who_meets_an_expired_object_removes_it(files, directory):  # C46
    key = files.put(encode("brief"), ttl=0.01)
    files._channel._due.clear()  # nobody else removes it
    time.sleep(0.03)
    assert files.get(key) is None
    assert not os.path.exists(f"{directory}/{key}")


def test_a_renewal_by_another_process_is_respected(files, directory, in_child):  # C45
    def attempt(pace):
        key = files.put(encode("renewed"), ttl=0.3 * pace)
        assert in_child(lambda: FileConnector(directory).renew(key, 1000)) == "True"
        time.sleep(0.3 * pace + 0.5)
        assert files.exists(key)

    at_some_pace(attempt)


def test_expiry_goes_by_the_file_servers_clock(files, monkeypatch):  # C44
    key = files.put(encode("here"), ttl=100)
    # This client's own clock is a year ahead; the server's is not.
    monkeypatch.setattr(time, "time", lambda: 4e9)
    monkeypatch.setattr(time, "time_ns", lambda: 4 * 10**18)
    assert files.exists(key)
    monkeypatch.undo()
    monkeypatch.setattr(file, "_server_time", lambda _: time.time_ns() + 200 * 10**9)
    assert files.exists(key)  # the difference is measured every 10 s
    monkeypatch.setattr(file, "REFRESH_NANOSECONDS", 0)
    assert not files.exists(key)


@pytest.mark.parametrize("end", ["clear", "evict", "expire"])
@pytest.mark.parametrize("kind", ["tmpfs", "nfs4"])
def test_nothing_stays_when_the_last_object_is_gone(directory, monkeypatch, kind, end):  # C34
    monkeypatch.setattr(directories, "filesystem_of", lambda *_: kind)
    connector = FileConnector(directory)
    key = connector.put(encode("brief"), ttl=1000 if end != "expire" else 0.01)
    other = FileConnector(directory)
    if end == "expire":
        time.sleep(0.03)
        assert other.get(key) is None
    else:
        other.clear() if end == "clear" else other.evict(key)
    other.close()
    connector.close()
    assert os.listdir(directory) == []


def test_a_mark_goes_when_nothing_expires_any_more(files, directory):
    kept = files.put(encode("kept"))
    key = files.put(encode("renewed"), ttl=1000)
    FileConnector(directory).close()
    assert sorted(os.listdir(directory)) == sorted([MARK, kept, key])
    files.renew(key, None)
    FileConnector(directory).close()
    assert sorted(os.listdir(directory)) == sorted([kept, key])
    files.renew(kept, 1000)
    assert sorted(os.listdir(directory)) == sorted([MARK, kept, key])


def test_a_mark_is_seen_while_a_sweep_gives_it_back(directory, monkeypatch):  # C46
    place = directories.Directory(str(directory), create=True)
    mark = expiry.Mark(place)
    mark.set()
    mark.doubt()
    look = directories.Directory.stat

    def look_and_let_the_sweep_end(self, name):
        monkeypatch.undo()
        try:
            return look(self, name)
        finally:
            mark.set()
            mark.remove_doubted()

    monkeypatch.setattr(directories.Directory, "stat", look_and_let_the_sweep_end)
    assert mark.is_set()


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "fuse.sshfs", ""])
def test_take_needs_a_local_file_system(directory, monkeypatch, kind):  # C39
    monkeypatch.setattr(directories, "filesystem_of", lambda *_: kind)
    connector = FileConnector(directory)
    key = connector.put(encode(1))
    with pytest.raises(CapabilityError, match="cannot decide between claimants"):
        connector.take(key, "me")
    connector.close()


def test_the_file_system_is_found_by_its_mount(tmp_path):
    descriptor = os.open("/proc", os.O_RDONLY)
    assert directories.filesystem_of(descriptor, "/proc") == "proc"
    os.close(descriptor)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    assert directories.filesystem_of(descriptor, str(tmp_path)) in directories.LOCAL
    os.close(descriptor)


def test_a_claimant_that_hangs_costs_others_their_deadline_only(files, directory):  # C5
    import fcntl

    key = files.put(encode("held"))
    holder = os.open(f"{directory}/{key}", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with timed() as clock, pytest.raises(DeadlineError, match="claiming"):
        files.take(key, "me", timeout=0.2)
    assert clock.seconds >= 0.2
    assert not clock.late(0.2)
    assert files.get(key) is not None
    os.close(holder)


def test_an_evict_between_claim_and_answer_leaves_no_claim(files, directory, monkeypatch):  # C50
    key = files.put(encode("gone"))
    place = objects.place

    def evict_and_place(*arguments, **options):
        files.evict(key)
        return place(*arguments, **options)

    monkeypatch.setattr(objects, "place", evict_and_place)
    assert files.take(key, "me") is None
    assert os.listdir(directory) == [MARK]


def test_an_object_evicted_between_two_puts_is_put(files, monkeypatch, decoded):  # C15
    payload = encode("again")
    files.put(payload)
    open_file = objects.open_file

    def evict_and_open(*arguments):
        monkeypatch.undo()
        files.evict(payload.key)
        return open_file(*arguments)

    monkeypatch.setattr(objects, "open_file", evict_and_open)
    files.put(payload)
    assert decoded(files.get(payload.key)) == "again"


def test_short_writes_are_continued(files, monkeypatch, decoded):  # C14
    monkeypatch.setattr(os, "writev", lambda file, views, writev=os.writev: writev(file, [bytes(views[0])[:7777]]))
    value = [np.arange(5000), b"x" * 50_000]
    array, data = decoded(files.get(files.put(encode(value))))
    assert data == value[1]
    assert np.array_equal(array, value[0])


def test_short_writes_of_large_objects_are_continued(files, monkeypatch, decoded):  # C14
    pwritev = os.pwritev
    monkeypatch.setattr(
        os, "pwritev", lambda file, parts, at: pwritev(file, [memoryview(b"".join(parts))[:300_001]], at)
    )
    value = [np.arange(600_000), b"x" * 50_000, bytes(3_000_000)]
    array, *data = decoded(files.get(files.put(encode(value))))
    assert data == value[1:]
    assert np.array_equal(array, value[0])


def test_a_disk_that_fills_up_during_a_large_put_leaves_nothing(files, directory, monkeypatch):  # C11, C20
    pwritev = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda file, parts, at: pwritev(file, parts, at) if at < 3_000_000 else 0)
    with pytest.raises(ChannelFullError):
        files.put(encode(bytes(9_000_000)))
    assert not os.listdir(directory)
    monkeypatch.undo()
    files.put(encode(bytes(9_000_000)))


def test_hints_are_wishes(files, decoded):  # C19
    key = files.put(encode(1), hints={"colour": "blue", "subset_tags": ["a"]})
    assert decoded(files.get(key)) == 1


def test_a_copy_made_with_a_network_tool_is_read(files, directory, decoded):
    key = files.put(encode("moved"))
    other = Path(directory).parent / "other"
    shutil.copytree(directory, other)
    connector = open_connector(f"file://{other}")
    assert decoded(connector.get(key)) == "moved"
    assert connector.leaves_host  # C33
    connector.close()
