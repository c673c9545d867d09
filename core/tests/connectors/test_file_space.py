"""Run out of space for files: a typed error, nothing left behind, and the next put works (C20, C11)."""

import ctypes
import gc
import os
import resource
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from psk.connectors.directory import writing
from psk.connectors.directory.expiry import MARK
from psk.connectors.directory.writing import DRAFTS
from psk.connectors.file import FileConnector
from psk.errors import ChannelFullError, ChannelUnavailableError, DurabilityError
from psk.wire import encode

MEGABYTE = 1 << 20


@pytest.fixture
def small(tmp_path):
    """A file system of 4 MB; needs root, which CI must have."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "psk-test", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        reason = f"cannot mount a small tmpfs: {mounted.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    yield str(place)
    gc.collect()  # a kept error keeps the frames of its traceback, and they keep the directory
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("named", [False, True])
def test_a_full_disk(small, named, monkeypatch, decoded):
    if named:
        monkeypatch.setattr(writing, "_UNNAMED", os.O_RDWR)  # refused, as by a file system that has no such files
    connector = FileConnector(small)
    stored = []
    with pytest.raises(ChannelFullError, match=r"object of \d+ bytes, \d+ bytes free") as caught:
        while len(stored) < 10:
            stored.append(connector.put(encode(np.full(MEGABYTE, len(stored), np.uint8))))
    assert "evict" in caught.value.remedy
    assert set(os.listdir(small)) - {DRAFTS} == set(stored)
    for number, key in enumerate(stored):
        assert set(decoded(connector.get(key))) == {number}
    connector.evict(stored[0])
    assert connector.exists(connector.put(encode(np.full(MEGABYTE, 9, np.uint8))))
    connector.close()


def test_memory_promises_no_disk(small):  # C32
    for path in (small, f"{small}/new", f"{small}/quite/new"):
        with pytest.raises(DurabilityError, match=r"tmpfs.*found: volatile, host"):
            FileConnector(path, durability="disk")
    assert os.listdir(small) == []  # C11
    connector = FileConnector(small, durability="volatile")
    assert connector.durabilities == ("volatile", "host")
    connector.close()


@pytest.mark.parametrize("size", [MEGABYTE, 60 * MEGABYTE])
def test_a_limit_of_file_size(files, directory, in_child, size):
    def put():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        files.put(encode(bytearray(size)))

    answer = in_child(put)
    assert answer.startswith("ChannelFullError")
    assert "ulimit -f" in answer
    assert os.listdir(directory) == []
    assert files.put(encode(1))


def test_no_descriptors_left(files, in_child):
    def put():
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        files.put(encode(1))

    answer = in_child(put)
    assert answer.startswith("ChannelUnavailableError")
    assert "ulimit -n" in answer


def test_a_directory_of_somebody_else(in_child):
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        _try_as_stranger(Path(parent) / "objects", in_child)


def _try_as_stranger(place, in_child):
    connector = FileConnector(place)
    key = connector.put(encode("private"))
    connector.close()
    library = ctypes.CDLL(None)

    def stranger():
        assert library.setresuid(4242, 4242, 4242) == 0
        try:
            FileConnector(place)
        except ChannelUnavailableError as error:
            return str(error), os.access(place / key, os.R_OK)

    answer = in_child(stranger)
    assert "Permission denied" in answer
    assert "False" in answer


def test_what_is_written_is_private(files, directory):
    key = files.put(encode(1), ttl=100)
    other = files.put(encode(2))
    modes = {name: os.stat(f"{directory}/{name}").st_mode & 0o777 for name in os.listdir(directory)}
    assert modes == {key: 0o600, other: 0o400, MARK: 0o600}
    assert os.stat(directory).st_mode & 0o777 == 0o700
