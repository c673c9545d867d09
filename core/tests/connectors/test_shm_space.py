"""Run out of memory, descriptors or mappings: a typed error or a copy, never a signal (C20, C11)."""

import gc
import os
import resource

import numpy as np
import pytest

from psk.connectors import format_uri, open_connector
from psk.connectors.shm import ShmConnector, objects
from psk.errors import ChannelFullError, ShmFullError
from psk.wire import encode

pytest_plugins = ["faults.tmpfs"]

MEGABYTE = 1 << 20


def filled(number, size=MEGABYTE):
    return encode(np.full(size, number, np.uint8), checksum=False)


@pytest.fixture
def small(small_tmpfs):
    """A connector on a file system of 4 MB."""
    opened = ShmConnector(root=str(small_tmpfs))
    yield opened
    opened.clear()
    opened.close()
    gc.collect()  # a caught error keeps the frames of its traceback, and they keep the directory


@pytest.mark.parametrize("size", [10_000, 100_000, MEGABYTE, 2 * MEGABYTE + 5])
def test_a_full_file_system(small, small_tmpfs, decoded, size):
    stored = []
    with pytest.raises(ShmFullError, match=r"object of \d+ bytes, \d+ bytes free") as caught:
        while len(stored) < 1000:
            stored.append(small.put(filled(len(stored) % 251, size)))
    assert "--shm-size" in caught.value.remedy
    assert isinstance(caught.value, ChannelFullError)
    assert set(os.listdir(small._channel.path)) - {".free"} == set(stored)
    for number, key in enumerate(stored):
        assert set(decoded(small.get(key))) == {number % 251}
    small.evict(stored[0])
    assert small.exists(small.put(filled(9, size)))


def test_what_is_kept_for_later_gives_way(small_tmpfs, decoded):
    connector = ShmConnector(root=str(small_tmpfs), reuse_bytes=4 * MEGABYTE)
    for key in [connector.put(filled(number)) for number in range(3)]:
        connector.evict(key)
    assert len(os.listdir(f"{connector._channel.path}/.free")) == 3
    key = connector.put(filled(7, 3 * MEGABYTE))
    assert (decoded(connector.get(key)) == 7).all()
    connector.evict(key)
    small = [connector.put(filled(number, 30_000)) for number in range(100)]
    assert all(map(connector.exists, small))
    connector.clear()
    connector.close()


def test_a_limit_of_a_space(decoded):
    connector = ShmConnector(max_bytes=2 * MEGABYTE)
    first = connector.put(filled(1))
    with pytest.raises(ShmFullError, match=r"max_bytes=2097152; .*raise max_bytes.*1044480 bytes free"):
        connector.put(filled(2, 2 * MEGABYTE))
    with pytest.raises(ShmFullError):
        while True:
            connector.put(filled(3, 5000))
    assert len(list(connector.keys())) > 100
    connector.clear()
    for number in range(10):
        connector.evict(connector.put(filled(number)))  # what is free does not count against the next
    assert connector.put(filled(1, 2 * MEGABYTE - 10_000))
    assert not connector.exists(first)
    assert "max_bytes=2097152" in format_uri(connector.config())
    connector.clear()
    connector.close()


@pytest.mark.parametrize("size", [200_000, 60 * MEGABYTE])
def test_a_limit_of_file_size(in_child, size):
    connector = ShmConnector()

    def put():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        connector.put(filled(1, size))

    answer = in_child(put)
    assert answer.startswith("ShmFullError")
    assert "ulimit -f" in answer
    assert os.listdir(connector._channel.path) == []
    key = connector.put(filled(1, size))
    connector.evict(key)
    connector.clear()
    connector.close()


def test_few_descriptors(in_child, decoded):
    uri = format_uri((owner := ShmConnector()).config())
    keys = [owner.put(filled(number, 70_000 + number * 50_000)) for number in range(100)]

    def work():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        connector = open_connector(uri)
        arrays = [decoded(connector.get(key)) for key in keys]
        assert all((array == number).all() for number, array in enumerate(arrays))
        more = [connector.put(filled(number, 3 * MEGABYTE)) for number in range(30)]
        arrays += [decoded(connector.get(key)) for key in more]
        for key in more:
            connector.evict(key)
        return len(arrays), len(os.listdir("/proc/self/fd")) < 64

    assert in_child(work) == "(130, True)"
    owner.clear()
    owner.close()


def test_no_descriptor_for_a_mapping_means_a_copy(in_child, decoded, monkeypatch):
    """As where there is no ctypes, and Python keeps a descriptor for each mapping."""
    connector = ShmConnector()
    keys = [connector.put(filled(number, 100_000)) for number in range(100)]
    monkeypatch.setattr("psk.connectors.shm.mapping._library", lambda: None)

    def work():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        arrays = [decoded(connector.get(key)) for key in keys]
        return all((array == number).all() for number, array in enumerate(arrays))

    assert in_child(work) == "True"
    connector.clear()
    connector.close()


@pytest.mark.parametrize("number", sorted(objects._SHORT_OF))
def test_no_mapping_means_a_copy(number, decoded, monkeypatch):
    connector = ShmConnector()
    key = connector.put(filled(7, 6 * MEGABYTE))

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(objects, "Mapping", refuse)
    array = decoded(connector.get(key))
    assert (array == 7).all()
    array[:] = 1
    assert (decoded(connector.get(key)) == 7).all()
    monkeypatch.undo()
    connector.clear()
    connector.close()


def test_a_value_of_an_option_that_makes_no_sense(address):
    from psk.errors import ConnectorConfigError

    for options in ("max_bytes=-1", "reuse_bytes=1e9", "timeout=0", "max_bytes="):
        with pytest.raises(ConnectorConfigError):
            open_connector(f"shm://?{options}")
