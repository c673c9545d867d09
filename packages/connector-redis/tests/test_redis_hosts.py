"""A process connects only to the hosts that its environment names, before anything else is sent."""

import socket

import pytest
from servers import RedisServer
from usage import joined, opened

import psk
from psk.connectors.toolkit import Address
from psk.errors import ChannelUnavailableError, ProxyResolveError
from psk.store import restore_proxy
from psk.wire import Reference, encode
from psk_connector_redis.credentials import Credentials
from psk_connector_redis.settings import Settings

SECRET = "hunter2-tiger"


def is_allowed(monkeypatch, hosts, address):
    monkeypatch.setenv("PSK_REDIS_HOSTS", hosts)
    try:
        Credentials(Settings(), user=None).check_host(address)
    except ChannelUnavailableError:
        return False
    return True


@pytest.mark.parametrize(
    ("hosts", "address", "expected"),
    [
        ("broker.lab", Address("broker.lab", 6379), True),
        ("a, Broker.LAB ,b", Address("broker.lab", 1), True),
        ("broker.lab:6379", Address("broker.lab", 6379), True),
        ("broker.lab:6379", Address("broker.lab", 6380), False),
        ("broker.lab:6379", Address("broker.lab", 63790), False),
        ("broker.lab", Address("broker.lab.elsewhere", 6379), False),
        ("broker.lab", Address("brokerxlab", 6379), False),
        ("*.lab", Address("one.lab", 1), True),
        ("*.lab:6379", Address("one.lab", 1), False),
        ("*.lab", Address("lab.elsewhere", 1), False),
        ("10.0.0.*:6379", Address("10.0.0.7", 6379), True),
        ("::1", Address("::1", 7000), True),
        ("[::1]:7000", Address("::1", 7000), True),
        ("[::1]:7000", Address("::1", 7001), False),
        ("*:6379", Address("fe80::6379", 1), False),
        ("*", Address("anybody", 1), True),
        ("*", Address("/tmp/s.sock", 0), False),
        ("/run/*", Address("/run/s.sock", 0), False),
        ("/run/s.sock", Address("/run/s.sock", 0), True),
        ("", Address("broker.lab", 6379), False),
        (",", Address("broker.lab", 6379), False),
    ],
)
def test_a_host_is_allowed_that_the_list_means(monkeypatch, hosts, address, expected):
    assert is_allowed(monkeypatch, hosts, address) is expected


@pytest.mark.parametrize("label", ["", "_LAB"])
@pytest.mark.parametrize("more", ["", "cluster=true", "sentinel=objects"])
def test_nothing_is_sent_to_another_host(monkeypatch, label, more):
    for name in ("PASSWORD", "SENTINEL_PASSWORD"):
        monkeypatch.setenv(f"PSK_REDIS_{name}{label}", SECRET)
    monkeypatch.setenv(f"PSK_REDIS_HOSTS{label}", "broker.lab")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        options = "&".join(filter(None, [more, "credentials=lab" if label else ""]))
        uri = f"redis://{place}?{options}" if options else f"redis://{place}"
        with pytest.raises(ProxyResolveError) as caught:
            psk.resolve(restore_proxy(uri, Reference(uri, "0" * 32).to_bytes()))
        error = caught.value.cause
        assert isinstance(error, ChannelUnavailableError)
        assert place in str(error)
        assert f"PSK_REDIS_HOSTS{label} " in str(error)
        assert SECRET not in f"{caught.value} {error!r}"
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_host_of_the_list_is_connected_to(monkeypatch, tmp_path):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", SECRET)
    with RedisServer(tmp_path, password=SECRET) as server:
        monkeypatch.setenv("PSK_REDIS_HOSTS", f"broker.lab,127.0.0.1:{server.port}")
        connector = opened(server.uri)
        assert connector.exists(connector.put(encode(1)))
        connector.close()
        monkeypatch.setenv("PSK_REDIS_PASSWORD_LAB", SECRET)
        monkeypatch.setenv("PSK_REDIS_HOSTS", "broker.lab")  # not for the password of this label
        opened(joined(server.uri, "credentials=lab")).close()


def test_a_node_that_a_cluster_names_is_looked_up_too(monkeypatch, cluster):
    seed = cluster.uri.partition("://")[2].partition("?")[0].partition(",")[0]
    monkeypatch.setenv("PSK_REDIS_HOSTS", seed)
    with pytest.raises(ChannelUnavailableError, match="PSK_REDIS_HOSTS does not allow"):
        opened(f"redis://{seed}?cluster=true").exists_batch([f"{number:032x}" for number in range(100)])
