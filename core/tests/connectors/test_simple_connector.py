"""A connector of five methods keeps the whole contract: the one of docs/connectors.md, and some that go wrong."""

import gc
import os
import pickle
import threading

import pytest

import documents
from faults.distributions import install
from faults.side_doors import FileDoor
from psk.cli.plugins import options_of
from psk.connectors import as_text, capabilities_of, open_connector
from psk.connectors.toolkit import SimpleConnector
from psk.errors import (
    CapabilityError,
    ChannelDataError,
    ChannelFullError,
    ChannelUnavailableError,
    ConnectorClosedError,
    ConnectorConfigError,
    DeadlineError,
    KeyExistsError,
)
from psk.wire import encode
from psk_testing import ConnectorTests
from psk_testing.timing import becomes, timed

pytest_plugins = ["faults.tmpfs"]

MODULE = next(fence.text for fence in documents.FENCES if fence.flag == "file=psk_folder.py")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with the connector of the documents, installed."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "psk-folder", {"connector.folder": "psk_folder"}, {"psk_folder": MODULE})
    return folder


@pytest.fixture
def installed(site, monkeypatch):
    monkeypatch.syspath_prepend(site)


class TestFolder(ConnectorTests):
    @pytest.fixture
    def uri(self, installed, tmp_path):
        return f"folder://{tmp_path}/objects"

    @pytest.fixture
    def raw(self, connector):
        return FileDoor(connector.settings["path"])

    @pytest.fixture
    def unreachable_uri(self, tmp_path):
        (tmp_path / "plain").touch()
        return f"folder://{tmp_path}/plain/objects"

    @pytest.fixture
    def count(self, scale):
        return lambda name: scale(f"conformance.{name}")


def test_the_authors_part_is_short():
    lines = [line for line in MODULE.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert len(lines) < 60


class Memory(SimpleConnector):
    """A dictionary, by name."""

    scheme = "memory"
    leaves_host = False
    options = {"authority": as_text, "colour": as_text}  # noqa: RUF012  as authors write it
    defaults = {"colour": "red"}  # noqa: RUF012  as above
    failures = (ValueError, OSError)
    keeps_deadlines = True
    places: dict = {}  # noqa: RUF012  shared on purpose

    def open(self, deadline, *, create):
        if not create and self.settings["authority"] not in self.places:
            raise ValueError("no such place")
        return self.places.setdefault(self.settings["authority"], {})

    def place(self, name, data, deadline):
        return self.channel.setdefault(name, joined := b"".join(data)) is joined

    def fetch(self, name, deadline):
        return self.channel.get(name)

    def holds(self, name, deadline):
        return name in self.channel

    def remove(self, name, deadline):
        return self.channel.pop(name, None) is not None

    def names(self, deadline):
        yield "something else"
        yield from list(self.channel)


@pytest.fixture
def memory():
    with Memory(authority=os.urandom(4).hex()) as connector:
        yield connector


def test_options_are_read_defaulted_and_written(memory):  # C35, C36
    assert memory.settings["colour"] == "red"
    assert memory.uri() == f"memory://{memory.settings['authority']}"
    other = Memory.from_config({**memory.config(), "colour": "blue", "timeout": "5"})
    assert other.uri() == memory.uri() + "?colour=blue&timeout=5.0"
    assert pickle.loads(pickle.dumps(other)).config() == other.config()
    for wrong, message in [({}, "needs the option 'authority'"), ({"authority": "a", "size": 1}, "no option 'size'")]:
        with pytest.raises(ConnectorConfigError, match=message):
            Memory(**wrong)
    with pytest.raises(ConnectorConfigError, match="control characters"):
        Memory(authority="a\n")
    other.close()


def test_its_options_are_shown():
    options = {it["name"]: (it["type"], it["default"], it["required"]) for it in options_of(Memory)}
    assert options == {
        "authority": ("str", None, True),
        "colour": ("str", "red", False),
        "timeout": ("float", 600.0, False),
    }


def test_a_reader_creates_nothing():
    with pytest.raises(ChannelUnavailableError, match="no such place"):
        Memory.join({"authority": "nowhere"})
    assert "nowhere" not in Memory.places


def test_a_client_that_fails_is_translated(memory, monkeypatch):  # C5, C20, C24
    key = memory.put(encode(1))

    def failing(error):
        def fetch(name, deadline):
            raise error

        monkeypatch.setattr(memory, "fetch", fetch)

    for error, expected in [
        (ValueError("broken"), ChannelUnavailableError),
        (TimeoutError("its own"), ChannelUnavailableError),
        (OSError(28, "no space"), ChannelFullError),
        (OSError(40, "a link"), ChannelDataError),
        (KeyExistsError("of psk", remedy="nothing"), KeyExistsError),
        (MemoryError(), MemoryError),
        (ZeroDivisionError(), ZeroDivisionError),
    ]:
        failing(error)
        with pytest.raises(expected):
            memory.get(key)
    memory.close()
    failing(ZeroDivisionError())
    with pytest.raises(ConnectorClosedError):
        memory.get(key)


@pytest.mark.parametrize("answer", [0, 1, None, b"found"])
def test_whatever_holds_returns_existence_is_true_or_false(memory, monkeypatch, answer):  # C27
    monkeypatch.setattr(Memory, "holds", lambda *_, **__: answer)
    assert memory.exists(encode(1).key) is bool(answer)


def test_a_ttl_is_refused_not_ignored(memory):  # C18
    with pytest.raises(CapabilityError, match="no expiry"):
        memory.put(encode(1), ttl=1)
    assert {it.__name__ for it in capabilities_of(memory)} == {"SupportsReserve", "SupportsList"}


def test_an_object_that_is_evicted_during_a_put_is_put_anew(memory, monkeypatch):  # C16
    memory.put(payload := encode(1))
    place, answers = memory.place, iter([False])
    monkeypatch.setattr(memory, "fetch", lambda name, deadline: None)
    monkeypatch.setattr(memory, "place", lambda *args, **options: next(answers, None) or place(*args, **options))
    memory.evict(payload.key)
    assert memory.put(payload) == payload.key
    assert memory.exists(payload.key)


class Hanging(Memory):
    """Its calls take as long as they like."""

    keeps_deadlines = False
    scheme = "hanging"
    started = threading.Event()
    go = threading.Event()

    def place(self, name, data, deadline):
        self.started.set()
        self.go.wait(10)
        return super().place(name, data, deadline)


def test_a_call_that_cannot_be_interrupted_is_abandoned():  # C5, C17
    connector = Hanging(authority="hanging")
    array = bytearray(1000)
    payload = encode(memoryview(array))
    with timed() as clock, pytest.raises(DeadlineError, match="putting"):
        connector.put(payload, timeout=0.2)
    assert not clock.late(0.2)
    array[:] = b"x" * 1000  # the caller goes on, and the abandoned call must not see it
    Hanging.go.set()
    assert becomes(lambda: connector.exists(payload.key), within=10)
    assert bytes(1000) in Memory.places["hanging"][payload.key]
    assert b"xx" not in Memory.places["hanging"][payload.key]
    connector.close()


class Counting(Memory):
    """Says which processes open it and what is released."""

    scheme = "counting"

    def open(self, deadline, *, create):
        return {"opened by": os.getpid()}

    def release(self, channel, deadline):
        self.places["released"] = channel

    def names(self, deadline):
        return [f"{self.channel['opened by']:032x}"]


def test_a_forked_child_opens_its_own(in_child):  # C8
    connector = Counting(authority="x")
    parent = f"{os.getpid():032x}"
    assert list(connector.keys()) == [parent]
    assert in_child(lambda: [*connector.keys()] == [f"{os.getpid():032x}"]) == "True"
    assert list(connector.keys()) == [parent]
    connector.close()


def test_what_is_collected_or_closed_is_released_once():  # C34
    Memory.places.pop("released", None)
    connector = Counting(authority="x")
    channel = connector.channel
    del connector
    gc.collect()
    assert Memory.places.pop("released") is channel
    connector = Counting(authority="x")
    connector.close()
    assert Memory.places.pop("released")
    connector.close()
    del connector
    gc.collect()
    assert "released" not in Memory.places


class Slow(Memory):
    """Takes its time to close, and to answer."""

    scheme = "slow"
    keeps_deadlines = False
    go = threading.Event()

    def release(self, channel, deadline):
        self.go.wait(10)
        raise OSError("the connection broke")


def test_a_slow_release_does_not_hold_up_close_nor_a_finaliser():  # C5, C34
    connector, other = Slow(authority="slow"), Slow(authority="slow")
    with timed() as clock, pytest.raises(DeadlineError, match="closing"):
        connector.close(timeout=0.1)
    assert not clock.late(0.1)
    with pytest.raises(ConnectorClosedError):
        connector.exists(encode(1).key)
    connector.close()
    with timed() as clock:
        del other
        gc.collect()
    assert not clock.late(0)
    Slow.go.set()
    with pytest.raises(ChannelUnavailableError, match=r"closing .* broke"):
        Slow(authority="slow").close()


@pytest.mark.parametrize("answer", [7, "text", [b"bytes"]])
def test_what_is_not_bytes_is_refused(memory, monkeypatch, answer):  # C24
    monkeypatch.setattr(Memory, "fetch", lambda *_, **__: answer)
    with pytest.raises(ChannelDataError, match=r"'fetch'.*bytes or None"):
        memory.get(encode(1).key)


@pytest.mark.parametrize("name", [b"0" * 32, 7, None])
def test_a_name_that_is_not_a_string_is_refused(memory, monkeypatch, name):  # C24, C55
    monkeypatch.setattr(Memory, "names", lambda *_, **__: iter([name]))
    for call in (memory.keys, memory.clear):
        with pytest.raises(ChannelDataError, match=r"'names'.*strings"):
            call()


@pytest.mark.usefixtures("installed")
def test_a_place_that_cannot_be_opened_leaves_nothing(tmp_path):  # C11
    (tmp_path / "plain").touch()
    with pytest.raises(ChannelUnavailableError, match="opening"):
        open_connector(f"folder://{tmp_path}/plain/objects")
