"""Report the death of a producer in time, and never while it lives."""

import os
import random
import signal
import threading
import time

import pytest

from faults.killer import Victim
from psk_patterns import as_completed, future
from psk_patterns.errors import FutureClaimedError, FutureDoneError, FutureTimeoutError, ProducerDied
from psk_testing.timing import timed

TTL = 1.0
TOLD_SECONDS = TTL + 1.0
LONGEST_LIFE = 0.5
SLOW_TTL = 0.6
WORK_SECONDS = 1.3
TOGETHER = 20


def claim_and_linger(report, made):
    made.claim()
    report("claimed")
    time.sleep(60)


def claim_and_work(report, made, seconds):
    pauses = [0.0]
    threading.Thread(target=feel_pauses, args=(pauses,), daemon=True).start()
    made.claim()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(10_000))
    try:
        made.set_result(seconds)
    except FutureDoneError:
        report(max(pauses))


def feel_pauses(pauses):
    last = time.monotonic()
    while True:
        time.sleep(0.01)
        now = time.monotonic()
        pauses.append(now - last)
        last = now


def until_claimed(made):
    end = time.monotonic() + 30
    while not made.running():
        assert time.monotonic() < end
        time.sleep(0.01)


def waiter_of(made, told):
    """Wait in a thread of its own; write down what was heard, and when."""

    def wait():
        try:
            told[made] = made.exception(60), time.monotonic()
        except Exception as error:  # noqa: BLE001  looked at by the test
            told[made] = error, time.monotonic()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_killed_producer_is_noticed_by_all_who_wait(shared_store, scale, seed):
    chance = random.Random(seed)
    left = scale("patterns_futures.killed_producers")
    while left > 0:
        futures = [future(shared_store, ttl=TTL) for _ in range(min(TOGETHER, left))]
        left -= len(futures)
        told, heard, killed = {}, {}, {}
        with timed() as clock:
            threads = [waiter_of(made, told) for made in futures]
            victims = [Victim(claim_and_linger, made) for made in futures]
            for made in futures:
                until_claimed(made)
            moments = sorted(
                (chance.random() * LONGEST_LIFE, made, one) for made, one in zip(futures, victims, strict=True)
            )
            start = time.monotonic()
            killer = threading.Thread(target=kill_each, args=(start, moments, killed))
            killer.start()
            for made in as_completed(futures, 60):
                heard[made] = time.monotonic()
            for thread in (killer, *threads):
                thread.join()
        for made in futures:
            error, when = told[made]
            assert isinstance(error, ProducerDied)
            assert when - killed[made] - clock.stalled <= TOLD_SECONDS
            assert heard[made] - killed[made] - clock.stalled <= TOLD_SECONDS
            assert when - killed[made] >= TTL / 2, "nobody can know so early"
            made.release()
    assert shared_store.list() == []


def kill_each(start, moments, killed):
    for moment, made, victim in moments:
        time.sleep(max(start + moment - time.monotonic(), 0))
        killed[made] = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
    for _, _, victim in moments:
        victim.join()


def test_slow_producers_that_live_are_never_declared_dead(shared_store, scale):
    futures = [future(shared_store, ttl=SLOW_TTL) for _ in range(scale("patterns_futures.slow_producers"))]
    told = {}
    for start in range(0, len(futures), 4):
        some = futures[start : start + 4]
        threads = [waiter_of(made, told) for made in some]
        victims = [Victim(claim_and_work, made, WORK_SECONDS) for made in some]
        for thread in threads:
            thread.join()
        for made, victim in zip(some, victims, strict=True):
            # One that this machine did not let run for most of a lease does count as dead.
            starved = [pause for pause in map(float, victim.join()) if pause > SLOW_TTL / 2]
            assert starved or (told[made][0] is None and made.result(5) == WORK_SECONDS)
            made.release()
    assert shared_store.list() == []


def test_a_stopped_producer_counts_as_dead_and_comes_too_late(file_store):
    made = future(file_store, ttl=0.4)
    victim = Victim(come_too_late, made)
    until_claimed(made)
    victim.stop()
    with pytest.raises(ProducerDied):
        made.result(10)
    os.kill(victim.pid, signal.SIGCONT)
    assert victim.join() == ["FutureDoneError"]
    made.release()
    assert file_store.list() == []


def come_too_late(report, made):
    try:
        made.claim()
        time.sleep(0.5)
        made.set_result("late")
    except Exception as error:  # noqa: BLE001  told to the test
        report(type(error).__name__)


def test_another_can_take_over_from_the_dead_while_nobody_was_told(file_store):
    made = future(file_store, ttl=0.5)
    victim = Victim(claim_and_linger, made)
    until_claimed(made)
    with pytest.raises(FutureClaimedError):
        made.claim()
    victim.kill()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            made.claim()
            break
        except FutureClaimedError:
            time.sleep(0.05)
    made.set_result("second try")
    assert made.result(5) == "second try"
    made.release()
    assert file_store.list() == []


def test_death_shows_without_anybody_waiting(file_store):
    made = future(file_store, ttl=0.4)
    victim = Victim(claim_and_linger, made)
    until_claimed(made)
    victim.kill()
    end = time.monotonic() + 10
    while not made.done() and time.monotonic() < end:
        time.sleep(0.05)
    assert isinstance(made.exception(0.1), ProducerDied)
    made.release()


def test_death_between_two_waits_is_noticed_too(file_store):
    made = future(file_store, ttl=0.3)
    victim = Victim(claim_and_linger, made)
    until_claimed(made)
    with pytest.raises(FutureTimeoutError, match="alive"):
        made.result(0.1)
    victim.kill()
    time.sleep(0.5)
    with pytest.raises(ProducerDied):
        made.result(5)
    made.release()
    assert file_store.list() == []
