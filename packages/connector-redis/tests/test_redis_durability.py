"""A durability is promised exactly where the server's own configuration keeps it."""

import time

import pytest
from clusters import Cluster

from psk.errors import DeadlineError, DurabilityError
from psk_connector_redis.durability import Facts, check, confirm, facts_of

EVERYTHING = ("volatile", "host", "disk", "replicated")


@pytest.mark.parametrize("kind", ["redis", "valkey"])
@pytest.mark.parametrize(
    ("options", "durabilities"),
    [
        ({}, EVERYTHING[:1]),
        ({"appendonly": True}, EVERYTHING[:1]),  # everysec, by default
        ({"appendonly": True, "appendfsync": "no"}, EVERYTHING[:2]),
        ({"appendonly": True, "appendfsync": "always"}, EVERYTHING[:3]),
        ({"appendonly": True, "appendfsync": "always", "maxmemory": "100mb"}, EVERYTHING[:3]),
        (
            {"appendfsync": "always", "appendonly": True, "maxmemory": "1gb", "maxmemory_policy": "allkeys-lru"},
            ("volatile",),
        ),
        ({"appendfsync": "always", "appendonly": True, "maxmemory_policy": "allkeys-lru"}, EVERYTHING[:3]),
    ],
)
def test_a_server_promises_what_its_configuration_keeps(start, new_server, kind, options, durabilities):
    server = start(kind=kind, **options)
    assert new_server(server.uri).durabilities == durabilities
    for level in EVERYTHING:
        if level in durabilities:
            new_server(f"{server.uri}?durability={level}")
            continue
        with pytest.raises(DurabilityError, match=f"the durability '{level}' cannot be promised") as caught:
            new_server(f"{server.uri}?durability={level}")
        assert caught.value.remedy
        assert caught.value.found == durabilities


def test_each_refusal_names_its_reason_and_the_remedy():
    def refusal(level, told):
        with pytest.raises(DurabilityError) as caught:
            check(level, [facts_of(told)], "redis")
        return str(caught.value)

    safe = {"appendonly": "yes", "appendfsync": "always", "maxmemory": "0", "maxmemory-policy": "allkeys-lru"}
    assert "set appendonly yes" in refusal("host", {**safe, "appendonly": "no"})
    assert "appendfsync everysec" in refusal("host", {**safe, "appendfsync": "everysec"})
    assert "maxmemory-policy noeviction" in refusal("host", {**safe, "maxmemory": "1"})
    assert "set appendfsync always" in refusal("disk", {**safe, "appendfsync": "no"})
    assert "whether it has replicas" in refusal("replicated", safe)
    assert "has no replica" in refusal("replicated", {**safe, "connected_slaves": "0"})
    assert check("replicated", [facts_of({**safe, "connected_slaves": "1"})], "redis") == EVERYTHING
    assert "whether it keeps an append-only file" in refusal("host", {})
    assert "CONFIG GET and INFO" in refusal("disk", {**safe, "appendfsync": ""})


def test_every_server_must_keep_it():
    good = Facts(appendonly=True, appendfsync="always", evicts=False, replicas=1)
    bad = Facts(appendonly=True, appendfsync="no", evicts=False, replicas=1)
    assert check("disk", [good, good], "x") == EVERYTHING
    with pytest.raises(DurabilityError):
        check("disk", [good, bad], "x")
    assert check("host", [good, bad], "x") == EVERYTHING[:2]


RULES = "user lab on nopass ~psk* &psk* +@all -@dangerous"


@pytest.mark.parametrize(
    ("more", "durabilities"),
    [
        ("", EVERYTHING[:1]),
        (" +info", EVERYTHING[:1]),
        (" +info +config|get", EVERYTHING[:3]),
        (" +config|get", EVERYTHING[:3]),
    ],
)
def test_what_cannot_be_known_is_not_promised(start, new_server, more, durabilities):
    server = start(appendonly=True, appendfsync="always", lines=[RULES + more])
    uri = server.uri.replace("://", "://lab@")
    assert new_server(uri).durabilities == durabilities
    if len(durabilities) == 1:
        with pytest.raises(DurabilityError, match=r"does not let this user know .*allow this user CONFIG GET and INFO"):
            new_server(f"{uri}?durability=host")


def test_a_renamed_config_command_is_no_error(start, new_server):
    server = start(appendonly=True, appendfsync="no", lines=['rename-command CONFIG ""'])
    assert new_server(server.uri).durabilities == ("volatile",)


def test_a_server_that_is_started_with_less_is_refused_when_it_is_met_again(start, new_server):
    before = start(appendonly=True, appendfsync="always")
    server = new_server(f"{before.uri}?durability=disk")
    before.kill()
    start(port=before.port)
    with pytest.raises(DurabilityError):
        server.run(lambda link: link, name=b"x", deadline=time.monotonic() + 5, doing="trying")


def test_each_primary_of_a_cluster_is_asked(tmp_path, new_server):
    with Cluster(tmp_path, appendonly=True, appendfsync="always") as cluster:
        assert new_server(f"{cluster.uri}&durability=disk").durabilities == EVERYTHING[:3]
        cluster.servers[2].ask("CONFIG", "SET", "appendfsync", "no")
        with pytest.raises(DurabilityError):
            new_server(f"{cluster.uri}&durability=disk")
        assert new_server(f"{cluster.uri}&durability=host").durabilities == EVERYTHING[:2]


def test_a_replica_confirms_what_it_has(start, new_server):
    primary = start(appendonly=True, appendfsync="always")
    replica = start(appendonly=True, appendfsync="always", lines=[f"replicaof 127.0.0.1 {primary.port}"])
    end = time.monotonic() + 20
    while b"state=online" not in primary.ask("INFO", "replication"):
        assert time.monotonic() < end
        time.sleep(0.02)
    server = new_server(f"{primary.uri}?durability=replicated")
    assert server.durabilities == EVERYTHING
    # Written by another connection: confirming must cover what this one only found.
    primary.ask("SET", "psk-x", "1")
    with server._borrow(server.settings.addresses[0], time.monotonic() + 5) as link:
        link.send((b"*1\r\n$4\r\nPING\r\n",), time.monotonic() + 5)
        link.reply(time.monotonic() + 5)
        confirm(link, time.monotonic() + 5, "a put")
    assert replica.ask("GET", "psk-x") == b"$1\r\n1\r\n"
    replica.stop()
    primary.ask("SET", "psk-y", "1")
    began = time.monotonic()
    with (
        server._borrow(server.settings.addresses[0], began + 0.3) as link,
        pytest.raises(DeadlineError, match="a replica to confirm a put"),
    ):
        link.send((b"*1\r\n$4\r\nPING\r\n",), began + 0.3)
        link.reply(began + 0.3)
        confirm(link, began + 0.3, "a put")
    assert time.monotonic() - began < 0.8
    replica.cont()
