"""Importing the package costs little, and arguments mean what a URI means."""

import contextlib
import pickle
import subprocess
import sys

import pytest

import psk_connector_redis
from psk.connectors import format_uri, open_connector
from psk.errors import ConnectorConfigError
from psk_connector_redis.connector import RedisConnector


def test_the_package_offers_the_connector_and_costs_nothing_until_it_is_asked_for():
    code = (
        "import sys, psk_connector_redis.plugin as plugin; plugin.psk_connectors();"
        "assert not {'hiredis', 'socket', 'ssl'} & set(sys.modules), 'too much is loaded';"
        "from psk_connector_redis import RedisConnector; assert 'hiredis' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert psk_connector_redis.RedisConnector is RedisConnector
    with pytest.raises(AttributeError, match="nothing"):
        _ = psk_connector_redis.nothing


def test_arguments_mean_what_the_uri_means(redis_server, prefix):
    port = redis_server.port
    for given, uri in (
        (RedisConnector("127.0.0.1", port, prefix=prefix), f"redis://127.0.0.1:{port}?prefix={prefix}"),
        (RedisConnector(f"127.0.0.1:{port}", 1, prefix=prefix), f"redis://127.0.0.1:{port}?prefix={prefix}"),
        (RedisConnector(f"127.0.0.1:{port}", db=3, prefix=prefix), f"redis://127.0.0.1:{port}/3?prefix={prefix}"),
        (
            RedisConnector("127.0.0.1", port, scheme="valkey", timeout=7, retries=0, prefix=prefix),
            f"valkey://127.0.0.1:{port}?prefix={prefix}&retries=0&timeout=7.0",
        ),
        (RedisConnector(redis_server.socket_path, prefix=prefix), f"{redis_server.socket_uri}?prefix={prefix}"),
    ):
        assert format_uri(given.config()) == uri
        with contextlib.closing(open_connector(uri)) as opened:
            assert opened.config() == given.config()
            assert pickle.loads(pickle.dumps(opened)).config() == given.config()
            assert prefix in repr(opened)
        given.close()


@pytest.mark.parametrize(
    "options",
    [{"port": 70_000}, {"db": -1}, {"prefix": "{x}"}, {"connections": 0}, {"ca": "/x.pem"}, {"durability": "eternal"}],
)
def test_a_senseless_argument_is_refused_before_anybody_is_asked(options):
    with pytest.raises(ConnectorConfigError):
        RedisConnector("127.0.0.1", **options)


def test_the_port_is_for_each_node_that_names_none(cluster, prefix):
    hosts, ports = zip(*(place.split(":") for place in cluster.uri[8:].partition("?")[0].split(",")), strict=True)
    connector = RedisConnector(f"{hosts[0]},localhost", int(ports[0]), cluster=True, prefix=prefix)
    assert connector.config()["authority"] == f"{hosts[0]}:{ports[0]},localhost:{ports[0]}"
    connector.close()
