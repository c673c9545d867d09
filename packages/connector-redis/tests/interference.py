"""Fixtures that interfere with calls: channels, lost answers, small parts, a locked server, the log."""

from __future__ import annotations

import logging

import pytest
from leakage import SECRET
from servers import RedisServer
from usage import joined, opened

from psk_connector_redis import writing
from psk_connector_redis.connection import Connection

__all__ = [
    "address",
    "client",
    "connector",
    "exchanges",
    "locked",
    "log",
    "look",
    "losing_answers",
    "other",
    "plain",
    "small_parts",
]


@pytest.fixture(params=["one server", "cluster"])
def address(request, redis_server, cluster, prefix):
    """The URI of an empty channel."""
    return joined({"one server": redis_server.uri, "cluster": cluster.uri}[request.param], f"prefix={prefix}")


@pytest.fixture
def connector(address):
    """A connector to an empty channel."""
    new = opened(address)
    yield new
    new.clear()
    new.close()


@pytest.fixture
def other(address):
    """Another connector to the same channel."""
    new = opened(address)
    yield new
    new.close()


@pytest.fixture
def client(redis_server):
    """A redis-py client of the one server."""
    new = redis_server.client()
    yield new
    new.close()


@pytest.fixture
def plain(uri):
    """A connector to an empty channel on the one server."""
    new = opened(uri)
    yield new
    new.clear()
    new.close()


@pytest.fixture
def look(plain, client):
    """A connector to an empty channel on the one server, and a client beside it."""
    return plain, client


@pytest.fixture
def exchanges(monkeypatch):
    """Count the times that answers are waited for."""
    counted = []
    receive = Connection._receive

    def count(self, *arguments):
        counted.append(1)
        return receive(self, *arguments)

    monkeypatch.setattr(Connection, "_receive", count)
    return counted


@pytest.fixture
def small_parts(monkeypatch):
    """Objects from 1000 bytes on are stored in parts."""
    monkeypatch.setattr(writing, "LONGEST_STRING", 1000)
    monkeypatch.setattr(writing, "PART_BYTES", 400)
    monkeypatch.setattr(writing, "IN_SCRIPT_BYTES", 500)


@pytest.fixture
def losing_answers(monkeypatch):
    """Have an exchange done by the server and its answer lost, for each item that is appended to this list."""
    pending = []

    def lose(method):
        original = getattr(Connection, method)

        def lost(self, *arguments, **options):
            answer = original(self, *arguments, **options)
            if pending:
                pending.pop()
                raise ConnectionResetError(104, "Connection reset by peer")
            return answer

        monkeypatch.setattr(Connection, method, lost)

    lose("replies")
    lose("reply_into")
    lose("string_into")
    return pending


def names_in(client, prefix):
    """Give every name that stands under a prefix."""
    return sorted(client.scan_iter(match=f"{prefix}:*"))


@pytest.fixture(scope="session")
def locked(tmp_path_factory):
    """A server with a password, and with a user who may do nothing."""
    lines = [f"user poor on >{SECRET} ~* &* -@all +ping", f"user lab on >{SECRET} ~* &* +@all"]
    with RedisServer(tmp_path_factory.mktemp("locked"), password=SECRET, unixsocket=True, lines=lines) as server:
        yield server


@pytest.fixture
def log(caplog):
    """Everything that is logged, at every level."""
    caplog.set_level(logging.DEBUG)
    return caplog
