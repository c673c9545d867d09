"""Renew, extend and end leases."""

import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

import psk
from faults.killer import Victim
from psk.errors import ChannelUnavailableError
from psk_patterns import ContextLifetime, LeaseLifetime
from psk_patterns.errors import LeaseLostError, LifetimeEndedError

TTL = 0.5
KINDS = ["local", "file", "shm", "redis"]


@pytest.fixture
def stores(open_channel):
    return [open_channel(kind) for kind in KINDS]


def there(objects):
    return [store.exists(key) for store, key in objects]


def test_a_lease_that_is_renewed_lasts_until_it_is_closed(stores):
    with LeaseLifetime(stores[0], TTL) as lease:
        assert lease.ttl == TTL
        objects, reserved = [], []
        for store in stores:
            later = store.put("without an end")
            objects += [(store, store.put("with one", lifetime=lease)), (store, later)]
            reserved.append((store, store.reserve()))
            lease.add_key(later, reserved[-1][1], store=store)
        time.sleep(1.5 * TTL)
        for store, key in reserved:
            store.fulfil(key, "late")
        lease.extend(5)
        assert lease.ttl == TTL
        time.sleep(1.5 * TTL)
        assert all(there(objects + reserved))
    assert not any(there(objects + reserved))


def test_a_lease_that_is_not_renewed_ends_by_itself(stores):
    lease = LeaseLifetime(stores[0], timedelta(seconds=2 * TTL), renew=False)
    objects = []
    for store in stores:
        later = store.put("without an end")
        objects += [(store, store.put("with one", lifetime=lease)), (store, later)]
        lease.add_key(later, store=store)
    assert all(there(objects))
    assert 0 < lease.ttl <= 2 * TTL
    time.sleep(2 * TTL + 0.05)
    assert lease.done()
    assert not any(there(objects))
    for store in stores:
        with pytest.raises(LifetimeEndedError):
            store.put("late", lifetime=lease)
        assert store.list() == []
    with pytest.raises(LifetimeEndedError, match="cannot be extended"):
        lease.extend(1)
    assert lease.ttl > 0
    lease.close()


def test_a_lease_is_extended_by_a_time_or_to_a_date(stores):
    with LeaseLifetime(stores[0], datetime.now(UTC) + timedelta(seconds=1), renew=False) as lease:
        assert 0.5 < lease.ttl <= 1
        objects = [(store, store.put("extended", lifetime=lease)) for store in stores]
        lease.extend(1)
        lease.extend(timedelta(seconds=1))
        assert 2.5 < lease.ttl <= 3
        stores[1].close()
        time.sleep(1.2)
        stores[1] = psk.Store.from_config(stores[1].config(), register=False)
        objects[1] = stores[1], objects[1][1]
        assert all(there(objects))
        stores[0].evict(stores[0].put("evicted by its reader", lifetime=lease))
        lease.extend(datetime.now(UTC) + timedelta(seconds=0.3))
        time.sleep(0.4)
        assert lease.done()
        assert not any(there(objects))
        stores[1].close()


def test_what_cannot_be_extended_is_told(open_channel, monkeypatch):
    store, other = open_channel("local"), open_channel("file")

    def fail(*_, **__):
        raise ChannelUnavailableError("out of reach")

    with LeaseLifetime(store, 5, renew=False) as lease:
        for number in range(3):
            store.put(number, lifetime=lease)
        key = other.put("elsewhere", lifetime=lease)
        with monkeypatch.context() as patch:
            patch.setattr(type(store.connector), "renew", fail)
            with pytest.raises(LeaseLostError, match="out of reach"):
                lease.extend(100)
        assert lease.ttl > 100
        assert other.exists(key)
        lease.extend(1)


def test_what_cannot_be_renewed_at_once_is_told_and_tried_again(open_channel, monkeypatch):
    store = open_channel("local")

    def fail(*_, **__):
        raise ChannelUnavailableError("out of reach")

    with LeaseLifetime(store, TTL) as lease:
        key = store.put("held", ttl=TTL)
        with monkeypatch.context() as patch:
            patch.setattr(type(store.connector), "renew", fail)
            with pytest.raises(ChannelUnavailableError):
                lease.add_key(key)
        time.sleep(3 * TTL)
        assert store.exists(key)
    assert not store.exists(key)


def test_a_forked_child_ends_nothing_of_its_parent(open_channel):
    store = open_channel("redis")
    lifetimes = [ContextLifetime(store), LeaseLifetime(store, TTL), LeaseLifetime(store, 60, renew=False)]
    keys = [store.put("the parent's", lifetime=lifetime) for lifetime in lifetimes]

    def run(report):
        with psk.Store("child", store.uri) as own:
            mine = [own.put("the child's", lifetime=lifetime) for lifetime in lifetimes]
            report(f"{len(own.list())}")
            for lifetime in lifetimes:
                lifetime.close()
            report(f"{any(map(own.exists, mine))} {all(map(own.exists, keys))}")

    for lifetime in lifetimes:
        lifetime._lock.acquire()  # as another thread may at that moment
    victim = Victim(run)
    for lifetime in lifetimes:
        lifetime._lock.release()
    assert victim.join() == ["6", "False True"]
    time.sleep(1.5 * TTL)
    assert all(map(store.exists, keys))
    for lifetime in lifetimes:
        lifetime.close()
    assert store.list() == []


def test_a_holder_that_was_stopped_for_a_whole_lease_counts_as_dead(open_channel):
    store = open_channel("file")

    def run(report):
        stderr = []
        hook, os_write = threading.Event(), stderr.append
        import sys

        sys.unraisablehook = lambda args: (os_write(args.exc_type.__name__), hook.set())
        with psk.Store("child", store.uri) as own, LeaseLifetime(own, TTL) as lease:
            own.put("held", lifetime=lease)
            hook.wait(20)
            report(f"{stderr} {own.list()}")

    victim = Victim(run)
    deadline = time.monotonic() + 10
    while not store.list() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1.5 * TTL)
    assert store.list()
    victim.stop()
    time.sleep(TTL + 0.5)
    assert not store.list()
    os.kill(victim.pid, 18)
    assert victim.join() == ["['LeaseLostError'] []"]
