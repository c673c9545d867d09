"""Hold objects while the channel fails, the process is stopped, or it forks."""

import os
import signal
import threading
import time

import pytest
from servers import RedisServer

import psk
from faults.killer import Victim
from psk.errors import ChannelUnavailableError
from psk_patterns import leases
from psk_patterns.errors import LeaseLostError
from psk_patterns.leases import LeaseHolder

TTL = 0.6


@pytest.fixture
def server(tmp_path, patterns_server):
    if patterns_server is None:
        pytest.skip("no redis-server here; run `make servers`")
    with RedisServer(tmp_path / "own") as started:
        yield started


def test_a_server_that_is_frozen_for_a_part_of_the_lease_costs_nothing(server):
    with psk.Store("frozen", server.uri) as store:
        lost = []
        hold = LeaseHolder(store, TTL, on_lost=lost.append)
        key = store.put("held", ttl=TTL)
        hold.add(key)
        for _ in range(2):
            server.stop()
            time.sleep(0.5 * TTL)
            server.cont()
            time.sleep(0.5 * TTL)
        assert store.exists(key)
        assert lost == []
        hold.close()


def test_what_a_dead_server_took_with_it_is_reported(server, monkeypatch):
    ignored = []
    monkeypatch.setattr("sys.unraisablehook", ignored.append)
    with psk.Store("gone", server.uri) as store:
        hold = LeaseHolder(store, TTL)
        key = store.put("held", ttl=TTL)
        hold.add(key)
        server.kill()
        deadline = time.monotonic() + 4 * TTL
        while hold.keys and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not hold.keys
    (report,) = [one for one in ignored if one.exc_type is LeaseLostError]
    assert key in str(report.exc_value)
    assert "lease of 0.6 s" in str(report.exc_value)
    assert isinstance(report.exc_value.__cause__, psk.PskError)


def test_an_object_that_is_slow_costs_no_other_its_lease(open_channel, monkeypatch):
    store = open_channel("local")
    keys = [store.put(number, ttl=TTL) for number in range(20)]
    renew, slow = type(store.connector).renew, set(keys[:2])

    def slowly(connector, key, ttl, *, timeout=None):
        if key in slow:
            time.sleep(timeout)
            raise ChannelUnavailableError(f"object {key} hangs")
        return renew(connector, key, ttl, timeout=timeout)

    monkeypatch.setattr(type(store.connector), "renew", slowly)
    lost = []
    hold = LeaseHolder(store, TTL, on_lost=lost.append)
    hold.add(*keys)
    time.sleep(2.5 * TTL)
    assert set(lost) == slow
    assert hold.keys == set(keys[2:])
    assert all(store.exists(key) for key in keys[2:])
    hold.close()


def test_a_process_that_was_stopped_for_a_whole_lease_is_told(open_channel):
    store = open_channel("file")

    def run(report):
        with psk.Store("child", store.uri) as own:
            lost = threading.Event()
            hold = LeaseHolder(own, TTL, on_lost=lambda key: (report(f"lost {key}"), lost.set()))
            key = own.put("held", ttl=TTL)
            hold.add(key)
            report(f"has {key}")
            lost.wait(20)

    victim = Victim(run)
    wait_for(lambda: len(store.list()) == 1)
    time.sleep(1.5 * TTL)
    (key,) = store.list()
    victim.stop()
    time.sleep(TTL + 0.5)
    assert not store.exists(key)
    os.kill(victim.pid, signal.SIGCONT)
    assert victim.join() == [f"has {key}", f"lost {key}"]


def test_a_forked_child_holds_nothing_of_its_parent(open_channel):
    store, ttl = open_channel("redis"), 2 * TTL  # a busy machine may keep the child from running for long
    hold = LeaseHolder(store, ttl)
    key = store.put("held", ttl=ttl)
    hold.add(key)

    def run(report):
        report(f"{len(hold.keys)} {len(threading.enumerate())}")
        time.sleep(1.2 * ttl)
        with psk.Store("child", store.uri) as own:
            mine = own.put("the child's", ttl=ttl)
            hold.add(mine)
            time.sleep(1.5 * ttl)
            report(f"{own.exists(mine)} {own.exists(key)} {hold.keys == {mine}}")
            hold.close()
        report("closed")

    with leases._lock:  # as another thread may at that moment
        victim = Victim(run)
    # What the parent lets go the child does not keep.
    hold.close()
    assert victim.join() == ["0 1", "True False True", "closed"]


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
