"""Run the conformance suite of docs/contract.md on each built-in channel."""

import gc

import pytest

from faults.side_doors import side_door
from psk.connectors import open_connector
from psk.errors import ConnectorConfigError, DurabilityError
from psk_testing import ConnectorTests

pytest_plugins = ["faults.tmpfs"]


class BuiltIn(ConnectorTests):
    unreachable = None

    @pytest.fixture
    def uri(self, new_address, tmp_path):
        return new_address(self.channel, tmp_path)

    @pytest.fixture
    def raw(self, connector):
        return side_door(connector)

    @pytest.fixture
    def count(self, scale):
        return lambda name: scale(f"conformance.{name}")

    def test_an_unknown_option_of_a_uri_lists_the_known(self, uri):  # C36
        with pytest.raises(ConnectorConfigError, match=r"no option 'colour'.*found: authority, "):
            open_connector(f"{uri}{'&' if '?' in uri else '?'}colour=blue")

    @pytest.fixture
    def unreachable_uri(self, tmp_path):
        (tmp_path / "plain").touch()
        return self.unreachable and self.unreachable.format(f"{tmp_path}/plain/objects")

    def test_nothing_here_is_replicated(self, connector):  # C30
        assert "replicated" not in connector.durabilities


class TestLocal(BuiltIn):
    channel = "local"
    crosses_processes = False


class TestFile(BuiltIn):
    channel = "file"
    unreachable = "file://{}"

    @pytest.fixture
    def small_uri(self, small_tmpfs):
        yield f"file://{small_tmpfs}/objects"
        gc.collect()  # a kept error keeps the frames of its traceback, and they keep the directory

    def test_a_durability_that_nobody_keeps_makes_no_directory(self, tmp_path):  # C11, C32
        with pytest.raises(DurabilityError, match="replicated"):
            open_connector(f"file://{tmp_path}/x?durability=replicated")
        with pytest.raises(ConnectorConfigError, match="not a durability"):
            open_connector(f"file://{tmp_path}/x?durability=eternal")
        assert list(tmp_path.iterdir()) == []


class TestShm(BuiltIn):
    channel = "shm"
    unreachable = "shm://somebody?root={}"

    @pytest.fixture
    def small_uri(self, uri):
        return f"{uri}-small?max_bytes=3000000"


class TestMulti(BuiltIn):
    channel = "multi"
    crosses_processes = False
    unreachable = "multi://memory,disk?max1=20000&priority1=1&to1=shm://somebody%3Froot={0}&to2=file://{0}"


class TestMultiOfLocal(BuiltIn):
    channel = "multi of local"
    crosses_processes = False
