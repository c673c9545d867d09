"""Expire objects by their records alone, whatever their file's mode, times, place or copies."""

import errno
import fcntl
import os
import random
import resource
import shutil
import stat
import subprocess
import time

import pytest

from psk.connectors import file as files_channel
from psk.connectors import open_connector
from psk.connectors.directory.directory import Directory
from psk.connectors.directory.expiry import MARK, RECORD_BYTES, has_room_for_record, record_offset
from psk.connectors.directory.objects import Objects
from psk.connectors.file import FileConnector, ServerClock
from psk.errors import ChannelFullError, DeadlineError
from psk.wire import encode
from psk_testing.timing import at_some_pace, becomes

SIZES = [5, 64 * 2 + RECORD_BYTES, 50_000, 65_400, 65_450, 65_536 - 64, 69_600, 300_000, 3_000_000]
"""Some are in segments, some end just before a page does, one has the size of a file with a record."""


@pytest.fixture(params=["file", "shm"])
def channel(request, new_address, tmp_path):
    opened = open_connector(new_address(request.param, tmp_path))
    yield opened
    opened.clear()
    opened.close()


@pytest.fixture
def folder(channel):
    """The directory in which the channel's objects are."""
    return channel.config()["path"] if channel.scheme == "file" else channel._channel.path


def put_each(channel, ttl=None):
    return [channel.put(encode(os.urandom(size)), ttl=ttl) for size in SIZES]


def again(channel):
    """Open the channel anew, as another process would, and so sweep it."""
    return type(channel).from_config(channel.config())


MISCHIEF = {
    "u+w": lambda folder: subprocess.run(["chmod", "-R", "u+w", folder], check=True),
    "600": lambda folder: subprocess.run(["chmod", "-R", "u=rwX,go=", folder], check=True),
    "755": lambda folder: [os.chmod(entry.path, 0o755) for entry in os.scandir(folder) if entry.is_file()],
    "old": lambda folder: subprocess.run(["find", folder, "-exec", "touch", "-d", "1990-01-01", "{}", "+"], check=True),
    "chmod and touch": lambda folder: [
        (os.chmod(entry.path, 0o600), os.utime(entry.path, (1, 1))) for entry in os.scandir(folder) if entry.is_file()
    ],
    "new": lambda folder: [os.utime(entry.path, (4e9, 4e9)) for entry in os.scandir(folder)],
}


@pytest.mark.parametrize("mischief", MISCHIEF.values(), ids=MISCHIEF)
@pytest.mark.parametrize("ttl", [None, 1000])
def test_modes_and_times_let_nothing_expire(channel, folder, mischief, ttl, decoded):  # C22, C44
    channel.put(encode("brief"), ttl=0.001)  # so that openings look
    keys = put_each(channel, ttl)
    before = [decoded(channel.get(key)) for key in keys]
    mischief(folder)
    again(channel).close()
    assert [decoded(channel.get(key)) for key in keys] == before
    assert set(keys) <= set(channel.keys())
    assert all(map(channel.exists, keys))
    assert channel.take(keys[0], "me") is not None
    assert all(channel.renew(key, 1000) for key in keys)
    assert [decoded(channel.get(key)) for key in keys] == before


@pytest.mark.parametrize("mischief", MISCHIEF.values(), ids=MISCHIEF)
def test_modes_and_times_keep_nothing_alive(channel, folder, mischief):  # C44
    keys = put_each(channel, 0.3)
    mischief(folder)
    time.sleep(0.35)
    assert [key for key in keys if channel.get(key) is not None or channel.exists(key)] == []


COPYING = {
    "cp -r": "cp -r {0} {1}",
    "cp -a": "cp -a {0} {1}",
    "rsync": "rsync -r {0}/ {1}",
    "tar": "mkdir {1}; tar -c -C {0} . | tar -x -C {1}",
}


@pytest.mark.parametrize("copying", COPYING.values(), ids=COPYING)
def test_copies_expire_as_what_they_were_made_of(files, directory, copying, decoded, monkeypatch):
    if shutil.which(copying.split()[0]) is None:
        pytest.skip(f"there is no {copying.split()[0]} here")
    kept, brief = put_each(files), put_each(files, 1000)
    keys = [*kept, *brief]
    before = [decoded(files.get(key)) for key in keys]
    copy = f"{directory}-copy"
    subprocess.run(copying.format(directory, copy), shell=True, check=True)
    subprocess.run(["chmod", "-R", "u+w", copy], check=True)
    copied = FileConnector(copy)
    assert [decoded(copied.get(key)) for key in keys] == before
    copied.close()
    monkeypatch.setattr(files_channel, "_server_time", lambda _: time.time_ns() + 1001 * 10**9)
    copied = FileConnector(copy)
    assert sorted(copied.keys()) == sorted(kept)
    assert [copied.get(key) is not None for key in keys] == [key in kept for key in keys]
    copied.close()


def test_a_renewal_counts_whatever_the_object_was_put_with(channel, decoded):  # C45
    def attempt(pace):
        brief = 0.2 * pace
        for first, second in ((None, brief), (1000, brief), (1000, None), (None, 1000)):
            keys = put_each(channel, first)
            before = [decoded(channel.get(key)) for key in keys]
            assert all(channel.renew(key, second) for key in keys)
            assert [frames and decoded(frames) for frames in map(channel.get, keys)] == before
            time.sleep(brief + 0.05)
            alive = 0 if second == brief else len(keys)
            assert sum(map(channel.exists, keys)) == alive
            assert [frames is not None for frames in map(channel.get, keys)].count(True) == alive

    at_some_pace(attempt)


def test_a_damaged_record_loses_nothing(channel, folder, decoded, seed):  # C24
    chance = random.Random(seed)
    keys = put_each(channel, 1000)
    before = [decoded(channel.get(key)) for key in keys]
    for key in keys:
        path = f"{folder}/{key}"
        place = os.stat(path).st_size - RECORD_BYTES + chance.randrange(RECORD_BYTES)
        with open(path, "r+b", buffering=0) as file:
            byte = os.pread(file.fileno(), 1, place)[0]
            os.pwrite(file.fileno(), bytes([byte ^ 1 << chance.randrange(8)]), place)
    assert [decoded(channel.get(key)) for key in keys] == before


def test_a_segment_used_again_forgets_when_its_last_object_expired(channel, decoded):
    for size in SIZES:
        key = channel.put(encode(bytes(size)), ttl=0.05)
        channel.evict(key)
        kept = channel.put(encode(bytes(size)))
        time.sleep(0.06)
        assert decoded(channel.get(kept)) == bytes(size)


def test_what_ends_like_a_record_is_no_record(channel, folder, decoded):
    expired = channel.put(encode(bytes(1000)), ttl=0.5)
    with open(f"{folder}/{expired}", "rb") as file:
        record = file.read()[-RECORD_BYTES:]
    assert becomes(lambda: not channel.exists(expired), within=10)
    for size in range(64):
        value = bytes(size) + record
        assert decoded(channel.get(channel.put(encode(value)))) == value


@pytest.mark.parametrize("lease", [None, 60.0])
def test_a_winner_that_asks_again_without_room_keeps_its_claim(channel, monkeypatch, lease):  # C47, C48
    def no_room(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    key = channel.put(encode([1]))
    assert channel.take(key, "winner", lease=60.0) is not None
    monkeypatch.setattr("psk.connectors.directory.objects.place", no_room)
    assert channel.take(key, "winner", lease=lease) is not None
    assert channel.take(key, "other") is None


def test_a_lease_ends_by_its_record_alone(channel, folder):  # C49
    def attempt(pace):
        key = channel.put(encode("one"))
        assert channel.take(key, "first", lease=0.3 * pace) is not None
        for change in (lambda path: os.chmod(path, 0o600), lambda path: os.utime(path, (1, 1))):
            change(f"{folder}/{key}.claim")
            assert channel.take(key, "second") is None
        time.sleep(0.3 * pace + 0.05)
        assert channel.take(key, "second", lease=1000) is not None
        assert channel.take(key, "first") is None

    at_some_pace(attempt)


def test_readers_never_see_half_a_renewal(channel, scale, decoded):  # C44, C45
    """One process renews without end, in turns of a long and a longer time, while others read."""
    payloads = [encode(os.urandom(size)) for size in (100, 70_000)]
    for payload in payloads:
        channel.put(payload)
    rounds = scale("connectors.renewals")
    child = os.fork()
    if not child:
        try:
            other = again(channel)
            for number in range(rounds):
                for payload in payloads:
                    other.renew(payload.key, (None, 1000, 2**30 + number)[number % 3])
        except BaseException:  # noqa: BLE001  seen by the parent
            os._exit(1)
        os._exit(0)
    looked = 0
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        for payload in payloads:
            assert decoded(channel.get(payload.key)) is not None
            assert channel.exists(payload.key)
        looked += 1
    assert looked
    assert all(channel.exists(payload.key) for payload in payloads)


def test_what_may_not_be_written_is_renewed_by_its_owner(tmp_path, in_child):
    place = tmp_path / "objects"
    connector = FileConnector(place)
    key = connector.put(encode("read-only"))
    assert stat.S_IMODE((place / key).stat().st_mode) == 0o400
    for path in (place, place / key):
        os.chown(path, 4242, 4242)
    os.chmod(tmp_path, 0o755)
    connector.close()

    def owner():
        os.setgid(4242)
        os.setuid(4242)
        return FileConnector(place).renew(key, 1000)

    if not os.geteuid():
        answer = in_child(owner)
        assert answer == "True" or "Permission denied" in answer  # of a folder above


def test_nothing_is_evicted_beside_the_removal_of_what_expired(channel, folder):
    """Whoever removes it holds this lock; an object that was put anew in between would go instead of it."""
    payload = encode("again")
    key = channel.put(payload, ttl=1000)
    descriptor = os.open(f"{folder}/{key}" if channel.scheme == "file" else folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(DeadlineError):
        channel.evict(key, timeout=0.01)
    with pytest.raises(DeadlineError):
        channel.clear(timeout=0.01)
    os.close(descriptor)
    channel.evict(key)
    assert not channel.exists(key)


@pytest.mark.parametrize("channel", ["shm"], indirect=True)
@pytest.mark.parametrize("ttl", [None, 1000])
def test_the_size_of_a_segment_tells_whether_its_object_may_expire(channel, folder, ttl):
    """So the commonest question, whether one exists, mostly opens no file."""
    keys = [channel.put(encode(bytes(size)), ttl=ttl) for size in (65_536 - 64, 69_600, 3_000_000)]
    may_expire = [has_room_for_record(os.stat(f"{folder}/{key}").st_size) for key in keys]
    assert may_expire == [ttl is not None] * 3


@pytest.mark.parametrize("written", range(RECORD_BYTES))
def test_a_renewal_that_finds_no_room_changes_nothing(channel, folder, written, decoded):
    key = channel.put(encode(b"kept"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (record_offset(os.stat(f"{folder}/{key}").st_size) + written, hard))
    try:
        with pytest.raises(ChannelFullError):
            channel.renew(key, 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert decoded(channel.get(key)) == b"kept"
    assert channel.renew(key, 1000)
    assert decoded(channel.get(key)) == b"kept"


def test_a_renewal_is_known_to_the_next_opening_although_the_mark_was_just_removed(files, directory):
    class Unmarked(ServerClock):
        def after(self, directory, seconds):
            directory.remove(MARK)  # as an opening does that found nothing that expires
            return super().after(directory, seconds)

    key = files.put(encode("brief"))
    opened = Objects(Directory(directory, create=False), Unmarked())
    assert opened.renew(key, 0.01, time.monotonic() + 1)
    time.sleep(0.02)
    again(files).close()
    assert os.listdir(directory) == []


def test_what_was_copied_without_the_mark_is_listed_until_somebody_meets_it(files, directory):
    key, kept = files.put(encode("brief"), ttl=1), files.put(encode("kept"))
    copy = f"{directory}-copy"
    os.mkdir(copy)
    for name in (key, kept):
        shutil.copy(f"{directory}/{name}", copy)
    with FileConnector(copy) as copied:
        assert sorted(copied.keys()) == sorted([key, kept])
        assert becomes(lambda: not copied.exists(key), within=10)
        assert list(copied.keys()) == [kept]
    assert os.listdir(copy) == [kept]
