"""Does each answer of a batch stand at the place of its question, as C43 says?"""

from __future__ import annotations

from typing import Any

import pytest

from psk.connectors import SupportsBatch
from psk.errors import KeyExistsError
from psk.wire import encode
from psk_testing.citing import rule
from psk_testing.suite import Suite
from psk_testing.values import MISSING, value_of


class Batching(Suite):
    """Test the calls on many objects."""

    @rule("C43", needs=(SupportsBatch,), fix="collect the answers in the order of the questions, None for missing ones")
    def test_batches_answer_in_order(self, connector: Any) -> None:
        keys = connector.put_batch([encode(number) for number in range(5)])
        connector.evict_batch(keys[1:2])
        assert connector.exists_batch(keys) == [True, False, True, True, True]
        got = connector.get_batch(keys)
        assert [frames and value_of(frames) for frames in got] == [0, None, 2, 3, 4]

    @rule("C43", needs=(SupportsBatch,), fix="answer an empty batch with an empty list")
    def test_an_empty_batch_is_answered(self, connector: Any) -> None:
        assert connector.put_batch([]) == connector.get_batch([]) == connector.exists_batch([]) == []
        connector.evict_batch([])

    @rule("C15", "C28", "C43", needs=(SupportsBatch,), fix="treat each object of a batch as the single call does")
    def test_a_batch_may_be_repeated_and_name_a_key_twice(self, connector: Any) -> None:
        payloads = [encode(number) for number in range(3)]
        keys = connector.put_batch(payloads)
        assert connector.put_batch(payloads) == keys
        asked = [keys[0], MISSING, keys[0]]
        assert [frames and value_of(frames) for frames in connector.get_batch(asked)] == [0, None, 0]
        connector.evict_batch(asked)
        assert connector.exists_batch(keys) == [False, True, True]

    @rule("C16", "C43", needs=(SupportsBatch,), fix="never overwrite in a batch either")
    def test_a_batch_overwrites_nothing(self, connector: Any) -> None:
        first = encode("first")
        connector.put(first)
        with pytest.raises(KeyExistsError):
            connector.put_batch([encode("new"), encode("second", object_id=first.object_id)])
        assert value_of(connector.get(first.key)) == "first"
