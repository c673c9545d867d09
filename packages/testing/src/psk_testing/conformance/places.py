"""Test where keys lead: to the places that the URI fixes, and never to an address (C4, C60)."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from contextlib import suppress
from typing import Any

import pytest

from psk.connectors import SupportsList
from psk.errors import PskError
from psk.wire import encode
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import has, keyed_calls, plain_key, value_of


class Places(Suite):
    """Test keys that name a place."""

    @pytest.fixture
    def other_place_uri(self) -> str | None:
        """The URI of the same channel for an instance in another place; None if the channel has no places."""
        return None

    @rule("C4", fix="look the place up among those that the URI names; never connect to what a key says")
    def test_a_key_makes_nobody_contact_an_address(self, connector: Any) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            port = listening.getsockname()[1]
            for where in (f"127.0.0.1:{port}", f"@127.0.0.1:{port}", f"tcp+127.0.0.1:{port}", f"localhost:{port}"):
                for call in keyed_calls(connector).values():
                    with suppress(PskError):
                        call(f"{plain_key()}@{where}", timeout=0.2)
            assert select.select([listening], [], [], 0)[0] == []

    @rule("C60", fix="complete a key without a place by the place of this instance; list and clear that place alone")
    def test_an_instance_speaks_for_its_own_place(
        self, connector: Any, other_place_uri: str | None, opener: Callable[[str], Any]
    ) -> None:
        if other_place_uri is None:
            pytest.skip("the suite has no fixture `other_place_uri`, for channels with places")
        with opener(other_place_uri) as other:
            key, foreign = connector.put(encode("here")), other.put(encode("there"))
            assert value_of(connector.get(key[:32])) == "here"
            assert connector.get(foreign[:32]) is None
            assert value_of(connector.get(foreign)) == "there"
            assert value_of(other.get(foreign[:32])) == "there"
            if has(connector, SupportsList):
                assert list(connector.keys()) == [key]
                assert list(other.keys()) == [foreign]
                assert connector.clear() == 1
            assert other.exists(foreign)
            other.evict(foreign)
