"""Can an object be named before it exists, as C40 and C41 say?"""

from __future__ import annotations

from typing import Any

import pytest

from psk.connectors import SupportsReserve
from psk.errors import InvalidArgumentError, InvalidKeyError, KeyExistsError
from psk.wire import encode, new_object_id
from psk_testing.citing import rule
from psk_testing.suite import Suite
from psk_testing.values import value_of


class Reserving(Suite):
    """Test `reserve` and `fulfil`."""

    @rule("C40", "C41", needs=(SupportsReserve,), fix="let `reserve` name a key and store nothing; `fulfil` is a `put`")
    def test_a_reserved_key_has_its_object_later(self, connector: Any) -> None:
        object_id = new_object_id()
        key = connector.reserve(object_id, ttl=100)
        assert connector.get(key) is None
        assert not connector.exists(key)
        connector.fulfil(key, encode("later", object_id=object_id))
        connector.fulfil(key, encode("later", object_id=object_id))
        assert value_of(connector.get(key)) == "later"
        with pytest.raises(KeyExistsError):
            connector.fulfil(key, encode("too late", object_id=object_id))

    @rule("C41", needs=(SupportsReserve,), fix="compare with `check_object_id(key, payload.object_id)`")
    def test_a_reserved_key_refuses_another_object(self, connector: Any) -> None:
        key = connector.reserve(new_object_id())
        with pytest.raises(InvalidKeyError, match="another object"):
            connector.fulfil(key, encode("foreign"))
        assert connector.get(key) is None

    @rule("C40", needs=(SupportsReserve,), fix="make the key with `key_of(object_id)`, which checks its kind")
    @pytest.mark.parametrize("wrong", [b"short", "0" * 32, None])
    def test_a_senseless_object_id_is_refused(self, connector: Any, wrong: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            connector.reserve(wrong)
