"""Test `wait` (C42)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import SupportsExpiry, SupportsReserve, SupportsWait
from psk.errors import DeadlineError
from psk.wire import encode
from psk_testing.concurrency import in_threads
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import MISSING
from psk_testing.timing import at_some_pace, becomes, timed

USUAL_DELAY = 0.05
"""Seconds within which half of the waiters are awake: who polls without need takes longer, a busy machine does not."""

EXPIRES_WITHIN = 2.0
"""Seconds within which an object with a short `ttl` is gone, on a busy machine too."""


class Waiting(Suite):
    """Test `wait`."""

    @rule("C42", needs=(SupportsWait,), fix="look at all keys first; return those that exist in the order given")
    def test_wait_returns_what_is_there(self, connector: Any) -> None:
        keys = [connector.put(encode(number)) for number in range(3)]
        assert connector.wait([keys[2], MISSING, keys[0]], timeout=1) == [keys[2], keys[0]]
        with pytest.raises(DeadlineError):
            connector.wait([MISSING], timeout=0)

    @rule(
        "C5", "C42", needs=(SupportsWait,), fix="wait for the notification no longer than `deadline - time.monotonic()`"
    )
    def test_wait_ends_when_time_is_up(self, connector: Any) -> None:
        with timed() as clock, pytest.raises(DeadlineError):
            connector.wait([MISSING], timeout=0.1)
        assert not clock.late(0.1)
        assert clock.seconds >= 0.1

    @rule("C42", needs=(SupportsWait,), fix="subscribe first and look then, so that nothing comes between the two")
    def test_wait_wakes_up_with_the_object(self, connector: Any, reopened: Any, count: Callable[[str], int]) -> None:
        def attempt(_: float) -> None:
            delays = sorted(waking(connector, (connector, reopened)[turn % 2]) for turn in range(count("wakings")))
            assert delays[len(delays) // 2] < USUAL_DELAY

        at_some_pace(attempt)

    @rule("C42", needs=(SupportsWait,), fix="wake every waiter, not one of them")
    def test_many_wait_for_one(self, connector: Any) -> None:
        payload = encode("for all")
        timer = threading.Timer(0.05, connector.put, [payload])
        timer.start()
        found = in_threads(16, lambda _: connector.wait([MISSING, payload.key], timeout=10))
        timer.join()
        assert found == [[payload.key]] * 16

    @rule("C42", "C44", needs=(SupportsWait, SupportsExpiry), fix="let `wait` see what `exists` sees")
    def test_what_has_gone_is_not_waited_for(self, connector: Any) -> None:
        evicted, expired = connector.put(encode("evicted")), connector.put(encode("expired"), ttl=0.02)
        connector.evict(evicted)
        assert becomes(lambda: not connector.exists(expired), within=EXPIRES_WITHIN)
        with pytest.raises(DeadlineError):
            connector.wait([evicted, expired], timeout=0.05)


def waking(connector: Any, writer: Any) -> float:
    """Wait for an object that is put a moment later; return the seconds from the put to the end of the wait."""
    payload = encode("here")
    done: list[Any] = []

    def wait() -> None:
        done.append((connector.wait([payload.key], timeout=10), time.monotonic()))

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    time.sleep(0.005)
    put = time.monotonic()
    if isinstance(writer, SupportsReserve):
        writer.fulfil(writer.reserve(payload.object_id), payload)
    else:
        writer.put(payload)
    waiter.join()
    found, awake = done[0]
    assert found == [payload.key]
    return float(awake - put)
