"""Does a connector name its objects, and refuse what is no name, as C1 to C4 say?"""

from __future__ import annotations

from typing import Any

import pytest

from psk.connectors import validate_key
from psk.errors import InvalidKeyError
from psk.wire import Payload, encode
from psk_testing.citing import rule
from psk_testing.operations import keyed_calls, refusals
from psk_testing.suite import Suite
from psk_testing.values import HOSTILE_KEYS, MISSING

LONGEST_MESSAGE = 300


class Keys(Suite):
    """Test what is a key."""

    @rule("C1", "C2", fix="return `payload.key`, with `@<where>` behind it only if the reader must know a place")
    def test_a_key_begins_with_the_object_id(self, connector: Any) -> None:
        payload = encode("value")
        key = connector.put(payload)
        assert key.startswith(payload.object_id.hex())
        assert validate_key(key) == key
        assert Payload.parse(connector.get(key)).object_id == payload.object_id

    @rule("C3", "C4", fix="call `validate_plain_key(key)` first of all in every method that takes a key")
    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key)[:30])
    def test_a_hostile_key_is_refused_shortly(self, connector: Any, key: Any) -> None:
        calls = keyed_calls(connector)
        assert refusals(calls, InvalidKeyError, key) == []
        for call in calls.values():
            with pytest.raises(InvalidKeyError) as caught:
                call(key)
            assert len(str(caught.value)) < LONGEST_MESSAGE

    @rule("C3", fix="use `validate_plain_key`, not `validate_key`, where keys name no place")
    def test_a_place_is_refused_where_there_are_none(self, connector: Any) -> None:
        key = connector.put(encode("no place"))
        if "@" in key:
            pytest.skip(f"{connector.scheme} has places")
        assert refusals(keyed_calls(connector), InvalidKeyError, f"{key}@elsewhere") == []
        assert refusals(keyed_calls(connector), InvalidKeyError, f"{MISSING}@elsewhere") == []
