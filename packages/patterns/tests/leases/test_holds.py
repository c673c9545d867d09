"""Keep alive the objects that a process holds, and no others."""

import gc
import threading
import time

import pytest

from psk.errors import CapabilityError, ChannelUnavailableError, InvalidArgumentError
from psk_patterns.errors import LeaseLostError, LifetimeEndedError
from psk_patterns.leases import LeaseHolder
from psk_testing.timing import at_some_pace

TTL = 0.6
KINDS = ["local", "file", "shm", "redis"]


def wait_until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def lease_threads():
    return [thread for thread in threading.enumerate() if thread.name == "psk-leases"]


@pytest.fixture
def store(open_channel):
    return open_channel("local")


@pytest.fixture
def ignored(monkeypatch):
    """What went to `sys.unraisablehook`."""
    seen = []
    monkeypatch.setattr("sys.unraisablehook", seen.append)
    return seen


def test_what_is_held_stays_and_what_is_not_goes(open_channel):
    stores = [open_channel(kind) for kind in KINDS]
    holds = [LeaseHolder(store, TTL) for store in stores]
    for hold in holds:
        kept, discarded, _ = keys = (
            hold.store.put("0", ttl=TTL),
            hold.store.put("1", ttl=TTL),
            hold.store.put("2", ttl=TTL),
        )
        hold.expected = keys
        hold.add(kept, discarded)
    time.sleep(2 * TTL)
    for hold in holds:
        assert [hold.store.exists(key) for key in hold.expected] == [True, True, False]
        hold.discard(*hold.expected[1:])
        assert hold.keys == {hold.expected[0]}
    time.sleep(2 * TTL)
    for hold in holds:
        assert [hold.store.exists(key) for key in hold.expected] == [True, False, False]
        hold.close()
        hold.close()
        assert hold.store.exists(hold.expected[0])
    assert wait_until(lambda: not any(hold.store.exists(hold.expected[0]) for hold in holds), TTL + 1)


def test_holds_of_one_channel_share_a_thread_that_ends_with_them(store, open_channel):
    holds = [LeaseHolder(store, TTL), LeaseHolder(store, 2 * TTL), LeaseHolder(open_channel("local"), TTL)]
    for hold in holds:
        hold.add(hold.store.put("held", ttl=hold.ttl))
    assert len(lease_threads()) == 2
    for hold in holds:
        hold.close()
    assert wait_until(lambda: not lease_threads())
    again = LeaseHolder(store, TTL)
    key = store.put("held again", ttl=TTL)
    again.add(key)
    time.sleep(2 * TTL)
    assert store.exists(key)
    again.close()


def test_what_is_held_outlives_the_closing_of_its_store(open_channel):
    stores = [open_channel(kind) for kind in [*KINDS, "local", "redis"]]
    holds = [LeaseHolder(store, TTL) for store in stores]
    keys = [store.put("held", ttl=TTL) for store in stores]
    for hold, key in zip(holds, keys, strict=True):
        hold.add(key)
    for store in stores[:4]:
        store.close()
    for store in stores[4:]:
        store.connector.close()  # alone
    time.sleep(3 * TTL)
    for store, hold, key in zip(stores, holds, keys, strict=True):
        with type(store).from_config(store.config(), register=False) as again:
            assert again.exists(key)
            hold.close()


def test_a_hold_that_is_garbage_keeps_what_it_has(store):
    def attempt(pace):
        ttl = TTL * pace
        key = store.put("held", ttl=ttl)
        hold = LeaseHolder(store, ttl)
        hold.add(key)
        name = id(hold)
        del hold
        gc.collect()
        time.sleep(2 * ttl)
        kept = store.exists(key)
        (hold,) = [one for one in gc.get_objects() if type(one) is LeaseHolder and id(one) == name]
        hold.close()
        assert kept

    at_some_pace(attempt)


def test_a_guard_says_when_a_key_is_no_longer_wanted(store, ignored):
    answers = {"kept": True, "dropped": False}
    keys = {name: store.put(name, ttl=TTL) for name in [*answers, "unknown", "broken"]}
    hold = LeaseHolder(store, TTL)
    for name, answer in answers.items():
        hold.add(keys[name], guard=lambda answer=answer: answer)

    def unknown():
        raise ChannelUnavailableError("nobody knows")

    hold.add(keys["unknown"], guard=unknown)
    hold.add(keys["broken"], guard=lambda: 1 / 0)
    time.sleep(2 * TTL)
    assert hold.keys == {keys["kept"], keys["unknown"], keys["broken"]}
    assert [name for name in keys if store.exists(keys[name])] == ["kept", "unknown", "broken"]
    assert {report.exc_type for report in ignored} == {ZeroDivisionError}
    hold.close()


def test_who_evicts_what_is_held_is_believed(store, ignored):
    lost = []
    told, silent = LeaseHolder(store, TTL, on_lost=lost.append), LeaseHolder(store, TTL)
    keys = [store.put(number, ttl=TTL) for number in range(2)]
    told.add(keys[0])
    silent.add(keys[1])
    for key in keys:
        store.evict(key)
    assert wait_until(lambda: lost == keys[:1] and not silent.keys)
    assert told.keys == frozenset()
    assert ignored == []


def test_an_error_of_who_is_told_is_reported(store, ignored):
    hold = LeaseHolder(store, TTL, on_lost=lambda _: 1 / 0)
    other = store.put("other", ttl=TTL)
    hold.add("0" * 32, other)
    assert wait_until(lambda: ignored)
    assert ignored[0].exc_type is ZeroDivisionError
    time.sleep(2 * TTL)
    assert store.exists(other)
    hold.close()


def test_a_key_that_is_awaited_is_held_from_its_object_on(store):
    lost = []
    hold = LeaseHolder(store, TTL, on_lost=lost.append)
    key = store.reserve()
    hold.add(key, awaited=True)
    time.sleep(2 * TTL)
    assert lost == []
    store.fulfil(key, "late", ttl=TTL)
    time.sleep(3 * TTL)
    assert store.exists(key)
    store.evict(key)
    assert wait_until(lambda: lost == [key])


def test_many_come_and_go(store):
    hold = LeaseHolder(store, 60)
    key = store.put("held", ttl=60)
    for _ in range(2000):
        hold.add(key)
        hold.discard(key)
        hold.add(key)
        hold.add(key)
    from psk_patterns import leases

    assert len(leases._renewers[store.uri]._queue) < 200
    assert hold.keys == {key}
    hold.close()


def test_what_is_impossible_is_refused(store, plain_store):
    with pytest.raises(CapabilityError, match=r"plain.*SupportsExpiry.*evict"):
        LeaseHolder(plain_store("reserve"), 1)
    assert LeaseHolder(plain_store("expiry"), 1).keys == frozenset()
    for ttl in (0.1, 0, -1, float("nan"), "1", None):
        with pytest.raises(InvalidArgumentError):
            LeaseHolder(store, ttl)
    hold = LeaseHolder(store, 1)
    hold.close()
    with pytest.raises(LifetimeEndedError, match="closed"):
        hold.add("0" * 32)
    assert "0 objects" in repr(hold)


def test_without_threads_nothing_can_be_held(store, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    hold = LeaseHolder(store, 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(LeaseLostError, match="no thread"):
            hold.add("0" * 32)
    key = store.put("held", ttl=1)
    hold.add(key)
    assert hold.keys == {key}
    hold.close()
