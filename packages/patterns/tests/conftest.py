"""Fixtures of the pattern tests: every channel, and one with few capabilities."""

import os
import sys
from pathlib import Path

import pytest
from servers import MissingServerError, RedisServer

import psk

# For `plain_channel`, which is imported by its name also where a `plain://` URI is opened.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def patterns_server(tmp_path_factory):
    """A Redis server, or None where none is installed; tests use a prefix of their own."""
    try:
        server = RedisServer(tmp_path_factory.mktemp("patterns-redis"))
    except MissingServerError:
        if os.environ.get("CI"):
            raise
        yield None
        return
    with server:
        yield server


@pytest.fixture
def uri_of(patterns_server, tmp_path):
    """Give the URI of a new, empty channel of a kind: local, file, shm or redis."""

    def uri_of(kind):
        name = f"test-{os.urandom(6).hex()}"
        if kind == "file":
            return f"file://{tmp_path}/{name}"
        if kind == "redis":
            if patterns_server is None:
                pytest.skip("no redis-server here; run `make servers`")
            return f"{patterns_server.uri}?prefix={name}"
        return f"{kind}://{name}"

    return uri_of


@pytest.fixture
def open_channel(uri_of):
    """Open a store on a new channel of a kind; it is registered, and emptied and closed at the end."""
    opened = []

    def open_channel(kind, **options):
        name = f"{kind}-{len(opened)}"
        opened.append(psk.Store(name, uri_of(kind), **{"register": True, **options}))
        return opened[-1]

    yield open_channel
    psk.store.close_opened_stores()
    for store in opened:
        store.close()
        with psk.Store.from_config(store.config(), register=False) as again:
            again.clear()


@pytest.fixture
def plain_store(tmp_path):
    """Open stores with no powers but those named: `plain_store("reserve", "wait")`, over files; closed at the end.

    `channel="local://name"` keeps the objects elsewhere, other options are those of `Store`. Registered, as others are.
    """
    from plain_channel import PlainConnector, known

    opened = []

    def open_store(*powers, channel=None, **options):
        connector = PlainConnector(channel or f"file://{tmp_path}/plain-{len(opened)}", *powers)
        opened.append(psk.Store(f"plain-{len(opened)}", connector, **{"register": True, **options}))
        return opened[-1]

    with known():
        yield open_store
        psk.store.close_opened_stores()
        for store in opened:
            store.close()
