"""Test `put`, `get`, `exists` and `evict` (C13 to C29)."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import Frames, SupportsExpiry, SupportsReserve
from psk.errors import CapabilityError, ChannelFullError, InvalidArgumentError, KeyExistsError
from psk.wire import Payload, encode, new_object_id
from psk_testing.concurrency import beside, in_threads
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import MISSING, framed, has, parts_of, pattern, same, value_of

SIZES = [100, 100_000, 5_000_000]
MORE_THAN_A_FEW = 50_000_000


class Putting(Suite):
    """Test `put`."""

    @pytest.fixture
    def small_uri(self) -> str | None:
        """The URI of a new, empty channel that has room for a few megabytes and no more; None skips its test."""
        return None

    @rule("C13", "C21", "C25", "C27", fix="write every buffer of `payload.buffers()`, and read all of them back")
    @pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 5_000_000])
    def test_what_was_put_is_what_is_got(self, connector: Any, size: int) -> None:
        value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        payload = encode(value)
        key = connector.put(payload)
        assert same(value_of(connector.get(key)), value)
        for hint in (7, payload.nbytes, 1 << 50):
            assert same(value_of(connector.get(key, size=hint)), value)
        assert connector.exists(key)

    @rule(
        "C15",
        fix="if the name is taken, compare with `is_same_payload`: equal bytes are success",
    )
    def test_the_same_payload_twice_is_one_put(self, connector: Any, reopened: Any) -> None:
        payload = encode([1, 2])
        key = connector.put(payload)
        assert connector.put(payload) == key
        assert reopened.put(Payload.parse(payload.tobytes())) == key
        assert value_of(connector.get(key)) == [1, 2]

    @rule("C15", "C16", fix="place the object with a call that fails if the name is taken: link, O_EXCL, SET NX")
    @pytest.mark.parametrize("checksum", [True, False])
    @pytest.mark.parametrize("size", [1, 3_000, 300_000])
    def test_another_payload_with_the_same_id_is_refused(self, connector: Any, size: int, checksum: bool) -> None:
        object_id = new_object_id()
        first, second, longer = (
            encode([text, text.encode()], object_id=object_id, checksum=checksum)
            for text in ("a" * size + "1", "a" * size + "2", "a" * size + "33")
        )
        key = connector.put(first)
        for other in (second, longer):
            with pytest.raises(KeyExistsError):
                connector.put(other)
        assert connector.put(first) == key
        value = value_of(connector.get(key))
        assert same(value, ["a" * size + "1", b"a" * size + b"1"])

    @rule(
        "C58",
        needs=(SupportsReserve,),
        fix="decide between writers in the channel, by one atomic step, not by looking first",
    )
    def test_of_two_writers_at_the_same_instant_one_wins(
        self, connector: Any, reopened: Any, count: Callable[[str], int]
    ) -> None:
        for _ in range(count("write_races")):
            object_id = new_object_id()

            def write(number: int, object_id: bytes = object_id) -> tuple[str, bool]:
                text = f"text {number % 2}"
                try:
                    (connector, reopened)[number // 2].put(encode(text, object_id=object_id))
                except KeyExistsError:
                    return text, False
                return text, True

            outcomes = in_threads(4, write)
            won = [text for text, success in outcomes if success]
            # Writers of the same payload all succeed: theirs is one put.
            assert len(won) == len(outcomes) - len(won) == 2
            assert {value_of(connector.get(object_id.hex()))} == set(won)

    @rule("C62", fix="let every call wait for a delivery that `put` accepted; only what was never put is missing")
    def test_what_was_accepted_is_never_missing(self, connector: Any, reopened: Any) -> None:
        for number in range(20):
            key = connector.put(encode(number))
            reader = (connector, reopened)[number % 2]
            assert (reader.exists(key) if number % 4 < 2 else value_of(reader.get(key)) == number) is True
            reader.evict(key)
            assert reader.get(key) is None

    @rule(
        "C63", fix="wait in `close` for the deliveries that this instance accepted, and raise `DeadlineError` if late"
    )
    def test_close_completes_what_was_accepted(self, connector: Any, reopened: Any) -> None:
        keys = [connector.put(encode(number)) for number in range(5)]
        connector.close(timeout=30)
        connector.close(timeout=0)
        assert [value_of(reopened.get(key)) for key in keys] == list(range(5))

    @rule("C17", fix="copy what you keep before `put` returns; a view of the caller's memory changes with it")
    @pytest.mark.parametrize("size", SIZES)
    def test_changes_after_the_put_are_not_seen(self, connector: Any, size: int) -> None:
        original, one = bytes(pattern(size)), pattern(size)
        many = [pattern(size), pattern(size // 2)]
        keys = connector.put(encode(one, checksum=False)), connector.put(framed(many, checksum=False))
        for part in (one, *many):
            part[:] = bytes(len(part))
        assert same(value_of(connector.get(keys[0])), original)
        assert same(parts_of(connector.get(keys[1])), [original, original[: size // 2]])

    @rule("C17", fix="share only what is `bytes` through and through; copy everything else")
    def test_a_connector_may_keep_what_cannot_change(self, connector: Any) -> None:
        value = b"constant" * 100_000
        assert same(value_of(connector.get(connector.put(encode(value)))), value)

    @rule("C18", needs=(SupportsExpiry,), fix="pass each ttl and lease through `check_ttl`, before anything is stored")
    @pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e30, "1"])
    def test_a_senseless_ttl_is_refused(self, connector: Any, ttl: Any) -> None:
        payload = encode(1)
        with pytest.raises(InvalidArgumentError):
            connector.put(payload, ttl=ttl)
        assert not connector.exists(payload.key)
        with pytest.raises(InvalidArgumentError):
            connector.renew(payload.key, ttl)
        if hasattr(connector, "take"):
            with pytest.raises(InvalidArgumentError):
                connector.take(payload.key, "me", lease=ttl)

    @rule("C18", needs=(SupportsExpiry,), fix="keep expiries in a type that holds a century of seconds")
    def test_a_century_is_not_too_long(self, connector: Any) -> None:
        key = connector.put(encode("heirloom"), ttl=3e9)
        assert connector.exists(key)
        connector.evict(key)

    @rule("C18", fix="raise `CapabilityError` where `ttl` is not None and the channel cannot keep it")
    def test_a_ttl_that_cannot_be_kept_is_refused(self, connector: Any) -> None:
        if has(connector, SupportsExpiry):
            pytest.skip(f"{connector.scheme} keeps expiries")
        payload = encode("brief")
        with pytest.raises(CapabilityError):
            connector.put(payload, ttl=1000)
        assert connector.get(payload.key) is None

    @rule("C19", fix="look up the hints that you know by name; never raise because of another one")
    def test_unknown_hints_are_ignored(self, connector: Any) -> None:
        key = connector.put(encode("hinted"), hints={"a wish that nobody knows": object()})
        assert value_of(connector.get(key)) == "hinted"

    @rule("C11", "C20", fix="turn the channel's own complaint into `ChannelFullError(what, found=[...], remedy=...)`")
    def test_a_full_channel_says_so(self, small_uri: str | None, opener: Callable[[str], Any]) -> None:
        if small_uri is None:
            pytest.skip("the suite has no fixture `small_uri`: a channel with room for a few megabytes")
        connector = opener(small_uri)
        try:
            fill_and_free(connector)
        finally:
            if hasattr(connector, "clear"):
                connector.clear()
            connector.close()


def fill_and_free(connector: Any) -> None:
    """Put until there is no room, and once more after an object was evicted."""
    size = 400_000
    keys: list[str] = []
    payload = encode(pattern(size))

    def fill() -> None:
        nonlocal payload
        while len(keys) * size < MORE_THAN_A_FEW:
            keys.append(connector.put(payload))
            payload = encode(pattern(size))

    with pytest.raises(ChannelFullError) as caught:
        fill()
    assert str(payload.nbytes) in str(caught.value)
    assert caught.value.remedy
    assert connector.get(payload.key) is None
    assert all(value_of(connector.get(key)) == pattern(size) for key in keys)
    connector.evict(keys.pop())
    assert same(value_of(connector.get(connector.put(payload))), pattern(size))


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

    @rule("C22", "C27", fix="return None, not an error, where nothing is stored under the key")
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

    @rule("C28", fix="let `evict` succeed where nothing is stored under the key")
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
