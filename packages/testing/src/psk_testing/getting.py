"""Does `get` return what was put, or nothing, as C21 to C29 say, whatever else happens at that moment?"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import Frames
from psk.wire import Payload, encode
from psk_testing.citing import rule
from psk_testing.suite import Suite
from psk_testing.threads import beside
from psk_testing.values import MISSING, framed, parts_of, pattern, same, value_of

SIZES = [100, 100_000, 3_000_000]


class Getting(Suite):
    """Test `get`, `exists` and `evict`."""

    @rule("C21", "C23", fix="return `Frames` with one buffer, or with the header block and one buffer for each frame")
    def test_a_payload_of_many_frames_comes_back(self, connector: Any) -> None:
        parts = [pattern(8_000), pattern(12_004, 7), pattern(2_000_000, 9)]
        frames = connector.get(connector.put(framed(parts)))
        assert isinstance(frames, Frames)
        assert same(parts_of(frames), parts)

    @rule("C21", fix="write at most IOV_MAX buffers with one call, and go on after a short write")
    def test_more_frames_than_one_system_call_takes(self, connector: Any) -> None:
        parts = [bytearray([number % 251]) * 4096 for number in range(3000)]
        assert same(parts_of(connector.get(connector.put(framed(parts)))), parts)

    @rule("C21", fix="a payload may be its header alone")
    def test_a_payload_without_frames_comes_back(self, connector: Any) -> None:
        payload = Payload.build("none", [])
        assert Payload.parse(connector.get(connector.put(payload))).frame_sizes == ()

    @rule("C22", "C27", fix="return None, not an error, where nothing stands under the key")
    def test_a_missing_object_is_none(self, connector: Any) -> None:
        assert connector.get(MISSING) is None
        assert connector.exists(MISSING) is False

    @rule("C23", fix="receive into memory of this call alone (`allocate`), or return read-only buffers")
    @pytest.mark.parametrize("size", SIZES)
    def test_readers_do_not_see_each_others_changes(self, connector: Any, size: int) -> None:
        parts = [pattern(size), pattern(size // 2)]
        for payload, expected in ((framed(parts), parts), (encode(memoryview(parts[0])), parts[:1])):
            key = connector.put(payload)
            frames, others = connector.get(key), connector.get(key)
            first, second = parts_of(frames), parts_of(others)
            for view in (*(memoryview(buffer) for buffer in frames.buffers), *first):
                if not view.readonly:
                    view[:] = bytes(view.nbytes)
            assert not any(map(any, first))
            assert same(second, expected)
            assert same(parts_of(connector.get(key)), expected)

    @rule("C23", fix="hand a buffer that several readers get out as `memoryview(...).toreadonly()`")
    def test_shared_buffers_are_read_only(self, connector: Any) -> None:
        key = connector.put(framed([pattern(800_000)]))
        first, second = connector.get(key), connector.get(key)
        for one, other in zip(first.buffers, second.buffers, strict=True):
            assert one is not other or memoryview(one).readonly
        assert isinstance(first, Frames)

    @rule("C25", fix="take `size` for a hint: receive what the channel says it holds")
    @pytest.mark.parametrize("size", [0, 1, 100, 1 << 62])
    def test_a_wrong_size_changes_nothing(self, connector: Any, size: int) -> None:
        key = connector.put(encode(pattern(100_000)))
        assert same(value_of(connector.get(key, size=size)), pattern(100_000))
        assert connector.get(MISSING, size=size) is None

    @rule("C28", fix="let `evict` succeed where nothing stands under the key")
    def test_evict_removes_and_may_be_repeated(self, connector: Any) -> None:
        key = connector.put(encode(1))
        for _ in range(3):
            connector.evict(key)
            assert connector.get(key) is None
            assert not connector.exists(key)

    @rule("C22", "C28", fix="forget everything about an evicted object, so that its name is free")
    def test_an_evicted_object_can_be_put_again(self, connector: Any, reopened: Any) -> None:
        payload = encode("again")
        for _ in range(3):
            key = connector.put(payload)
            assert value_of(reopened.get(key)) == "again"
            reopened.evict(key)
            assert connector.get(key) is None

    @rule("C14", "C21", "C29", fix="make a whole object visible by one step, and keep what a reader has opened")
    def test_get_beside_put_and_evict_is_whole_or_nothing(
        self, connector: Any, reopened: Any, count: Callable[[str], int]
    ) -> None:
        payloads = [framed([bytearray([number]) * 160_000] * 2) for number in range(50)]
        seen = 0

        def read() -> None:
            nonlocal seen
            for number, payload in enumerate(payloads):
                frames = (connector, reopened)[number % 2].get(payload.key)
                if frames is not None:
                    seen += 1
                    parts = parts_of(frames)
                    assert [bytes(part[:1]) * len(part) for part in parts] == parts == [bytes([number]) * 160_000] * 2

        with beside(read):
            for _ in range(count("evictions")):
                for payload in payloads:
                    connector.put(payload)
                for payload in payloads:
                    connector.evict(payload.key)
        for payload in payloads:
            assert connector.get(payload.key) is None
