"""Test the capabilities that need no clock: reserve, batch, swap, range, list, async (C39 to C43, C51 to C57)."""

from __future__ import annotations

import asyncio
import collections
import threading
import time
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from functools import partial
from typing import Any

import pytest

from psk.connectors import (
    CAPABILITIES,
    SupportsAsync,
    SupportsBatch,
    SupportsExpiry,
    SupportsList,
    SupportsRange,
    SupportsReserve,
    SupportsSwap,
    SupportsTake,
)
from psk.errors import InvalidArgumentError, InvalidKeyError, KeyExistsError, MissingKeyError, RevisionConflictError
from psk.wire import encode, new_object_id
from psk_testing.concurrency import beside, in_threads
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import MISSING, framed, has, parts_of, pattern, same, value_of
from psk_testing.timing import at_some_pace, becomes


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
        with pytest.raises(InvalidKeyError, match="different object"):
            connector.fulfil(key, encode("foreign"))
        assert connector.get(key) is None

    @rule("C40", needs=(SupportsReserve,), fix="make the key with `key_of(object_id)`, which checks its kind")
    @pytest.mark.parametrize("wrong", [b"short", "0" * 32, None])
    def test_a_senseless_object_id_is_refused(self, connector: Any, wrong: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            connector.reserve(wrong)


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

    @rule("C25", needs=(SupportsBatch,), fix="take `sizes` for hints: receive what the channel says it holds")
    @pytest.mark.parametrize("size", [0, 1, 100, 1 << 62, None])
    def test_wrong_sizes_change_nothing(self, connector: Any, size: int | None) -> None:
        keys = connector.put_batch([encode(pattern(length)) for length in (10, 1000, 100_000)])
        got = connector.get_batch([*keys, MISSING], sizes=[size] * 4)
        assert [frames and len(parts_of(frames)[0]) for frames in got] == [10, 1000, 100_000, None]

    @rule("C16", "C43", needs=(SupportsBatch,), fix="never overwrite in a batch either")
    def test_a_batch_overwrites_nothing(self, connector: Any) -> None:
        first = encode("first")
        connector.put(first)
        with pytest.raises(KeyExistsError):
            connector.put_batch([encode("new"), encode("second", object_id=first.object_id)])
        assert value_of(connector.get(first.key)) == "first"


class Swapping(Suite):
    """Test `swap`."""

    @rule("C51", "C53", needs=(SupportsSwap,), fix="compare revisions, and the whole payload where they are equal")
    @pytest.mark.parametrize("checksum", [True, False])
    def test_a_swap_follows_the_current_revision(self, connector: Any, checksum: bool) -> None:
        first = encode("one", checksum=checksum)
        key = connector.put(first)
        second = encode("two", object_id=first.object_id, revision=1, checksum=checksum)
        connector.swap(key, second)
        connector.swap(key, second)
        assert value_of(connector.get(key)) == "two"
        for revision in (0, 1, 3):
            with pytest.raises(RevisionConflictError, match="revision 1"):
                connector.swap(key, encode("off", object_id=first.object_id, revision=revision, checksum=checksum))
        with pytest.raises(InvalidKeyError):
            connector.swap(key, encode("foreign", revision=2))
        assert value_of(connector.get(key)) == "two"
        connector.evict(key)
        with pytest.raises(MissingKeyError):
            connector.swap(key, encode("gone", object_id=first.object_id, revision=2))

    @rule("C51", needs=(SupportsSwap,), fix="compare and replace in one atomic step of the channel")
    def test_of_many_swaps_one_succeeds(self, connector: Any, reopened: Any, count: Callable[[str], int]) -> None:
        payload = encode(0)
        key = connector.put(payload)
        for revision in range(1, count("swap_races")):

            def swap(number: int, revision: int = revision) -> bool:
                new = encode(number, object_id=payload.object_id, revision=revision)
                try:
                    (connector, reopened)[number % 2].swap(key, new)
                except RevisionConflictError:
                    return False
                return True

            assert in_threads(6, swap).count(True) == 1

    @rule("C52", needs=(SupportsSwap,), fix="read from where swaps are decided, not from a copy that lags behind")
    def test_swaps_are_never_seen_going_backwards(self, connector: Any, count: Callable[[str], int]) -> None:
        payload = encode(0)
        key = connector.put(payload)
        seen: dict[int, list[Any]] = collections.defaultdict(list)
        stop = threading.Event()

        def is_read(revision: int) -> bool:
            return any(revision in values for values in list(seen.values()))

        def swap() -> None:
            try:
                for revision in range(1, count("swaps")):
                    connector.swap(key, encode(revision, object_id=payload.object_id, revision=revision))
                    if revision % 20 == 0:  # let a reader come in between, however busy the machine is
                        becomes(partial(is_read, revision), within=1)
            finally:
                stop.set()

        def read(number: int) -> None:
            if number == 0:
                swap()
            while not stop.is_set():
                seen[number].append(value_of(connector.get(key)))

        in_threads(4, read)
        assert all(values == sorted(values) for values in seen.values())
        assert any(len(set(values)) > 2 for values in seen.values())

    @rule(
        "C53", needs=(SupportsSwap, SupportsExpiry), fix="carry the expiry over where `ttl` is None, else set it again"
    )
    def test_a_swap_keeps_or_moves_the_expiry(self, connector: Any) -> None:
        def attempt(pace: float) -> None:
            keys = {}
            for name, before, after in (("kept", 0.1 * pace, None), ("moved", 0.1 * pace, 1000), ("none", None, None)):
                payload = encode(name)
                keys[name] = connector.put(payload, ttl=before)
                connector.swap(keys[name], encode(name, object_id=payload.object_id, revision=1), ttl=after)
            time.sleep(0.12 * pace)
            assert [name for name, key in keys.items() if connector.exists(key)] == ["moved", "none"]

        at_some_pace(attempt)


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

    @rule("C55", needs=(SupportsList,), fix="continue the listing where it was when objects come or go meanwhile")
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


class Coroutines(Suite):
    """Test `aput`, `aget`, `aexists` and `aevict`, and that no capability is half there."""

    @rule("C39", fix="define every method of a capability, or none")
    @pytest.mark.parametrize("power", CAPABILITIES, ids=lambda power: power.__name__)
    def test_a_capability_is_whole_or_absent(self, connector: Any, power: Any) -> None:
        methods = [name for name in vars(power) if not name.startswith("_")]
        has = [name for name in methods if callable(getattr(connector, name, None))]
        assert has in ([], methods)
        assert isinstance(connector, power) == bool(has)

    @rule("C57", needs=(SupportsAsync,), fix="share the code of the methods without `a`; await where they would block")
    def test_coroutines_do_the_same(self, connector: Any) -> None:
        ttl = 100 if has(connector, SupportsExpiry) else None

        async def main() -> tuple[object, ...]:
            key = await connector.aput(encode("async"), ttl=ttl)
            there = await connector.aexists(key)
            value = value_of(await connector.aget(key, size=100))
            await connector.aevict(key)
            return there, value, await connector.aexists(key), await connector.aget(MISSING)

        assert asyncio.run(main()) == (True, "async", False, None)

    @rule("C3", "C6", "C57", needs=(SupportsAsync,), fix="check keys and times in the coroutines as well")
    def test_coroutines_refuse_the_same(self, connector: Any) -> None:
        async def main() -> None:
            with pytest.raises(InvalidKeyError):
                await connector.aget("no key")
            with pytest.raises(InvalidArgumentError):
                await connector.aput(encode(1), timeout=-1)

        asyncio.run(main())

    @rule("C57", needs=(SupportsAsync,), fix="hand nothing to the loop that waits for the channel in its thread")
    def test_coroutines_run_beside_each_other(self, connector: Any) -> None:
        async def one(number: int) -> bool:
            key = await connector.aput(encode(pattern(10_000, number)))
            return value_of(await connector.aget(key)) == pattern(10_000, number)

        async def main() -> list[bool]:
            return await asyncio.gather(*(one(number) for number in range(20)))

        assert asyncio.run(main()) == [True] * 20
