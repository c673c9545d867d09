"""Servers that run for the whole session, started when they are first needed."""

import os

import pytest
from certificates import Certificates
from clusters import Cluster, Sentinels
from interference import *  # noqa: F403  fixtures, all of which it names
from large_objects import parts_of_10_kb  # noqa: F401
from servers import MissingServerError, RedisServer, program_of

from psk.connectors import parse_uri
from psk_connector_redis.channel import Server
from psk_connector_redis.settings import Settings


def need(kind):
    """Skip where a server is not installed; where CI says so, that is a failure."""
    try:
        program_of(kind)
    except MissingServerError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory):
    """A plain redis-server, on a port and a Unix socket; tests use a prefix of their own."""
    need("redis")
    with RedisServer(tmp_path_factory.mktemp("redis"), unixsocket=True) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory):
    """A plain valkey-server."""
    need("valkey")
    with RedisServer(tmp_path_factory.mktemp("valkey"), kind="valkey") as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, and certificates of a server and of a client."""
    if not Certificates.are_possible():
        if os.environ.get("CI"):
            pytest.fail("no openssl here; run `make servers`")
        pytest.skip("no openssl here; run `make servers`")
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory, certificates):
    """A redis-server that speaks TLS only."""
    need("redis")
    with RedisServer(tmp_path_factory.mktemp("tls"), tls=certificates) as server:
        yield server


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A cluster of three primaries."""
    need("redis")
    with Cluster(tmp_path_factory.mktemp("cluster")) as group:
        yield group


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory):
    """A primary and a replica that three sentinels watch; nobody is to kill them."""
    need("redis")
    with Sentinels(tmp_path_factory.mktemp("sentinels")) as group:
        yield group


@pytest.fixture
def prefix():
    """A prefix that no other test uses."""
    return f"psk-{os.urandom(6).hex()}"


@pytest.fixture
def uri(redis_server, prefix):
    """The URI of a new, empty channel on the plain server."""
    return f"{redis_server.uri}?prefix={prefix}"


@pytest.fixture
def start(tmp_path):
    """Start servers that end with the test: `start(maxmemory="2mb")`."""
    started = []

    def start(**options):
        started.append(RedisServer(tmp_path / f"server{len(started)}", **options).start())
        return started[-1]

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def new_server():
    """Open the servers of a URI: `new_server(uri, password=...)`; closed at the end."""
    opened = []

    def open_server(uri, **options):
        opened.append(Server(Settings.read(parse_uri(uri)), **options))
        return opened[-1]

    yield open_server
    for server in opened:
        server.close()
