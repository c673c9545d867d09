"""A forged proxy cannot make a process connect, log in or wait where its rules do not allow it."""

import os
import socket
import time

import pytest

import psk
from psk.errors import ChannelUnavailableError, ProxyResolveError, UnsignedError, UntrustedChannelError
from psk.store import restore_proxy
from psk.wire import Reference
from psk_connector_redis.connector import RedisConnector


@pytest.fixture(autouse=True)
def _policy():
    yield
    psk.set_policy()


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        ({"trusted": ["redis://broker.lab/*", "redis://broker.lab"]}, UntrustedChannelError),
        ({"signing": "required"}, UnsignedError),
    ],
)
@pytest.mark.parametrize(
    "forged",
    [
        "redis://127.0.0.1:{port}",
        "REDIS://127.0.0.1:{port}",
        "keydb://user@127.0.0.1:{port}/0?credentials=lab",
        "rediss://127.0.0.1:{port}?verify_host=false",
        "redis://broker.lab,127.0.0.1:{port}/?cluster=true",
        "redis://broker.lab.elsewhere,127.0.0.1:{port}/?sentinel=x",
        "redis://broker.lab%2F@127.0.0.1:{port}/",
        "multi://a,b?to1=redis:%2F%2Fbroker.lab&to2=redis:%2F%2F127.0.0.1:{port}",
    ],
)
def test_no_server_is_called_that_the_rules_do_not_allow(monkeypatch, policy, error, forged):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "planted")
    monkeypatch.setenv("PSK_REDIS_PASSWORD_LAB", "planted")
    psk.set_policy(**policy)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        uri = forged.format(port=listener.getsockname()[1])
        proxy = restore_proxy(uri, Reference(uri, "0" * 32).to_bytes())
        with pytest.raises(ProxyResolveError) as caught:
            psk.resolve(proxy)
        assert isinstance(caught.value.cause, error)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("options", [{"ca": "{pipe}"}, {"cert": "{pipe}"}, {"ca": "/dev/zero"}, {"ca": "/"}])
def test_a_certificate_that_is_no_file_is_refused_at_once(tmp_path, options):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    given = {name: value.format(pipe=pipe) for name, value in options.items()}
    start = time.monotonic()
    with pytest.raises(ChannelUnavailableError, match="not a regular file"):
        RedisConnector.from_config({"scheme": "rediss", "authority": "127.0.0.1:1", **given})
    assert time.monotonic() - start < 10
