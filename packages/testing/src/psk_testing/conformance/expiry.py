"""Test expiry, and claims with their leases (C18, C44 to C50)."""

from __future__ import annotations

import time
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import SupportsExpiry, SupportsTake
from psk.errors import InvalidArgumentError
from psk.wire import encode
from psk_testing.concurrency import in_threads
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import MISSING, value_of
from psk_testing.timing import at_some_pace

STEP_SECONDS = 5000.0


class Expiring(Suite):
    """Test `ttl` and `renew`."""

    @rule(
        "C18",
        "C44",
        needs=(SupportsExpiry,),
        fix="look at the expiry in every call that reads, not only in the sweeper",
    )
    def test_an_expired_object_is_gone(self, connector: Any) -> None:
        calls = {"get": connector.get, "exists": connector.exists, "renew": lambda key: connector.renew(key, 9)}
        if hasattr(connector, "take"):
            calls["take"] = lambda key: connector.take(key, "me")
        if hasattr(connector, "get_range"):
            calls["get_range"] = lambda key: connector.get_range(key, 0, 9)
        if hasattr(connector, "keys"):
            calls["keys"] = lambda key: key in set(connector.keys())
        if hasattr(connector, "get_batch"):
            calls["get_batch"] = lambda key: connector.get_batch([key])[0]
            calls["exists_batch"] = lambda key: connector.exists_batch([key])[0]

        def attempt(pace: float) -> None:
            keys = {name: connector.put(encode("brief"), ttl=0.1 * pace) for name in calls}
            assert all(map(connector.exists, keys.values()))
            time.sleep(0.12 * pace)
            assert [name for name, call in calls.items() if call(keys[name])] == []

        at_some_pace(attempt)

    @rule("C44", needs=(SupportsExpiry,), fix="let the placing step of `put` replace an expired object")
    def test_an_expired_name_is_free_again(self, connector: Any) -> None:
        payload = encode("again")
        connector.put(payload, ttl=0.02)
        time.sleep(0.03)
        connector.put(payload)
        time.sleep(0.03)
        assert value_of(connector.get(payload.key)) == "again"

    @rule("C44", needs=(SupportsExpiry,), fix="let the channel count the time: its server's clock, or a monotonic one")
    @pytest.mark.parametrize("step", [-STEP_SECONDS, STEP_SECONDS])
    def test_a_step_of_the_clock_changes_nothing(
        self, connector: Any, monkeypatch: pytest.MonkeyPatch, step: float
    ) -> None:
        lasting, brief = connector.put(encode("lasting"), ttl=1000), connector.put(encode("brief"), ttl=0.05)
        now, now_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: now() + step)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(step * 1e9))
        assert connector.exists(lasting)
        assert value_of(connector.get(lasting)) == "lasting"
        time.sleep(0.07)
        assert not connector.exists(brief)
        assert connector.get(brief) is None

    @rule("C15", needs=(SupportsExpiry,), fix="leave the expiry alone when the payload is there already")
    def test_the_first_expiry_stays(self, connector: Any) -> None:
        payload = encode("same")
        connector.put(payload)
        connector.put(payload, ttl=0.01)
        time.sleep(0.02)
        assert connector.exists(payload.key)

    @rule("C45", needs=(SupportsExpiry,), fix="replace the expiry: longer, shorter or none; False for what is gone")
    def test_renewing_moves_the_expiry(self, connector: Any) -> None:
        def attempt(pace: float) -> None:
            key = connector.put(encode("longer"), ttl=0.1 * pace)
            assert connector.renew(key, 1000) is True
            forever = connector.put(encode("forever"), ttl=0.1 * pace)
            assert connector.renew(forever, None) is True
            shorter = connector.put(encode("shorter"))
            assert connector.renew(shorter, 0.1 * pace) is True
            time.sleep(0.12 * pace)
            assert connector.exists(key)
            assert connector.exists(forever)
            assert not connector.exists(shorter)

        at_some_pace(attempt)
        assert connector.renew(MISSING, 1) is False

    @rule("C15", "C44", needs=(SupportsExpiry,), fix="compare payloads without looking at their expiries")
    def test_an_expiry_outlives_the_connector_that_set_it(self, connector: Any, reopened: Any) -> None:
        brief, lasting = connector.put(encode("brief"), ttl=0.1), connector.put(encode("lasting"), ttl=1000)
        connector.close()
        time.sleep(0.12)
        assert reopened.get(brief) is None
        assert value_of(reopened.get(lasting)) == "lasting"


class Taking(Suite):
    """Test `take`."""

    @rule("C47", "C48", "C50", needs=(SupportsTake,), fix="keep the claim beside the object, and compare with it")
    def test_the_first_claim_wins(self, connector: Any, reopened: Any) -> None:
        key = connector.put(encode("prize"))
        assert value_of(connector.take(key, "first")) == "prize"
        assert connector.take(key, "second") is None
        assert reopened.take(key, "second") is None
        assert value_of(reopened.take(key, "first")) == "prize"
        assert connector.take(MISSING, "first") is None
        assert value_of(connector.get(key)) == "prize"
        assert connector.exists(key)

    @rule("C25", needs=(SupportsTake,), fix="take `size` for a hint: receive what the channel says it holds")
    @pytest.mark.parametrize("size", [0, 1, 1 << 62])
    def test_a_wrong_size_changes_no_take(self, connector: Any, size: int) -> None:
        key = connector.put(encode("x" * 1000))
        assert value_of(connector.take(key, "me", size=size)) == "x" * 1000

    @rule("C47", needs=(SupportsTake,), fix="look and claim in one atomic step of the channel")
    def test_a_race_has_one_winner(self, connector: Any, reopened: Any, count: Callable[[str], int]) -> None:
        for turn in range(count("take_races")):
            key = connector.put(encode(turn))

            def take(number: int, key: str = key) -> bool:
                return (connector, reopened)[number % 2].take(key, f"claim {number}") is not None

            assert in_threads(8, take).count(True) == 1
            connector.evict(key)

    @rule("C48", "C49", needs=(SupportsTake,), fix="keep when the lease ends beside the claim, by the channel's clock")
    def test_a_lease_gives_the_object_back(self, connector: Any) -> None:
        def attempt(pace: float) -> None:
            key = connector.put(encode("lent"))
            assert connector.take(key, "slow", lease=0.1 * pace) is not None
            assert connector.take(key, "next") is None
            assert connector.take(key, "slow", lease=0.2 * pace) is not None  # anew
            time.sleep(0.12 * pace)
            assert connector.take(key, "next") is None
            time.sleep(0.1 * pace)
            assert connector.take(key, "next") is not None
            assert connector.take(key, "slow") is None

        at_some_pace(attempt)

    @rule("C28", "C50", needs=(SupportsTake,), fix="remove the claim with its object")
    def test_evict_ends_a_claim(self, connector: Any) -> None:
        payload = encode("done")
        key = connector.put(payload)
        connector.take(key, "first")
        connector.evict(key)
        assert connector.take(key, "first") is None
        connector.put(payload)
        assert connector.take(key, "second") is not None

    @rule("C50", needs=(SupportsTake,), fix="pass the claim through `check_claim`")
    @pytest.mark.parametrize("claim", ["", "x" * 129, "new\nline", "é", None, b"bytes"])
    def test_a_senseless_claim_is_refused(self, connector: Any, claim: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            connector.take(MISSING, claim)

    @rule(
        "C50", needs=(SupportsTake,), fix="store claims as they are: up to 128 characters, spaces and quotes included"
    )
    def test_every_printable_claim_will_do(self, connector: Any) -> None:
        for claim in ("x" * 128, " ", "".join(map(chr, range(32, 127)))):
            key = connector.put(encode("claimed"))
            assert connector.take(key, claim) is not None
            assert connector.take(key, claim + "'" if len(claim) < 128 else "other") is None
            assert connector.take(key, claim) is not None
