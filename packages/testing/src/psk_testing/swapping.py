"""Does an object change version by version, as C51 to C53 say?"""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import SupportsExpiry, SupportsSwap
from psk.errors import InvalidKeyError, MissingKeyError, RevisionConflictError
from psk.wire import encode
from psk_testing.citing import rule
from psk_testing.pace import at_some_pace
from psk_testing.suite import Suite
from psk_testing.threads import in_threads
from psk_testing.values import value_of


class Swapping(Suite):
    """Test `swap`."""

    @rule("C51", "C53", needs=(SupportsSwap,), fix="compare revisions, and the whole payload where they are equal")
    @pytest.mark.parametrize("checksum", [True, False])
    def test_a_swap_follows_the_current_revision(self, connector: Any, checksum: bool) -> None:
        first = encode("one", checksum=checksum)
        key = connector.put(first)
        second = encode("two", object_id=first.object_id, revision=1, checksum=checksum)
        connector.swap(key, second)
        connector.swap(key, second)
        assert value_of(connector.get(key)) == "two"
        for revision in (0, 1, 3):
            with pytest.raises(RevisionConflictError, match="revision 1"):
                connector.swap(key, encode("off", object_id=first.object_id, revision=revision, checksum=checksum))
        with pytest.raises(InvalidKeyError):
            connector.swap(key, encode("foreign", revision=2))
        assert value_of(connector.get(key)) == "two"
        connector.evict(key)
        with pytest.raises(MissingKeyError):
            connector.swap(key, encode("gone", object_id=first.object_id, revision=2))

    @rule("C51", needs=(SupportsSwap,), fix="compare and replace in one atomic step of the channel")
    def test_of_many_swaps_one_succeeds(self, connector: Any, reopened: Any, count: Callable[[str], int]) -> None:
        payload = encode(0)
        key = connector.put(payload)
        for revision in range(1, count("swap_races")):

            def swap(number: int, revision: int = revision) -> bool:
                new = encode(number, object_id=payload.object_id, revision=revision)
                try:
                    (connector, reopened)[number % 2].swap(key, new)
                except RevisionConflictError:
                    return False
                return True

            assert in_threads(6, swap).count(True) == 1

    @rule("C52", needs=(SupportsSwap,), fix="read from where swaps are decided, not from a copy that lags behind")
    def test_swaps_are_never_seen_going_backwards(self, connector: Any, count: Callable[[str], int]) -> None:
        payload = encode(0)
        key = connector.put(payload)
        seen: dict[int, list[Any]] = collections.defaultdict(list)
        stop = threading.Event()

        def swap() -> None:
            try:
                for revision in range(1, count("swaps")):
                    connector.swap(key, encode(revision, object_id=payload.object_id, revision=revision))
                    if revision % 20 == 0:
                        time.sleep(0.0001)  # lets the readers come in between
            finally:
                stop.set()

        def read(number: int) -> None:
            if number == 0:
                swap()
            while not stop.is_set():
                seen[number].append(value_of(connector.get(key)))

        in_threads(4, read)
        assert all(values == sorted(values) for values in seen.values())
        assert any(len(set(values)) > 2 for values in seen.values())

    @rule(
        "C53", needs=(SupportsSwap, SupportsExpiry), fix="carry the expiry over where `ttl` is None, else set it anew"
    )
    def test_a_swap_keeps_or_moves_the_expiry(self, connector: Any) -> None:
        def attempt(pace: float) -> None:
            keys = {}
            for name, before, after in (("kept", 0.1 * pace, None), ("moved", 0.1 * pace, 1000), ("none", None, None)):
                payload = encode(name)
                keys[name] = connector.put(payload, ttl=before)
                connector.swap(keys[name], encode(name, object_id=payload.object_id, revision=1), ttl=after)
            time.sleep(0.12 * pace)
            assert [name for name, key in keys.items() if connector.exists(key)] == ["moved", "none"]

        at_some_pace(attempt)
