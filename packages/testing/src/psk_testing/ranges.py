"""Does a range give a part of the whole, as C54 says?"""

from __future__ import annotations

from typing import Any

import pytest

from psk.connectors import SupportsRange
from psk.errors import InvalidArgumentError
from psk.wire import encode
from psk_testing.citing import rule
from psk_testing.suite import Suite
from psk_testing.values import MISSING, framed, pattern, same


class Ranges(Suite):
    """Test `get_range`."""

    @rule("C54", needs=(SupportsRange,), fix="count offsets over the payload as `tobytes()` gives it, padding included")
    @pytest.mark.parametrize("size", [10, 200_000])
    def test_a_range_is_a_part_of_the_whole(self, connector: Any, size: int) -> None:
        for payload in (encode([b"x" * size, pattern(size)]), framed([pattern(size), pattern(size // 3)])):
            whole = payload.tobytes()
            key = connector.put(payload)
            end = len(whole)
            cuts = ((0, end), (0, 0), (5, 60), (60, 100), (end - 3, 10), (end, 5), (end + 9, 5), (0, 2 * end))
            for offset, length in cuts:
                part = connector.get_range(key, offset, length)
                assert isinstance(part, memoryview)
                assert same(bytes(part), whole[offset : offset + length])
        assert connector.get_range(MISSING, 0, 1) is None

    @rule("C54", needs=(SupportsRange,), fix="pass offset and length through `check_range`")
    @pytest.mark.parametrize("wrong", [(-1, 1), (0, -1), ("0", 1), (0, None)])
    def test_a_senseless_range_is_refused(self, connector: Any, wrong: tuple[Any, Any]) -> None:
        for key in (MISSING, connector.put(encode("there"))):
            with pytest.raises(InvalidArgumentError):
                connector.get_range(key, *wrong)
