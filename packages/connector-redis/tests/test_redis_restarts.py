"""Nothing that was acknowledged is lost when the server is killed and restarted under load."""

import random
import time

import pytest
from load import (
    FOREVER,
    KEPT,
    TIMEOUT,
    Journals,
    history,
    identity,
    late,
    shared_prizes,
    slow_recoveries,
    start_clients,
    stop_clients,
    value_of,
)
from servers import RedisServer
from usage import opened

from faults.history import CLOCK, violations

CALLS_PER_RESTART = 100
"""Calls that must succeed before the server is killed, and after its last start."""


def killed_again_and_again(server, uri, folder, seed, restarts):
    """Kill and start the server under load of eight processes; give what they wrote down, and when it was away."""
    chance = random.Random(seed)
    folder.mkdir()
    clients, journals = start_clients(uri, folder, seed), Journals(folder)
    away = []
    try:
        for turn in range(restarts):
            journals.await_calls(CALLS_PER_RESTART)
            time.sleep(chance.uniform(0.0, 0.5))
            killed = time.clock_gettime(CLOCK)
            server.kill()
            # Long enough, now and then, for calls to be given up.
            time.sleep((0.0, 1.2, 0.3)[turn % 3] * chance.random())
            server.start()
            away.append((killed, time.clock_gettime(CLOCK)))
        journals.await_calls(CALLS_PER_RESTART)
    finally:
        entries = stop_clients(clients, folder)
    return entries, away


def final_look(uri, entries):
    """Get every object once more, when all is quiet."""
    connector = opened(uri)
    found = []
    for key in sorted({entry["key"] for entry in entries if entry["operation"] == "put"}):
        begin = time.clock_gettime(CLOCK)
        value = value_of(connector.get(key))
        end = time.clock_gettime(CLOCK)
        found.append({"operation": "get", "key": key, "value": value, "begin": begin, "end": end, "error": None})
    connector.clear()
    connector.close()
    return found


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_no_acknowledged_object_is_lost(tmp_path, kind, scale, seed):
    restarts = scale("redis.restarts")
    with RedisServer(tmp_path / "server", kind=kind, appendonly=True, appendfsync="no") as server:
        uri = f"{server.uri}?durability=host"
        entries, away = killed_again_and_again(server, uri, tmp_path / "journals", seed, restarts)
        looked = final_look(uri, entries)
    done = [entry for entry in entries if entry["error"] is None]
    assert violations(history(entries + looked)) == []
    assert late(entries) == []
    assert slow_recoveries(entries, [ready for _, ready in away]) == []
    assert shared_prizes(entries) == []
    assert len(away) == restarts
    assert {entry["operation"] for entry in done} == {"put", "get", "take", "evict"}
    assert len(done) > CALLS_PER_RESTART * restarts
    caught = [entry for entry in entries if any(entry["begin"] < killed < entry["end"] for killed, _ in away)]
    assert caught, "no call was under way when the server died: the test proves nothing"
    print(f"{len(done)} calls done, {len(entries) - len(done)} refused, {len(caught)} caught by {restarts} restarts")  # noqa: T201  for those who run it with -s


def test_the_check_sees_what_a_server_without_persistence_loses(tmp_path, seed):
    with RedisServer(tmp_path / "server") as server:
        entries, _ = killed_again_and_again(server, server.uri, tmp_path / "journals", seed, 2)
        looked = final_look(server.uri, entries)
    assert any(text.startswith("lost") for text in violations(history(entries + looked)))


def entry(operation, *, begin=0.0, end=1.0, process=0, **more):
    return {
        "operation": operation,
        "key": identity(0, 1).hex(),
        "value": None,
        "begin": begin,
        "end": end,
        "process": process,
        "stalled": 0.0,
        "error": None,
    } | more


def test_the_checks_see_what_they_look_for():
    assert late([entry("get", end=TIMEOUT + 0.4), entry("get", end=TIMEOUT + 0.6, stalled=0.5)]) == []
    assert len(late([entry("get", end=TIMEOUT + 0.6), entry("get", error="untyped KeyError: 1")])) == 2
    assert slow_recoveries([entry("get", end=9.0), entry("get", end=14.0, error="x")], [5.0]) == []
    assert len(slow_recoveries([entry("get", end=9.0), entry("get", end=14.0, error="x")], [3.0, 10.0])) == 2
    assert shared_prizes([entry("take", value="0-1"), entry("take", value="0-1"), entry("take", process=1)]) == []
    assert len(shared_prizes([entry("take", value="0-1"), entry("take", value="0-1", process=1)])) == 1
    put, failed = entry("put", value="0-1"), entry("put", value="0-1", error="ChannelUnavailableError")
    missing, seen = entry("get", begin=2.0, end=3.0), entry("get", begin=2.0, end=3.0, value="0-1")
    assert violations(history([put, missing])) != []
    assert violations(history([failed, missing])) == violations(history([failed, seen])) == []
    assert violations(history([put, entry("evict", begin=1.5, error="DeadlineError"), missing, seen])) == []
    assert violations(history([put, entry("evict", begin=1.2, end=1.5), seen])) != []
    assert history([failed])[0].end == FOREVER
    assert KEPT > 10
