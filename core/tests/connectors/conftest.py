"""Fixtures of the connector tests: each common rule of docs/contract.md is tested on each channel."""

import os

import pytest

from psk.connectors import find_connector, open_connector
from psk.wire import Payload, decode

CHANNELS = ("local", "file", "shm", "multi", "multi of local")
"""The last one has every capability."""


def address_of(scheme, folder):
    """Give the URI of a new, empty channel, with its files in a folder; the multi connector uses two others."""
    local, file = f"local://test-{os.urandom(6).hex()}", f"file://{folder}/objects"
    multi = f"multi://small,large?max1=20000&priority1=1&to1={local}&to2="
    return {
        "local": local,
        "file": file,
        "shm": f"shm://test-{os.urandom(6).hex()}",
        "multi": multi + file,
        "multi of local": f"{multi}{local}-2",
    }[scheme]


@pytest.fixture
def new_address():
    """Make URIs of empty channels: `new_address(scheme, folder)`."""
    return address_of


@pytest.fixture(params=CHANNELS)
def scheme(request):
    """Each built-in channel in turn."""
    return request.param


@pytest.fixture
def address(scheme, tmp_path):
    """The URI of an empty channel."""
    return address_of(scheme, tmp_path)


@pytest.fixture
def connector(address):
    """An open, empty channel, cleared afterwards."""
    opened = open_connector(address)
    yield opened
    opened.close()
    remaining = open_connector(address)
    remaining.clear()
    remaining.close()


@pytest.fixture
def files(tmp_path):
    """A file connector on an empty directory."""
    opened = find_connector("file")(tmp_path / "objects")
    yield opened
    opened.close()


@pytest.fixture
def directory(files):
    """The path of that directory."""
    return files.config()["path"]


@pytest.fixture
def decoded():
    """How a store reads what a connector returned: parsed, verified, decoded."""

    def decoded(frames):
        payload = Payload.parse(frames)
        payload.verify()
        return decode(payload)

    return decoded


@pytest.fixture
def in_child():
    """Run a function in a forked child; return what it returned or raised, in words."""

    def in_child(function):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                answer = repr(function())
            except BaseException as error:  # noqa: BLE001  reported to the parent
                answer = f"{type(error).__name__}: {error}"
            os.write(write, answer.encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as answer:
            text = answer.read()
        os.waitpid(pid, 0)
        return text

    return in_child
