"""Kill writers and readers of files: the whole object is left or none, and nothing else (C14, C38)."""

import contextlib
import os
import random
import select
import signal
import time
from pathlib import Path

import pytest

from psk.connectors.directory import writing
from psk.connectors.directory.expiry import MARK
from psk.connectors.directory.writing import DRAFTS
from psk.connectors.file import FileConnector
from psk.errors import ChannelFullError, PayloadError
from psk.wire import encode

HOLD = 60


@pytest.fixture(params=["unnamed", "named"])
def temporary(request, monkeypatch):
    """Both ways to write: without a name, and with a temporary one where a file system has no other."""
    if request.param == "named":
        monkeypatch.setattr(writing, "_UNNAMED", os.O_RDWR)  # refused, as by a file system that has no such files
    return request.param


def started(write, *arguments):
    """Fork a writer; return its process id and the pipe on which it reports."""
    read, report = os.pipe()
    pid = os.fork()
    if pid:
        os.close(report)
        return pid, read
    try:
        write(report, *arguments)
    except BaseException as error:  # noqa: BLE001  shown by pytest through the pipe
        os.write(report, f"{type(error).__name__}: {error}\n".encode())
    os._exit(0)


def killed(pid, read):
    """Kill a writer; return what it had reported."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(read, "rb") as pipe:
        lines = pipe.read().decode().split("\n")
    assert not any("Error" in line for line in lines), lines
    return [line for line in lines[:-1] if len(line) == 32]


def drafts_in(directory):
    place = Path(directory, DRAFTS)
    return sorted(os.listdir(place)) if place.exists() else []


def check_whole(directory, acknowledged, decoded):
    """Open the directory anew: every object must be whole, all acknowledged ones there, nothing else."""
    again = FileConnector(directory)
    keys = set(again.keys())
    for key in keys:
        number, text = decoded(again.get(key))
        assert text == str(number) * (len(text) // len(str(number)))
    assert set(acknowledged) <= keys
    assert set(os.listdir(directory)) - {DRAFTS} == keys
    assert drafts_in(directory) == []
    again.close()


def test_writers_killed_at_random_times(directory, temporary, scale, seed, decoded):
    chance = random.Random(seed)
    sizes = (100, 100_000, 3_000_000)

    def write(report, first):
        connector = FileConnector(directory)
        for number in range(first, first + 10_000):
            text = str(number) * (sizes[number % 3] // len(str(number)))
            os.write(report, connector.put(encode((number, text))).encode() + b"\n")

    put, interrupted, turn = 0, 0, 0
    turns = scale("file.killed_writers") // 5
    # Goes on until some writer was really caught in mid-put, however the machine schedules them.
    while turn < turns or (temporary == "named" and not interrupted and turn < 50 * turns):
        writers = [started(write, (turn * 5 + number) * 10_000) for number in range(5)]
        acknowledged = []
        turn += 1
        for pid, read in writers:
            select.select([read], [], [], HOLD)
            time.sleep(chance.uniform(0, 0.02))
            acknowledged += killed(pid, read)
        interrupted += bool(drafts_in(directory))
        check_whole(directory, acknowledged, decoded)
        put += len(acknowledged)
        cleared = FileConnector(directory)
        cleared.clear()
        cleared.close()
    assert put
    if temporary == "named":
        assert interrupted, "no writer was killed in mid-put: the test proves nothing"


def test_readers_killed_at_random_times(directory, scale, seed, decoded):
    chance = random.Random(seed)
    connector = FileConnector(directory)
    numbers = (1, 22, 333)
    keys = [connector.put(encode((number, str(number) * 1_000_000))) for number in numbers]

    def read(report):
        own = FileConnector(directory)
        while True:
            for number, key in zip(numbers, keys, strict=True):
                assert decoded(own.get(key))[0] == number
            os.write(report, b"read\n")

    for _ in range(scale("file.killed_readers") // 5):
        readers = [started(read) for _ in range(5)]
        for pid, pipe in readers:
            time.sleep(chance.uniform(0, 0.02))
            killed(pid, pipe)
        check_whole(directory, keys, decoded)
    connector.close()


@pytest.mark.parametrize("bug", ["partial", "lost", "leftover"])
def test_the_check_sees_what_it_looks_for(files, directory, bug, decoded):
    key = files.put(encode((7, "7" * 1000)))
    check_whole(directory, [key], decoded)
    place = Path(directory)
    if bug == "partial":
        whole = (place / key).read_bytes()
        (place / key).unlink()
        (place / key).write_bytes(whole[:500])
    elif bug == "lost":
        (place / key).unlink()
    else:
        (place / "left").touch()
    with pytest.raises((AssertionError, PayloadError)):
        check_whole(directory, [key], decoded)


@pytest.mark.parametrize("point", ["after opening", "after half", "before the name", "after the name"])
def test_a_writer_killed_at_a_named_point(directory, temporary, point, monkeypatch, decoded):
    def write(report):
        def hold(*_, **__):
            os.write(report, b"held\n")
            time.sleep(HOLD)

        if point == "after opening":
            monkeypatch.setattr(writing, "write_all", hold)
        elif point == "after half":
            monkeypatch.setattr(
                writing, "write_all", lambda file, payload, *_: (os.write(file, payload.tobytes()[:30]), hold())
            )
        elif point == "before the name":
            monkeypatch.setattr(os, "link", hold)
        else:
            link = os.link
            monkeypatch.setattr(os, "link", lambda *names, **at: (link(*names, **at), hold()))
        FileConnector(directory).put(encode((7, "7" * 1000)))

    pid, read = started(write)
    with os.fdopen(os.dup(read), "rb") as pipe:
        assert pipe.readline() == b"held\n"
    during = drafts_in(directory)
    assert len(during) == (temporary == "named")
    FileConnector(directory).close()  # a sweep beside a living writer must not touch its file
    assert drafts_in(directory) == during
    killed(pid, read)
    check_whole(directory, [], decoded)
    assert len(set(os.listdir(directory)) - {DRAFTS}) == (point == "after the name")


def test_a_failed_put_leaves_nothing(files, directory, temporary, monkeypatch):  # C11
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_all", full)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ChannelFullError, match="bytes free"):
        files.put(encode(1))
    assert set(os.listdir(directory)) <= {DRAFTS}
    assert set(os.listdir("/proc/self/fd")) == before


def test_both_ways_keep_the_contract(files, temporary, decoded):
    payload = encode(("same", 1))
    for _ in range(2):
        assert decoded(files.get(files.put(payload))) == ("same", 1)
    assert files.exists(files.put(encode("brief"), ttl=100))
    assert files.take(payload.key, "me") is not None


def test_a_system_without_proc_uses_names(directory, monkeypatch, decoded):
    link, isdir = os.link, os.path.isdir

    def no_proc(source, *arguments, **options):
        assert not source.startswith("/proc")
        return link(source, *arguments, **options)

    monkeypatch.setattr(os, "link", no_proc)
    monkeypatch.setattr(os.path, "isdir", lambda path: not str(path).startswith("/proc") and isdir(path))
    with FileConnector(directory) as connector:
        assert decoded(connector.get(connector.put(encode("named")))) == "named"
    assert all(len(name) == 32 for name in os.listdir(directory))


def test_leftovers_of_the_dead_are_swept(files, directory):  # C38
    kept = files.put(encode("kept"))
    place = Path(directory)
    (place / DRAFTS).mkdir()
    (place / DRAFTS / ("a" * 24)).write_bytes(b"half")
    (place / DRAFTS / "something-of-the-user").write_bytes(b"stays")
    (place / MARK).touch()  # as by those who claim
    (place / ("b" * 32 + ".claim")).write_bytes(b"me")
    (place / "notes.txt").write_bytes(b"stays")
    FileConnector(directory).close()
    assert sorted(os.listdir(directory)) == sorted([kept, DRAFTS, "notes.txt"])
    assert drafts_in(directory) == ["something-of-the-user"]
    with contextlib.suppress(FileNotFoundError):
        files.evict(kept)


def test_a_free_lock_proves_nothing_on_a_network_file_system(files, directory, monkeypatch):  # C38
    monkeypatch.setattr("psk.connectors.directory.directory.filesystem_of", lambda *_: "nfs4")
    Path(directory, DRAFTS).mkdir()
    young, old = (Path(directory, DRAFTS, digit * 24) for digit in "ab")
    young.write_bytes(b"half")
    old.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    FileConnector(directory).close()
    assert young.exists()
    assert not old.exists()
