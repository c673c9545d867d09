"""Each call ends within its deadline and half a second, whatever the server or the network does (C5)."""

import time
from contextlib import suppress

import pytest
from clusters import Cluster
from deadlines_kept import prepared_calls, run_at_once
from servers import RedisServer
from usage import eventually, joined, opened

from psk.errors import PskError
from psk.wire import encode
from psk_connector_redis.connection import Connection
from psk_testing.network import FaultProxy
from psk_testing.timing import timed

TIMEOUT = 0.3
PATIENT = 10.0

FAULTS = {
    "black hole": {"black_hole": True},
    "half open": {"half_open": True},
    "slow": {"latency": 2.0},
    "drip": {"drip": 2000},
    "cut at once": {"cut_after": 1},
    "cut in the middle": {"cut_after": 1_000_000},
    "damaged answers, all": {"corrupt_every": 3},
    "damaged answers, some": {"corrupt_every": 17},
    "damaged answers, few": {"corrupt_every": 101},
    "damaged requests": {"corrupt_requests_every": 1001},
}


@pytest.fixture
def proxy(redis_server):
    """A proxy before the plain server."""
    with FaultProxy((redis_server.host, redis_server.port)) as standing:
        yield standing


@pytest.fixture
def behind(proxy, prefix):
    """A connector that reaches the server through the proxy."""
    connector = opened("redis://{}:{}?connections=64&prefix={}".format(*proxy.address, prefix))
    yield connector
    proxy.calm()
    connector.clear(timeout=PATIENT)
    connector.close()


@pytest.fixture
def stoppable(tmp_path_factory, certificates):
    """Start a server or a cluster that the test may freeze: `stoppable(way)` gives its URI and its processes."""
    running = []

    def start(way):
        folder = tmp_path_factory.mktemp("stoppable")
        if way == "cluster":
            running.append(Cluster(folder).start())
            return running[-1].uri, running[-1].servers
        tls = certificates if way == "tls" else None
        running.append(RedisServer(folder, tls=tls, unixsocket=True).start())
        uri = running[-1].socket_uri if way == "socket" else running[-1].uri
        return uri, [running[-1]]

    yield start
    for each in running:
        each.kill()


def works_again(calls):
    """Make every call once more; list what was not answered."""
    # A wait for what does not come takes its time, and a swap of what is not there is refused by right.
    answered = {name: call for name, call in calls.items() if name not in {"wait of nothing", "swap of nothing"}}
    wrong, refused = run_at_once(answered, PATIENT)
    return wrong + [text for text in refused if not text.startswith("swap, large: revision")]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_connected", [True, False])
def test_every_call_ends_on_a_bad_way(behind, proxy, fault, is_connected):
    calls = prepared_calls(behind)
    if is_connected:
        assert works_again(calls) == []
    else:
        proxy.reset()
    for name, value in FAULTS[fault].items():
        setattr(proxy, name, value)
    wrong, _ = run_at_once(calls, TIMEOUT)
    proxy.calm()
    assert wrong == []
    if "damaged" in fault:
        behind.clear(timeout=PATIENT)
        calls = prepared_calls(behind)
    assert works_again(calls) == []


def test_every_call_ends_where_nobody_listens(behind, proxy):
    calls = prepared_calls(behind)
    proxy.refuse()
    wrong, refused = run_at_once(calls, TIMEOUT)
    proxy.accept()
    assert wrong == []
    assert len(refused) >= len(calls) - 1  # reserving asks nobody
    assert works_again(calls) == []


@pytest.mark.parametrize("way", ["tcp", "socket", "tls", "cluster"])
def test_every_call_ends_while_the_server_is_frozen(stoppable, way, scale):
    uri, servers = stoppable(way)
    connector = opened(joined(uri, "connections=64"))
    calls = prepared_calls(connector)
    for turn in range(scale("redis.freezes")):
        if turn % 2:
            assert works_again(calls) == []
        for server in servers:
            server.stop()
        wrong, refused = run_at_once(calls, TIMEOUT)
        for server in servers:
            server.cont()
        assert wrong == []
        assert refused
        assert works_again(calls) == []
    connector.close()


def test_every_call_ends_while_one_node_of_a_cluster_is_frozen(stoppable):
    uri, servers = stoppable("cluster")
    connector = opened(joined(uri, "connections=64"))
    calls = prepared_calls(connector)
    servers[-1].stop()
    wrong, _ = run_at_once(calls, TIMEOUT)
    servers[-1].cont()
    assert wrong == []
    # The others had given it up, and must agree that it is back.
    assert eventually(lambda: all(b"fail" not in server.ask("CLUSTER", "NODES") for server in servers))
    assert works_again(calls) == []
    connector.close()


@pytest.mark.parametrize("fault", [*FAULTS, "frozen", "gone"])
def test_opening_ends_too(stoppable, fault):
    _, [server] = stoppable("tcp")
    with FaultProxy((server.host, server.port)) as proxy:
        if fault == "frozen":
            server.stop()
        elif fault == "gone":
            proxy.refuse()
        else:
            for name, value in FAULTS[fault].items():
                setattr(proxy, name, value)
        with timed() as clock, suppress(PskError):
            opened("redis://{}:{}?connect_timeout=0.3&retries=1".format(*proxy.address)).close()
        assert not clock.late(0.3)
        if fault == "frozen":
            server.cont()


@pytest.mark.parametrize("bug", ["deadline forgotten", "error not translated"])
def test_the_check_sees_what_it_looks_for(behind, proxy, monkeypatch, bug):
    calls = {name: call for name, call in prepared_calls(behind).items() if name in {"get, small", "get, large"}}
    proxy.half_open = True
    if bug == "deadline forgotten":

        def too_long(deadline):
            return max(0.01, deadline - time.monotonic() + 1)

        monkeypatch.setattr("psk.connectors.toolkit.transfer.seconds_left", too_long)
        await_bytes = Connection._await_bytes
        monkeypatch.setattr(Connection, "_await_bytes", lambda self, deadline: await_bytes(self, deadline + 1))
        wrong, _ = run_at_once(calls, TIMEOUT)
        assert any("took" in text for text in wrong)
    else:
        monkeypatch.setattr("psk_connector_redis.channel.OSError", KeyError, raising=False)
        wrong, _ = run_at_once(calls, TIMEOUT)
        assert all("TimeoutError" in text for text in wrong)
        assert len(wrong) == len(calls)
    monkeypatch.undo()
    proxy.calm()


def test_what_failed_left_nothing(behind, proxy, redis_server, prefix):
    client = redis_server.client()
    for fault in ("cut_after", "drip"):
        setattr(proxy, fault, 100_000)
        for size in (10_000_000, 10):
            with suppress(PskError):
                behind.put(encode(b"x" * size), timeout=TIMEOUT)
        proxy.calm()
    # What arrives late is whole: nothing is there but objects that `get` returns.
    assert {name.count(b":") for name in client.scan_iter(match=f"{prefix}:*")} <= {1}
    for key in list(behind.keys()):
        assert behind.get(key) is not None
    client.close()
