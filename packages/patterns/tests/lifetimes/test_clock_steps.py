"""Leases keep their duration while the wall clock of their holder is set."""

import time
from contextlib import ExitStack

import pytest
from shifted_clock import ShiftedHolder

#: A busy machine may keep a holder from running for a second or more, which is not what is tried here.
TTL = 2.4
HOURS = 2
KINDS = ["file", "shm", "redis"]


@pytest.fixture
def begin(open_channel, tmp_path):
    """Start a holder with a wrong clock on each channel: gives pairs of store and holder."""
    with ExitStack() as stack:

        def begin(ttl, hours, kinds=KINDS, **options):
            stores = [open_channel(kind) for kind in kinds]
            return [
                (store, stack.enter_context(ShiftedHolder(store.uri, tmp_path, ttl, hours, **options)))
                for store in stores
            ]

        yield begin


def put(store, holder, hours):
    """Let a holder put an object; make sure that its wall clock, and only that, is wrong."""
    for _ in range(50):
        wall, monotonic, key = holder.put()
        assert abs(monotonic - time.monotonic()) < 60
        if abs(wall - time.time() - 3600 * hours) < 60:
            return store, key
        time.sleep(0.02)
    return pytest.fail("the holder's clock was not set")


def test_a_step_of_the_holders_clock_changes_nothing(begin, scale):
    for _ in range(scale("patterns_leases.clock_steps")):
        pairs, objects = begin(TTL, -HOURS), []
        for hours in (-HOURS, HOURS, -HOURS):
            for store, holder in pairs:
                holder.set_clock(hours)
                objects.append(put(store, holder, hours))
            time.sleep(0.3 * TTL)
            assert all(store.exists(key) for store, key in objects)
        time.sleep(0.4 * TTL)
        assert all(store.exists(key) for store, key in objects)
        for _, holder in pairs:
            holder.kill()
        deadline = time.monotonic() + TTL + 1
        while time.monotonic() < deadline and any(store.list() for store, _ in pairs):
            time.sleep(0.05)
        assert not any(store.list() for store, _ in pairs)


def test_a_lease_that_is_not_renewed_ends_in_time_although_the_clock_is_wrong(begin):
    for store, holder in begin(60, HOURS, renew=False):
        put(store, holder, HOURS)
        holder.set_clock(-HOURS)
        _, key = put(store, holder, -HOURS)
        assert store.exists(key)
    pairs = begin(1.5, HOURS, renew=False)
    keys = [holder.put()[2] for _, holder in pairs]
    for _, holder in pairs:
        holder.set_clock(-HOURS)
    time.sleep(1.5)
    assert not any(store.exists(key) for (store, _), key in zip(pairs, keys, strict=True))


def test_a_holder_that_goes_by_its_wall_clock_is_noticed(begin):
    [(store, holder)] = begin(1.5, HOURS, ["redis"], by_wall_clock=True)
    key = holder.put()[2]
    time.sleep(2)
    assert store.exists(key)
    holder.set_clock(-HOURS)
    deadline = time.monotonic() + 10
    while store.exists(key) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not store.exists(key)
