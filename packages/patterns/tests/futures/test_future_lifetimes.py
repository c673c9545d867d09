"""A lifetime removes what a future holds, and keeps nothing alive of a dead producer."""

import time

import pytest

from faults.killer import Victim
from psk_patterns import ContextLifetime, LeaseLifetime, StaticLifetime, future
from psk_patterns.errors import FutureCancelledError, FutureDoneError, ProducerDied

TTL = 0.4


def leased(store):
    return LeaseLifetime(store, 0.6)


def fixed(store):
    return LeaseLifetime(store, 60, renew=False)


KINDS = pytest.mark.parametrize("kind", [None, ContextLifetime, leased, fixed, StaticLifetime])


def claim_and_linger(report, made):
    made.claim()
    report("claimed")
    time.sleep(60)


def until_claimed(made):
    end = time.monotonic() + 30
    while not made.running():
        assert time.monotonic() < end
        time.sleep(0.01)


@KINDS
def test_a_killed_producer_is_noticed_whatever_the_lifetime(file_store, kind):
    lifetime = kind and (kind() if kind is StaticLifetime else kind(file_store))
    made = future(file_store, ttl=TTL, lifetime=lifetime)
    victim = Victim(claim_and_linger, made)
    until_claimed(made)
    time.sleep(TTL)  # so that a lifetime that renews claims has done so
    victim.kill()
    with pytest.raises(ProducerDied):
        made.result(20)
    if lifetime is None or kind is StaticLifetime:
        made.release()
    else:
        lifetime.close()
    assert file_store.list() == []


def test_a_killed_producer_is_noticed_on_each_channel_under_a_lease(shared_store):
    with leased(shared_store) as lease:
        made = future(shared_store, ttl=TTL, lifetime=lease)
        victim = Victim(claim_and_linger, made)
        until_claimed(made)
        time.sleep(TTL)
        victim.kill()
        with pytest.raises(ProducerDied):
            made.result(20)
    assert shared_store.list() == []


@pytest.mark.parametrize("kind", [ContextLifetime, leased, fixed])
def test_a_cancellation_does_not_outlive_the_lifetime(store, kind):
    with kind(store) as lifetime:
        made = future(store, lifetime=lifetime)
        assert made.cancel()
        assert store.list() == [made.key], "the outcome says it all"
        assert made.cancel()
        assert made.cancelled()
        with pytest.raises(FutureCancelledError):
            made.claim()
    assert store.list() == []


def test_a_cancellation_that_was_never_completed_expires(file_store, monkeypatch):
    from psk_patterns.futures import state

    monkeypatch.setattr(state, "REMEMBERED_SECONDS", 0.2)
    monkeypatch.setattr(
        state.FutureState, "finish_cancelling", lambda *_: None
    )  # the canceller dies between its two steps
    made = future(file_store)
    made.cancel()
    time.sleep(0.4)
    assert file_store.list() == []


def test_a_done_future_is_not_called_cancelled(store):
    made = future(store)
    made.set_result(1)
    assert not made.cancelled()
    with pytest.raises(FutureDoneError):
        made.claim()
    made.release()
    assert store.list() == []
