"""Each name is asked of the node that holds it, also while slots move and nodes fail."""

import random
import re
import threading
import time
from pathlib import Path

import pytest
from clusters import Cluster, expect_ok

from psk.connectors import open_connector
from psk.connectors.toolkit import Address
from psk.errors import ChannelUnavailableError, PskError
from psk.wire import encode
from psk_connector_redis.protocol import GarbledError, Refusal, pack
from psk_connector_redis.routing import SLOTS, moved_to, read_slots, slot_of
from psk_testing.operations import value_of


def soon(seconds=10.0):
    return time.monotonic() + seconds


def slot_of_key(connector, key):
    return slot_of(connector._channel.names.of(key))


def node_id(server):
    return server.ask("CLUSTER", "MYID").split(b"\r\n")[1].decode()


@pytest.fixture
def connector(cluster, prefix):
    """A connector to the cluster."""
    opened = open_connector(f"{cluster.uri}&prefix={prefix}")
    yield opened
    opened.clear()
    opened.close()


def test_names_are_sorted_by_the_node_that_holds_them(cluster, new_server):
    server = new_server(cluster.uri)
    names = [b"psk:{%d}" % number for number in range(100)]
    groups = server.places(names, soon()).values()
    assert sorted(place for group in groups for place in group) == list(range(100))
    assert len(groups) == 3
    for group in groups:
        assert len({cluster.node_of(slot_of(names[place])).port for place in group}) == 1


def test_an_exchange_can_be_done_with_each_primary(cluster, new_server):
    deadline = soon()

    def port(link):
        link.send((pack(b"CONFIG", b"GET", b"port"),), deadline)
        return int(link.reply(deadline)[1])

    ports = new_server(cluster.uri).run_on_each(port, deadline=deadline, doing="asking")
    assert sorted(ports) == sorted(node.port for node in cluster.servers)


def test_one_living_seed_is_enough(cluster, new_server):
    living = cluster.servers[1]
    server = new_server(f"redis://127.0.0.1:1,127.0.0.1:2,{living.host}:{living.port}?cluster=true")
    assert len(server.places([b"a", b"b", b"c"], soon())) == 3


def test_a_server_alone_is_no_cluster(redis_server, new_server):
    with pytest.raises(ChannelUnavailableError, match="cluster"):
        new_server(f"{redis_server.uri}?cluster=true&connect_timeout=1")


def test_a_node_of_a_cluster_is_not_used_as_if_it_were_alone(cluster, new_server):
    first = cluster.servers[0]
    server = new_server(first.uri)
    elsewhere = next(name for name in (b"%d" % n for n in range(99)) if cluster.node_of(slot_of(name)) is not first)
    deadline = soon(1)

    def exchange(link):
        link.send((pack(b"GET", elsewhere),), deadline)
        raise link.reply(deadline)

    with pytest.raises(ChannelUnavailableError, match=r"MOVED .*cluster=true"):
        server.run(exchange, name=elsewhere, deadline=deadline, doing="asking")


def test_objects_stay_reachable_while_their_slots_move(cluster, connector):
    """Slots are moved under load, key by key, as an operator does it; readers and writers notice nothing."""
    keys = {connector.put(encode(number)): number for number in range(30)}
    moved = sorted({slot_of_key(connector, key) for key in keys})
    homes = {slot: cluster.node_of(slot) for slot in moved}
    stop = threading.Event()
    errors = []

    def work():
        chance = random.Random(1)
        while not stop.is_set():
            try:
                key = chance.choice(list(keys))
                assert value_of(connector.get(key, timeout=5)) == keys[key]
                mine = connector.put(encode("another"), timeout=5)
                assert connector.exists(mine, timeout=5)
                connector.evict(mine, timeout=5)
                assert [value_of(one) for one in connector.get_batch(list(keys)[:10], timeout=5)] == list(range(10))
            except Exception as error:  # noqa: BLE001  shown at the end
                errors.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for slot in moved:
            move_slot(cluster, slot, homes[slot], cluster.primaries[cluster.primaries.index(homes[slot]) - 1])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for slot in moved:
            there = cluster.primaries[cluster.primaries.index(homes[slot]) - 1]
            move_slot(cluster, slot, there, homes[slot])
    assert errors == []
    assert {key: value_of(connector.get(key)) for key in keys} == keys
    assert set(connector.keys()) == set(keys)


def move_slot(cluster, slot, source, target):
    """Move one slot with its keys from node to node."""
    expect_ok(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
    expect_ok(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))
    time.sleep(0.02)
    with source.client() as client:
        while names := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            client.execute_command("MIGRATE", target.host, target.port, "", 0, 5000, "KEYS", *names)
            time.sleep(0.01)
    for node in (target, source, *cluster.primaries):
        expect_ok(node, "CLUSTER", "SETSLOT", slot, "NODE", node_id(target))


def test_a_replica_takes_over_from_a_primary_that_died(tmp_path, prefix):
    with Cluster(tmp_path, replicas=1) as group:
        connector = open_connector(f"{group.uri}&prefix={prefix}")
        keys = {connector.put(encode(number)): number for number in range(20)}
        there = [key for key in keys if group.node_of(slot_of_key(connector, key)) is group.servers[0]]
        assert there
        name = connector._channel.names.of(there[0])
        server = connector._channel.server
        assert server.run(wait_for_replica, name=name, deadline=soon(), doing="waiting") == 1
        group.servers[0].kill()
        assert {key: value_of(connector.get(key, timeout=20)) for key in keys} == keys
        assert set(connector.keys(timeout=20)) == set(keys)
        connector.put(encode("after"), timeout=20)
        connector.close()


def test_a_user_needs_no_more_rights_than_the_readme_lists(tmp_path, monkeypatch):
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    rules = re.search(r"^user lab .*$", readme, re.MULTILINE)[0]
    more = re.search(r"`(\+[^`]*)` in a cluster", readme)[1]
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "PASSWORD")
    with Cluster(tmp_path, lines=[f"{rules} {more}"]) as group:
        connector = open_connector(group.uri.replace("//", "//lab@"))
        keys = connector.put_batch([encode(number) for number in range(20)])
        assert connector.wait(keys, timeout=5) == keys
        assert [value_of(one) for one in connector.get_batch(keys)] == list(range(20))
        assert value_of(connector.take(keys[0], "mine", lease=5)) == 0
        assert connector.renew(keys[1], 100)
        assert connector.clear() == 20
        connector.close()


def wait_for_replica(link):
    link.send((pack(b"WAIT", b"1", b"9000"),), soon())
    return link.reply(soon())


def test_a_slot_that_nobody_serves_is_an_error_in_time(tmp_path):
    with Cluster(tmp_path, cluster_require_full_coverage="no") as group:
        connector = open_connector(group.uri)
        group.servers[2].kill()
        while b"cluster_slots_fail:0" in group.servers[0].ask("CLUSTER", "INFO"):
            time.sleep(0.05)
        outcomes = set()
        for number in range(12):
            began = time.monotonic()
            try:
                connector.put(encode(number), timeout=0.5)
                outcomes.add("put")
            except PskError as error:
                outcomes.add(type(error).__name__)
            assert time.monotonic() - began < 1.0
        assert "put" in outcomes
        assert outcomes - {"put"} <= {"ChannelUnavailableError", "DeadlineError"}
        assert len(outcomes) > 1
        connector.close()


def test_where_a_slot_has_moved_is_read_from_the_refusal():
    assert moved_to(Refusal("MOVED 3999 10.0.0.1:6381")) == (3999, Address("10.0.0.1", 6381))
    assert moved_to(Refusal("ASK 1 ::1:6381")) == (1, Address("::1", 6381))
    for text in (
        "MOVED",
        "MOVED x a:1",
        "MOVED 1 a",
        "MOVED 1 a:x",
        "ASK 1 a:99999",
        "ASK 1 :6381",
        "MOVED \ud800 a:1",
    ):
        assert moved_to(Refusal(text))[1] is None


def test_a_table_of_slots_is_read_and_nonsense_refused():
    asked = Address("asked", 1)
    node = [b"10.0.0.1", 7000, b"id"]
    owners = read_slots([[0, 99, node, node], [100, 16383, [b"", 7001, b"id"]]], asked)
    assert len(owners) == SLOTS
    assert owners[0] == owners[99] == Address("10.0.0.1", 7000)
    assert owners[100] == owners[16383] == Address("asked", 7001)
    assert read_slots([], asked) == [None] * SLOTS
    for nonsense in (
        7,
        [[]],
        [[0, 1]],
        [[0, 99999, node]],
        [[0, 1, [b"x", 99999]]],
        [["a", "b", node]],
        [[0, 1, [b"x", b"y"]]],
        None,
    ):
        with pytest.raises(GarbledError):
            read_slots(nonsense, asked)
    with pytest.raises(Refusal):
        read_slots(Refusal("CLUSTERDOWN"), asked)
