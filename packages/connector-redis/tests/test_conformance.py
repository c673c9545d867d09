"""The Redis connector keeps docs/contract.md on each kind of server, and by each way to it."""

import contextlib
import re
from pathlib import Path

import pytest
import redis
from servers import RedisServer

from faults.scale import COLUMN
from psk.connectors import format_uri, parse_uri
from psk_testing import ConnectorTests
from psk_testing.conformance.processes import Processes

_is_key = re.compile(r"[0-9a-f]{32}").fullmatch
PASSWORD = "correct-horse-battery"

README = (Path(__file__).parents[1] / "README.md").read_text()
RULES = re.search(r"^user lab .*$", README, re.MULTILINE)[0]


class SideDoor:
    """Reads and changes a channel by redis-py, behind the connector's back."""

    def __init__(self, client, prefix):
        self.client = client
        self.prefix = prefix

    def _name(self, name):
        return f"{self.prefix}:{{{name}}}" if _is_key(name) else f"{self.prefix}:{name}"

    def stored(self, name):
        return self.client.get(self._name(name))

    def replace(self, key, data):
        assert self.client.set(self._name(key), data, xx=True, keepttl=True)

    def plant(self, name, data):
        assert self.client.set(self._name(name), data, nx=True)


def joined(uri, options):
    """Add options to a URI."""
    return f"{uri}{'&' if '?' in uri else '?'}{options}"


class OnRedis(ConnectorTests):
    """What all topologies share."""

    area = "redis_conformance"  # of tests/scale.toml: there are many topologies

    @pytest.fixture
    def there(self):
        raise NotImplementedError

    @pytest.fixture
    def uri(self, there, prefix):
        return joined(there.uri, f"prefix={prefix}")

    @pytest.fixture
    def raw(self, there, prefix):
        with contextlib.closing(there.client()) as client:
            yield SideDoor(client, prefix)

    @pytest.fixture
    def count(self, scale):
        return lambda name: scale(f"{self.area}.{name}")


class OverTcp(OnRedis):
    """With a network between client and server that does its worst."""

    @pytest.fixture
    def unreachable_uri(self, uri, closed_port):
        return format_uri({**parse_uri(uri), "authority": f"127.0.0.1:{closed_port}"})

    @pytest.fixture
    def server(self, there, uri):
        self._uri = uri
        return there.host, there.port

    def uri_through(self, host, port):
        config = parse_uri(self._uri)
        return format_uri({**config, "authority": f"{host}:{port}"})


class AnotherWay(OnRedis):
    """By a way that other processes go as the first one does: a full run tries them too."""

    @pytest.fixture(autouse=True)
    def _spare_processes(self, request):
        if COLUMN == "test" and request.node.originalname in vars(Processes):
            pytest.skip("the processes of this way are tried by `make soak`")


class TestRedis(OverTcp):
    area = "conformance"

    @pytest.fixture
    def there(self, redis_server):
        return redis_server

    @pytest.fixture
    def small_uri(self, small_server, prefix):
        return f"{small_server.uri}?prefix={prefix}"


class TestValkey(OnRedis):
    @pytest.fixture
    def there(self, valkey_server):
        return valkey_server


class TestUnixSocket(AnotherWay):
    @pytest.fixture
    def there(self, redis_server):
        return redis_server

    @pytest.fixture
    def uri(self, there, prefix):
        return f"{there.socket_uri}?prefix={prefix}&db=1"

    @pytest.fixture
    def unreachable_uri(self, tmp_path):
        return f"redis+unix://{tmp_path}/socket"

    @pytest.fixture
    def raw(self, there, prefix):
        with contextlib.closing(there.client(db=1)) as client:
            yield SideDoor(client, prefix)


class TestTls(AnotherWay, OverTcp):
    @pytest.fixture
    def there(self, tls_server):
        return tls_server


class TestCluster(OnRedis):
    @pytest.fixture
    def there(self, cluster):
        return cluster

    @pytest.fixture
    def raw(self, there, prefix):
        first = there.servers[0]
        with contextlib.closing(redis.RedisCluster(host=first.host, port=first.port, protocol=2)) as client:
            yield SideDoor(client, prefix)


class TestSentinels(AnotherWay):
    @pytest.fixture
    def there(self, sentinels):
        return sentinels

    @pytest.fixture
    def raw(self, there, prefix):
        with contextlib.closing(there.primary.client()) as client:
            yield SideDoor(client, prefix)


class TestUserWithRules(AnotherWay):
    """With no more rights than the README asks for."""

    secrets = (PASSWORD,)

    @pytest.fixture
    def there(self, guarded_server):
        return guarded_server

    @pytest.fixture(autouse=True)
    def _password(self, monkeypatch):
        monkeypatch.setenv("PSK_REDIS_PASSWORD_GUARDED", PASSWORD)

    @pytest.fixture
    def uri(self, there, prefix):
        return joined(there.uri.replace("://", "://lab@"), f"prefix={prefix}&credentials=guarded")


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory):
    """A server that lets nobody in but a user with the rights that the README lists."""
    rules = RULES.replace("PASSWORD", PASSWORD).replace("psk:", "psk")  # each test has a prefix of its own
    with RedisServer(tmp_path_factory.mktemp("guarded"), password="of-the-administrator", lines=[rules]) as server:
        yield server


@pytest.fixture(scope="session")
def small_server(tmp_path_factory):
    """A server with room for a few megabytes."""
    with RedisServer(tmp_path_factory.mktemp("small"), maxmemory="4mb") as server:
        yield server
