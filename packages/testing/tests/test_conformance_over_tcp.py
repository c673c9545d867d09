"""Run the suite on a connector to a server, faults of network and server included."""

import os
import socket
import sys
from typing import ClassVar

import pytest

from psk_testing import ConnectorTests
from psk_testing.conformance.faults import Faults
from psk_testing.servers import ServerProcess, free_port


class Door:
    """The dictionary of the server."""

    def __init__(self, server, space):
        self.entries, self.space = server.entries, space

    def stored(self, name):
        entry = self.entries.get(f"{self.space}/{name}")
        return None if entry is None else entry.payload

    def replace(self, key, data):
        self.entries[f"{self.space}/{key}"].payload = data

    def plant(self, name, data):
        from psk_dictionary.server import Entry

        self.entries[f"{self.space}/{name}"] = Entry(data, None)


@pytest.mark.usefixtures("_plugin_on_path")
class TestDictionary(ConnectorTests):
    # What is tried here is the suite, on a connector that is known to be right.
    counts: ClassVar = {"model_runs": 5, "killed_writers": 3, "process_turns": 20, "damages": 50}

    @pytest.fixture
    def space(self):
        return f"test-{os.urandom(6).hex()}"

    @pytest.fixture
    def server(self, dictionary_server):
        return dictionary_server.address

    @pytest.fixture
    def uri(self, server, space):
        return self.uri_through(*server, space)

    def uri_through(self, host, port, space="faults"):
        return f"dict://{host}:{port}/{space}"

    @pytest.fixture
    def unreachable_uri(self, closed_port):
        return self.uri_through("127.0.0.1", closed_port)

    @pytest.fixture
    def raw(self, dictionary_server, space):
        return Door(dictionary_server, space)

    @pytest.fixture
    def small_uri(self, _plugin_on_path):
        from psk_dictionary.server import DictionaryServer

        with DictionaryServer(max_bytes=3_000_000) as server:
            yield self.uri_through(*server.address)


@pytest.mark.usefixtures("_plugin_on_path")
class TestDictionaryInAProcess(Faults):
    """A server that the suite can freeze and kill, as for transports that no proxy can stand between."""

    @pytest.fixture
    def proxy(self, _plugin_on_path):
        self.port = free_port()
        path = os.pathsep.join(filter(None, sys.path))
        command = [sys.executable, "-P", "-m", "psk_dictionary.server", f"{self.port}"]
        with ServerProcess(command, self.is_ready, environment={"PYTHONPATH": path}) as server:
            yield server

    def is_ready(self):
        socket.create_connection(("127.0.0.1", self.port)).close()
        return True

    @pytest.fixture
    def remote_uri(self, proxy):
        return f"dict://127.0.0.1:{self.port}/faults"
