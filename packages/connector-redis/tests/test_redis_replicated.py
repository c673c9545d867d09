"""Every way to put waits until a replica has the object, where that was asked for."""

import contextlib
import os
import time

import pytest
from servers import RedisServer

from psk.connectors import open_connector
from psk.errors import DeadlineError
from psk.wire import encode
from psk_connector_redis import writing


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A primary and its replica, both of which force each write to the disk."""
    options = {"appendonly": True, "appendfsync": "always"}
    with RedisServer(tmp_path_factory.mktemp("primary"), **options) as primary:
        following = [f"replicaof 127.0.0.1 {primary.port}"]
        with RedisServer(tmp_path_factory.mktemp("replica"), lines=following, **options) as replica:
            end = time.monotonic() + 20
            while b"state=online" not in primary.ask("INFO", "replication"):
                assert time.monotonic() < end
                time.sleep(0.02)
            yield primary, replica


@pytest.fixture(params=["short", "in parts", "batch"])
def put(request, monkeypatch):
    """One of the ways to put an object: `put(connector, payload, timeout)`."""
    if request.param == "in parts":
        monkeypatch.setattr(writing, "LONGEST_STRING", 1000)
        monkeypatch.setattr(writing, "PART_BYTES", 700)
    if request.param == "batch":
        return lambda connector, payload, timeout: connector.put_batch([payload] * 2, timeout=timeout)
    return lambda connector, payload, timeout: connector.put(payload, timeout=timeout)


def test_a_put_returns_when_a_replica_has_it(pair, prefix, put):
    primary, replica = pair
    with contextlib.closing(open_connector(f"{primary.uri}?prefix={prefix}&durability=replicated")) as connector:
        payload = encode(bytearray(os.urandom(2000)))
        put(connector, payload, 10)
        with contextlib.closing(replica.client()) as behind:
            held = {name: behind.get(name) for name in behind.scan_iter(match=f"{prefix}:*")}
        assert sum(map(len, held.values())) >= payload.nbytes
        replica.stop()
        try:
            # Also for an object that is there already: it was promised for the one that puts it again, too.
            for again in (encode(bytearray(os.urandom(2000))), payload):
                with contextlib.closing(primary.client()) as beside:
                    beside.set("psk-beside", "not yet at the replica")
                began = time.monotonic()
                with pytest.raises(DeadlineError):
                    put(connector, again, 0.3)
                assert time.monotonic() - began < 0.8
        finally:
            replica.cont()
        put(connector, payload, 10)
        connector.clear()
