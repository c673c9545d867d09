"""Suites over the planted bugs, run by test_planted_bugs.py in another process: every class here must fail."""

import gc
import os

import planted_duties
import planted_files
import planted_powers
import planted_rebuilding
import planted_remote
import planted_second_edition
import planted_simple
import pytest
from psk_dictionary.server import DictionaryServer

from faults.side_doors import side_door
from psk.connectors import parse_uri
from psk_testing import ConnectorTests, concurrency, residue, spawned, timing
from psk_testing.conformance import faults, watching

pytest_plugins = ["faults.ports", "faults.tmpfs"]


class Planted(ConnectorTests):
    crosses_processes = False

    @pytest.fixture
    def opener(self):
        return lambda uri: self.broken.from_config(parse_uri(uri))

    @pytest.fixture
    def raw(self, connector):
        return side_door(connector)

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch):
        monkeypatch.setattr(concurrency, "PATIENCE_SECONDS", 1.0)
        monkeypatch.setattr(spawned, "PATIENCE_SECONDS", 5.0)
        monkeypatch.setattr(residue, "SETTLE_SECONDS", 0.2)
        monkeypatch.setattr(timing, "PACES", (1.0,))
        monkeypatch.setattr(watching, "PATIENCE_SECONDS", 1.0)
        monkeypatch.setattr(faults, "WORKS_AGAIN_WITHIN", 2.0)


class Local(Planted):
    @pytest.fixture
    def uri(self):
        return f"local://test-{os.urandom(6).hex()}"


class Files(Planted):
    crosses_processes = True

    @pytest.fixture
    def uri(self, tmp_path):
        return f"{self.broken.scheme}://{tmp_path}/objects"

    @pytest.fixture
    def small_uri(self, small_tmpfs):
        yield f"file://{small_tmpfs}/objects"
        gc.collect()


class Remote(Planted):
    @pytest.fixture
    def raw(self):
        return None

    @pytest.fixture
    def server(self):
        with DictionaryServer() as server:
            yield server.address

    @pytest.fixture
    def uri(self, server):
        return self.uri_through(*server)

    def uri_through(self, host, port):
        return f"dict://{host}:{port}/planted"

    @pytest.fixture
    def unreachable_uri(self, closed_port):
        return self.uri_through("127.0.0.1", closed_port)


class Limited(Local):
    @pytest.fixture
    def small_uri(self, uri):
        return uri


class Mail(Planted):
    @pytest.fixture
    def raw(self):
        return None

    @pytest.fixture
    def uri(self):
        return f"mail://test-{os.urandom(6).hex()}"


class Simple(Mail):
    @pytest.fixture
    def uri(self):
        return f"simple://test-{os.urandom(6).hex()}"


class Placed(Mail):
    @pytest.fixture
    def uri(self):
        return "placed://test/east"

    @pytest.fixture
    def other_place_uri(self):
        return "placed://test/west"


def suite_of(base, broken):
    return type(f"Test{base.__name__}{broken.__name__}", (base,), {"broken": broken})


MODULES = {
    Local: (planted_duties, planted_powers, planted_rebuilding),
    Files: (planted_files,),
    Remote: (planted_remote,),
}
SUITES = {
    suite_of(base, broken): caught
    for base, modules in MODULES.items()
    for module in modules
    for broken, caught in module.CAUGHT_BY.items()
}
SECOND = {
    Limited: planted_second_edition.LOCAL,
    Mail: planted_second_edition.MAIL,
    Placed: planted_second_edition.PLACED,
    Simple: planted_simple.CAUGHT_BY,
}
SUITES |= {suite_of(base, broken): caught for base, bugs in SECOND.items() for broken, caught in bugs.items()}
TestHangingInNativeCode = suite_of(Local, planted_duties.HangingInNativeCode)
globals().update({suite.__name__: suite for suite in SUITES})
