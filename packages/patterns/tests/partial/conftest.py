"""Which channels do the tests of scattering use, each empty before and after a test?"""

import os

import pytest
from servers import MissingServerError, RedisServer

import psk


@pytest.fixture(scope="session", autouse=True)  # before any test looks for what it leaves behind
def server(tmp_path_factory):
    """A Redis server for all tests; None where there is none to be had."""
    try:
        with RedisServer(tmp_path_factory.mktemp("redis")) as started:
            yield started
    except MissingServerError:
        yield None


def uri_on(server):
    """Name a new, empty channel on the server."""
    if server is None and os.environ.get("CI"):
        pytest.fail("no redis-server here; run `make servers`")
    if server is None:
        pytest.skip("no redis-server here; run `make servers`")
    return f"{server.uri}?prefix={os.urandom(6).hex()}"


@pytest.fixture(params=["local", "file", "shm", "redis"])
def store(request, tmp_path, server):
    """An open store on each channel in turn, which counts what it does."""
    uris = {
        "file": lambda: f"file://{tmp_path}/objects",
        "redis": lambda: uri_on(server),
    }
    uri = uris.get(request.param, lambda: f"{request.param}://test-{os.urandom(6).hex()}")()
    with psk.Store("scattered", uri, metrics=True, register=True) as opened:
        yield opened
        psk.store.close_opened_stores()
        left = opened.list()
        opened.clear()
    assert left == []
