"""The server that the sentinels name is used, also after another one took over."""

import threading
import time

import pytest
from clusters import Sentinels

from psk.connectors import open_connector
from psk.connectors.toolkit import Address
from psk.errors import ChannelUnavailableError, PskError
from psk.wire import encode
from psk_connector_redis.protocol import GarbledError, Refusal, pack
from psk_connector_redis.routing import read_primary
from psk_testing.operations import value_of


def soon(seconds=10.0):
    return time.monotonic() + seconds


def test_the_primary_is_found_by_any_sentinel(sentinels, new_server):
    deadline = soon()

    def port(link):
        link.send((pack(b"CONFIG", b"GET", b"port"),), deadline)
        return int(link.reply(deadline)[1])

    last = sentinels.sentinels[2]
    for uri in (sentinels.uri, f"redis://127.0.0.1:1,{last.host}:{last.port}?sentinel={sentinels.service}"):
        server = new_server(uri)
        assert server.run(port, name=b"x", deadline=deadline, doing="asking") == sentinels.primary.port
        assert server.run_on_each(port, deadline=deadline, doing="asking") == [sentinels.primary.port]


def test_a_service_that_nobody_knows_is_named(sentinels, new_server):
    one = sentinels.sentinels[0]
    with pytest.raises(ChannelUnavailableError, match="does not know a service 'nothing'; correct sentinel="):
        new_server(f"redis://{one.host}:{one.port}?sentinel=nothing")


def test_a_server_that_is_no_sentinel_is_an_error(redis_server, new_server):
    with pytest.raises(ChannelUnavailableError, match="unknown command"):
        new_server(f"{redis_server.uri}?sentinel=objects&connect_timeout=1")


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_another_server_takes_over_under_load(tmp_path, kind, prefix, monkeypatch):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "of-the-servers")
    monkeypatch.setenv("PSK_REDIS_SENTINEL_PASSWORD", "of-the-sentinels")
    with Sentinels(tmp_path, kind=kind, password="of-the-servers", sentinel_password="of-the-sentinels") as group:
        connector = open_connector(f"{group.uri}&prefix={prefix}")
        kept = {connector.put(encode(number)): number for number in range(10)}
        assert b":1" in group.primary.ask("WAIT", "1", "5000")
        stop = threading.Event()
        outcomes = []

        def work():
            while not stop.is_set():
                began = time.monotonic()
                try:
                    connector.evict(connector.put(encode("one of many"), timeout=2), timeout=2)
                    outcome = "done"
                except PskError as error:
                    outcome = type(error).__name__
                outcomes.append((outcome, time.monotonic() - began))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            group.primary.kill()
            assert value_of(connector.get(next(iter(kept)), timeout=25)) == 0
            connector.put(encode("after"), timeout=25)
            assert group.current() == group.replica.port
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert {key: value_of(connector.get(key)) for key in kept} == kept
        assert {outcome for outcome, _ in outcomes} <= {"done", "DeadlineError", "ChannelUnavailableError"}
        assert max(seconds for _, seconds in outcomes) < 5
        group.primary.start()  # it comes back as a replica, and is not written to
        connector.put(encode("later"), timeout=10)
        connector.close()


def test_what_a_sentinel_says_is_read_and_nonsense_refused():
    assert read_primary([b"10.0.0.1", b"6379"]) == Address("10.0.0.1", 6379)
    for nonsense in (7, [], [b"a"], [b"a", b"b"], [b"", b"1"], [b"a", b"99999"], [None, None], b"ab", [b"\xff", b"1"]):
        with pytest.raises(GarbledError):
            read_primary(nonsense)
    with pytest.raises(Refusal):
        read_primary(Refusal("NOAUTH"))
