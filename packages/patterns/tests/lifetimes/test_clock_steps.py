"""Does a lease last as long as it says although the wall clock of its holder is set?"""

import time
from contextlib import ExitStack

import pytest
from shifted_clock import ShiftedHolder

TTL = 0.8
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
        time.sleep(0.01)  # it gives the right time while it reads what the wrong one is to be
    return pytest.fail("the holder's clock is right")


def test_a_step_of_the_holders_clock_changes_nothing(begin, scale):
    for _ in range(scale("patterns_leases.clock_steps")):
        pairs, objects = begin(TTL, -HOURS), []
        for hours in (-HOURS, HOURS, -HOURS):
            for store, holder in pairs:
                holder.set_clock(hours)
                objects.append(put(store, holder, hours))
            time.sleep(0.7 * TTL)
            assert all(store.exists(key) for store, key in objects)
        time.sleep(TTL)
        assert all(store.exists(key) for store, key in objects)
        for _, holder in pairs:
            holder.kill()
        time.sleep(TTL + 1)
        assert not any(store.exists(key) for store, key in objects)
        assert not any(store.list() for store, _ in pairs)


@pytest.mark.parametrize("hours", [-HOURS, HOURS])
def test_a_lease_that_is_not_renewed_ends_in_time_although_the_clock_is_wrong(begin, hours):
    for store, holder in begin(5, hours, renew=False):
        put(store, holder, hours)
        holder.set_clock(-hours)
        _, key = put(store, holder, -hours)
        assert store.exists(key)
    pairs = begin(0.5, hours, renew=False)
    keys = [put(store, holder, hours)[1] for store, holder in pairs]
    for _, holder in pairs:
        holder.set_clock(-hours)
    time.sleep(0.5)
    assert not any(store.exists(key) for (store, _), key in zip(pairs, keys, strict=True))


def test_a_holder_that_goes_by_its_wall_clock_is_noticed(begin):
    [(store, holder)] = begin(0.4, HOURS, ["redis"], by_wall_clock=True)
    key = holder.put()[2]
    time.sleep(0.8)
    assert store.exists(key)
    holder.set_clock(-HOURS)
    time.sleep(0.8)
    assert not store.exists(key)
