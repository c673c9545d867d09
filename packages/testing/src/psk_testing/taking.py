"""Does one claimant get an object, and no other, as C47 to C50 say?"""

from __future__ import annotations

import time
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import SupportsTake
from psk.errors import InvalidArgumentError
from psk.wire import encode
from psk_testing.citing import rule
from psk_testing.pace import at_some_pace
from psk_testing.suite import Suite
from psk_testing.threads import in_threads
from psk_testing.values import MISSING, value_of


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
