"""Can the objects of a channel be listed and cleared, as C55 and C56 say?"""

from __future__ import annotations

from typing import Any

from psk.connectors import SupportsExpiry, SupportsList, SupportsTake
from psk.wire import encode
from psk_testing.citing import rule
from psk_testing.operations import has
from psk_testing.suite import Suite
from psk_testing.threads import beside
from psk_testing.values import value_of


class Listing(Suite):
    """Test `keys` and `clear`."""

    @rule("C55", "C56", needs=(SupportsList,), fix="list objects alone, not their claims, parts or temporary files")
    def test_keys_and_clear(self, connector: Any, reopened: Any) -> None:
        keys = {connector.put(encode(number)) for number in range(10)}
        if has(connector, SupportsExpiry):
            keys.add(connector.put(encode("with expiry"), ttl=1000))
        if has(connector, SupportsTake):
            connector.take(min(keys), "claim")
        assert set(connector.keys()) == set(reopened.keys()) == keys
        assert len(list(connector.keys())) == len(keys)
        assert reopened.clear() == len(keys)
        assert list(connector.keys()) == []
        assert connector.clear() == 0
        assert [key for key in keys if connector.exists(key)] == []

    @rule("C55", needs=(SupportsList,), fix="go on where the listing stood when something comes or goes meanwhile")
    def test_keys_beside_changes_name_what_stays(self, connector: Any, reopened: Any) -> None:
        stay = {connector.put(encode(number)) for number in range(50)}

        def change() -> None:
            reopened.evict(reopened.put(encode("comes and goes")))

        with beside(change):
            for _ in range(5):
                assert stay <= set(connector.keys())

    @rule("C56", needs=(SupportsList,), fix="count what was deleted, and leave the channel usable")
    def test_a_cleared_channel_goes_on(self, connector: Any) -> None:
        payload = encode("again")
        for _ in range(3):
            key = connector.put(payload)
            assert connector.clear() == 1
            assert connector.get(key) is None
        assert value_of(connector.get(connector.put(payload))) == "again"
