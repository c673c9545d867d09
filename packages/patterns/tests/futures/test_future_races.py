"""Set, claim and cancel one future concurrently: exactly one caller wins."""

import multiprocessing
import pickle
import threading
from concurrent.futures import CancelledError

import future_peers

from psk_patterns import future, wait
from psk_patterns.errors import FutureCancelledError, FutureClaimedError, FutureDoneError

LOST = (FutureDoneError, FutureClaimedError, CancelledError)


def away(obj):
    return pickle.loads(pickle.dumps(obj))


def at_once(*calls):
    """Run each in a thread, all begun at the same moment; give what came of each."""
    barrier, ends = threading.Barrier(len(calls)), [None] * len(calls)

    def run(number, call):
        barrier.wait(30)
        try:
            ends[number] = call()
        except LOST as error:
            ends[number] = error

    threads = [threading.Thread(target=run, args=it) for it in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_of_producers_and_cancellers_one_wins(store, scale):
    for _ in range(scale("patterns_futures.races")):
        made = future(store)
        first, second, third = (away(made) for _ in range(3))
        *sets, failed, cancelled, cancelled_too = at_once(
            lambda: first.set_result("first"),  # noqa: B023  run before the next turn
            lambda: second.set_result("second"),  # noqa: B023
            lambda: third.set_exception(KeyError("third")),  # noqa: B023
            made.cancel,
            away(made).cancel,
        )
        won = [end is None for end in (*sets, failed)]
        assert sum(won) + (cancelled or cancelled_too) == 1
        if cancelled or cancelled_too:
            assert made.cancelled()
        elif won[2]:
            assert isinstance(made.exception(5), KeyError)
        else:
            assert made.result(5) == ["first", "second"][won.index(True)]
        made.release()
    assert store.list() == []


def test_of_claimants_one_wins(store, scale):
    for _ in range(scale("patterns_futures.races")):
        made = future(store)
        claimants = [away(made) for _ in range(4)]
        ends = at_once(*(one.claim for one in claimants), made.cancel)
        won = [one for one, end in zip(claimants, ends, strict=False) if end is None]
        assert len(won) + ends[-1] == 1
        if won:
            won[0].set_result(1)
            assert made.result(5) == 1
        made.release()
    assert store.list() == []


def test_threads_that_share_a_future_share_its_claim(store, scale):
    for turn in range(scale("patterns_futures.races")):
        made = future(store)
        assert at_once(made.claim, made.claim, made.claim) == [None] * 3
        ends = at_once(*(lambda value=value: made.set_result(value) for value in (1, 1, 2)))  # noqa: B023  as above
        assert ends.count(None) == 1, turn
        assert made.result(5) == (1, 1, 2)[ends.index(None)]
        made.release()
    assert store.list() == []


def test_a_second_outcome_loses_however_it_is_given(store, scale):
    for _ in range(scale("patterns_futures.races")):
        made = future(store)
        made.claim()
        ends = at_once(lambda: made.set_result(1), lambda: made.set_exception(OSError()), made.cancel)  # noqa: B023
        assert ends[:2].count(None) == 1
        assert not ends[2]
        assert made.exception(5) is None or ends[0] is not None
        made.release()
    assert store.list() == []


def test_processes_have_one_winner(shared_store, scale):
    futures = [future(shared_store) for _ in range(scale("patterns_futures.process_races"))]
    gate, *ready = (future(shared_store) for _ in range(4))
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        answers = [pool.apply_async(future_peers.race, (futures, n, ready[n], gate)) for n in range(3)]
        assert not wait(ready, 60).not_done
        gate.set_result(None)
        won = [answer.get(100) for answer in answers]
        pool.close()
        pool.join()
    assert sorted(position for some in won for position in some) == list(range(len(futures)))
    for position, made in enumerate(futures):
        winner = next(number for number in range(3) if position in won[number])
        try:
            assert made.result(5) == winner
        except FutureCancelledError:
            assert position % 3 == winner == 0
    for made in (*futures, gate, *ready):
        made.release()
    assert shared_store.list() == []
