"""Test registered waits (C68, C69)."""

from __future__ import annotations

import select
import threading
import time
from typing import Any

import pytest

from psk.connectors import SupportsExpiry, SupportsReserve, SupportsWatch
from psk.errors import ConnectorClosedError, InvalidKeyError
from psk.wire import encode
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import MISSING, has, plain_key
from psk_testing.residue import FEW, piled_up, residue
from psk_testing.timing import at_some_pace, becomes

PATIENCE_SECONDS = 5.0
MANY = 2000
"""Number of keys that must not slow down a dispatch."""

DISPATCHES = 50


class Watching(Suite):
    """Test `watcher`."""

    @rule("C68", "C69", needs=(SupportsWatch,), fix="register first and look then, so that nothing comes in between")
    def test_a_watcher_calls_for_what_is_there_and_for_what_comes(self, connector: Any, reopened: Any) -> None:
        there, coming = encode("there"), encode("coming")
        called: list[str] = []
        with closing(connector.watcher()) as watcher:
            keys = [connector.put(there), reserved(connector, coming), MISSING]
            for key in keys:
                watcher.add(key, called.append)
            serve(watcher, lambda: called == keys[:1])
            assert called == keys[:1]
            # The put is in another thread and instance, and may come before or after the wait for the descriptor.
            timer = threading.Timer(0.05, put_under, [reopened, keys[1], coming])
            timer.start()
            serve(watcher, lambda: called == keys[:2])
            timer.join()
            assert called == keys[:2]
            watcher.dispatch()
            assert called == keys[:2]

    @rule("C68", needs=(SupportsWatch,), fix="forget a key with its callback, and an old callback for a new one")
    def test_a_key_is_called_for_once_and_not_when_it_is_discarded(self, connector: Any) -> None:
        called: list[str] = []
        payload = encode("wanted")
        with closing(connector.watcher()) as watcher:
            key = reserved(connector, payload)
            watcher.add(key, lambda key: called.append(f"old {key}"))
            watcher.add(key, called.append)
            watcher.discard(plain_key())
            put_under(connector, key, payload)
            serve(watcher, lambda: called)
            watcher.dispatch()
            assert called == [key]
            watcher.add(key, called.append)
            watcher.discard(key)
            watcher.dispatch()
            assert called == [key]
            with pytest.raises(InvalidKeyError):
                watcher.add("no key", called.append)

    @rule(
        "C27", "C68", needs=(SupportsWatch,), fix="look whether the object still exists before the callback is called"
    )
    def test_what_has_gone_is_not_called_for(self, connector: Any) -> None:
        called: list[str] = []
        with closing(connector.watcher()) as watcher:
            payloads = [encode("evicted"), encode("expired")]
            keys = [reserved(connector, payload) for payload in payloads]
            for key in keys:
                watcher.add(key, called.append)
            put_under(connector, keys[0], payloads[0])
            connector.evict(keys[0])
            if has(connector, SupportsExpiry):
                expired = connector.put(payloads[1], ttl=0.02)
                assert becomes(lambda: not connector.exists(expired), within=PATIENCE_SECONDS)
            watcher.dispatch()
            assert called == []
            # It is still watched, and called for when it comes back.
            put_under(connector, keys[0], payloads[0])
            serve(watcher, lambda: called)
            assert called == [keys[0]]

    @rule("C69", needs=(SupportsWatch,), fix="keep what arrived in a queue; do not look at every key in each dispatch")
    def test_a_dispatch_costs_the_same_with_many_keys(self, connector: Any) -> None:
        def seconds(keys: int) -> float:
            with closing(connector.watcher()) as watcher:
                for _ in range(keys):
                    watcher.add(plain_key(), print)
                watcher.dispatch()
                start = time.thread_time()
                for _ in range(DISPATCHES):
                    watcher.dispatch()
                return time.thread_time() - start

        def attempt(_: float) -> None:
            few = min(seconds(2), seconds(2))
            assert min(seconds(MANY), seconds(MANY)) < 20 * few + 0.002

        at_some_pace(attempt)

    @rule("C10", "C68", needs=(SupportsWatch,), fix="wake the watchers in `close`, and refuse them then")
    def test_a_watcher_of_a_closed_connector_says_so(self, connector: Any) -> None:
        watcher = connector.watcher()
        watcher.add(plain_key(), print)
        connector.close()
        with pytest.raises(ConnectorClosedError):
            watcher.dispatch()
        watcher.close()
        watcher.close()
        with pytest.raises(ConnectorClosedError):
            connector.watcher()

    @rule("C11", "C34", needs=(SupportsWatch,), fix="close the descriptor in `close` and when the watcher is collected")
    def test_watchers_leave_nothing(self, connector: Any) -> None:
        before = residue()
        for number in range(2 * FEW):
            watcher = connector.watcher()
            watcher.add(plain_key(), print)
            if number % 2:
                watcher.close()
            del watcher
        assert piled_up(before) == []


class closing:  # noqa: N801  named as that of contextlib, which cannot be typed here
    """Close a watcher at the end of a block; only `close` is part of the contract."""

    def __init__(self, watcher: Any) -> None:
        self.watcher = watcher

    def __enter__(self) -> Any:
        return self.watcher

    def __exit__(self, *_: object) -> None:
        self.watcher.close()


def serve(watcher: Any, done: Any) -> None:
    """Run an event loop for one watcher until something is done, as the contract says that loops do."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = watcher.dispatch()
    while not done():
        left = deadline - time.monotonic()
        assert left > 0, "no callback came, and the descriptor was not readable"
        descriptor = watcher.fileno()
        if descriptor is None:
            time.sleep(min(pause, left))
        elif not select.select([descriptor], [], [], left if pause is None else min(pause, left))[0] and pause is None:
            continue  # nothing to do, says the descriptor
        pause = watcher.dispatch()


def reserved(connector: Any, payload: Any) -> str:
    """Return the key that a payload will have."""
    if has(connector, SupportsReserve):
        key: str = connector.reserve(payload.object_id)
        return key
    plain: str = payload.key
    return plain


def put_under(connector: Any, key: str, payload: Any) -> None:
    """Put a payload under the key that `reserved` gave."""
    if has(connector, SupportsReserve):
        connector.fulfil(key, payload)
    else:
        connector.put(payload)
