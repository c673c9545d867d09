"""Is the socket of a redis-py connection where we look for it, and is there another way if it is not?"""

import inspect
import socket

import pytest
import redis
from redis.connection import Connection, ConnectionInterface

from psk_connector_redis import connection_socket
from psk_connector_redis.connection_socket import TESTED, RedisConnection, socket_of
from psk_connector_redis.link import link_over
from psk_connector_redis.public_link import PublicLink
from psk_connector_redis.socket_link import SocketLink, TlsLink


@pytest.fixture
def connection(redis_server):
    opened = Connection(host=redis_server.host, port=redis_server.port, protocol=2)
    opened.connect()
    yield opened
    opened.disconnect()


def test_the_socket_is_where_we_look(connection):
    assert int(redis.__version__.partition(".")[0]) in TESTED
    assert isinstance(connection._sock, socket.socket)
    assert socket_of(connection) is connection._sock
    assert type(link_over(connection)) is SocketLink


def test_nothing_that_arrived_is_left_in_the_parser(connection):
    # Or we would wait on the socket for what redis-py has already.
    connection.send_command("PING")
    assert connection.read_response() == b"PONG"
    assert not connection._parser._reader.has_data()


def test_a_tls_socket_is_found_too(tls_server):
    opened = redis.connection.SSLConnection(
        host=tls_server.host, port=tls_server.port, protocol=2, ssl_ca_certs=tls_server.tls.ca
    )
    opened.connect()
    try:
        assert type(link_over(opened)) is TlsLink
    finally:
        opened.disconnect()


def test_a_connection_that_is_closed_has_no_socket(connection):
    connection.disconnect()
    assert socket_of(connection) is None


@pytest.mark.parametrize("version", ["7.4.0", "9.0.0b1", "10.1"])
def test_with_any_other_version_only_public_calls_are_used(connection, version, monkeypatch):
    monkeypatch.setattr(connection_socket.redis, "__version__", version)
    assert type(link_over(connection)) is PublicLink


def test_a_socket_under_another_name_means_public_calls(connection, monkeypatch):
    monkeypatch.setattr(connection, "_sock", None)
    assert type(link_over(connection)) is PublicLink
    monkeypatch.undo()


def test_the_public_calls_are_there():
    names = [name for name in vars(RedisConnection) if not name.startswith("_")]
    assert len(names) == 5
    for name in names:
        ours = inspect.signature(getattr(RedisConnection, name)).parameters
        theirs = inspect.signature(getattr(ConnectionInterface, name)).parameters
        taken = {"args", "kwargs"} & theirs.keys()
        assert taken or ours.keys() <= theirs.keys(), name
