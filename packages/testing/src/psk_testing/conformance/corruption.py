"""Test what a connector does with damaged and foreign bytes, put there through a side door (C2, C4, C24, C26)."""

from __future__ import annotations

import random  # noqa: TC003  pytest reads the annotations of tests
from collections.abc import Callable  # noqa: TC003  as above
from typing import Any, Protocol

import pytest

from psk.connectors import SupportsExpiry, SupportsList
from psk.errors import ChannelDataError, KeyExistsError, PayloadError
from psk.store import Store
from psk.wire import HEADER_REACH, Header, encode
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import framed, has, pattern, plain_key, same, value_of
from psk_testing.timing import at_some_pace, becomes

FREED_WITHIN = 1.5
"""Seconds after its expiry at which an object's bytes are freed: one second, and half of one for a busy machine."""


class SideDoor(Protocol):
    """Read and change what a channel holds behind the connector's back."""

    def stored(self, name: str) -> bytes | None:
        """Return the bytes that the channel holds under a key, or under another name, None for none."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Put other bytes in the place of an object."""
        ...

    def plant(self, name: str, data: bytes) -> None:
        """Put bytes where nothing is stored, as another program would: under a key, or beside the objects."""
        ...


class Damage(Suite):
    """Test what a connector does about what nobody put."""

    @pytest.fixture
    def raw(self) -> SideDoor | None:
        """The side door of the channel; None skips the tests that need one."""
        return None

    @pytest.fixture
    def door(self, raw: SideDoor | None) -> SideDoor:
        """The side door, if there is one."""
        if raw is None:
            pytest.skip("the suite has no side door: a fixture `raw` with stored, replace and plant")
        return raw

    @rule("C13", fix="store the payload's bytes as they are")
    def test_the_channel_holds_the_payload(self, connector: Any, door: SideDoor) -> None:
        for payload in (encode("small"), framed([pattern(10_000), pattern(300_000)])):
            assert door.stored(payload.key) is None
            key = connector.put(payload)
            assert same(door.stored(key), payload.tobytes())
            connector.evict(key)
            assert door.stored(key) is None

    @rule("C21", "C24", fix="return the bytes as they are read; never repair, cut or pad them")
    def test_no_damage_is_taken_for_a_value(
        self, connector: Any, door: SideDoor, count: Callable[[str], int], chance: random.Random
    ) -> None:
        payloads = [encode(b""), encode({"a": [1, 2, 3]}), encode(bytes(pattern(2500))), framed([pattern(6000)] * 3)]
        silent = []
        for trial in range(count("damages")):
            key = connector.put(payloads[trial % len(payloads)])
            damaged = bytearray(door.stored(key) or b"")
            if trial % 4:
                place = chance.randrange(8 * len(damaged))
                damaged[place // 8] ^= 1 << place % 8
            else:
                del damaged[chance.randrange(len(damaged)) :]
            door.replace(key, bytes(damaged))
            try:
                frames = connector.get(key)
                silent.append((trial, None if frames is None else value_of(frames)))
            except (PayloadError, ChannelDataError):
                pass
            connector.evict(key)
        assert silent == []

    @rule("C2", fix="return the stored bytes with their header: the reader compares the ids")
    def test_a_swapped_object_is_noticed(self, connector: Any, door: SideDoor) -> None:
        store = Store("conformance", connector)
        first, second = store.put("first"), store.put("second")
        door.replace(first, door.stored(second) or b"")
        with pytest.raises((PayloadError, ChannelDataError)):
            store.get(first)

    @rule("C26", fix="allocate what the channel says that it holds, not what the header claims")
    @pytest.mark.parametrize("claimed", [1 << 40, 1 << 62])
    def test_a_claimed_size_allocates_nothing(self, connector: Any, door: SideDoor, claimed: int) -> None:
        payload = framed([pattern(10_000)])
        key = connector.put(payload)
        size = payload.nbytes.to_bytes(8, "little")
        damaged = payload.tobytes()
        place = damaged.index(size, 0, HEADER_REACH)
        door.replace(key, damaged[:place] + claimed.to_bytes(8, "little") + damaged[place + 8 :])
        with pytest.raises((PayloadError, ChannelDataError)):
            value_of(connector.get(key, size=claimed))

    @rule("C4", "C16", "C24", fix="let `Payload` check what is stored; never overwrite or repair it")
    @pytest.mark.parametrize("data", [b"", b"foreign", b"\0" * 5000], ids=["empty", "short", "zeros"])
    def test_foreign_bytes_under_a_key_are_an_error(self, connector: Any, door: SideDoor, data: bytes) -> None:
        key = plain_key()
        door.plant(key, data)
        with pytest.raises((PayloadError, ChannelDataError)):
            value_of(connector.get(key))
        with pytest.raises((KeyExistsError, ChannelDataError)):
            connector.put(encode("own", object_id=bytes.fromhex(key)))
        assert same(door.stored(key), data)
        connector.evict(key)

    @rule("C55", "C56", needs=(SupportsList,), fix="list and clear only what has a name that psk gives")
    def test_foreign_things_stay(self, connector: Any, door: SideDoor) -> None:
        names = ("not-an-object", "README", "0" * 31)
        for name in names:
            door.plant(name, b"mine")
        key = connector.put(encode("ours"))
        assert list(connector.keys()) == [key]
        assert connector.clear() == 1
        assert [door.stored(name) for name in names] == [b"mine"] * len(names)

    @rule("C46", needs=(SupportsExpiry,), fix="let the channel expire objects itself, or watch them in a daemon thread")
    def test_an_expired_object_is_freed(self, connector: Any, door: SideDoor) -> None:
        def attempt(pace: float) -> None:
            key = connector.put(encode(pattern(10_000)), ttl=0.1 * pace)
            assert Header.read(door.stored(key) or b"").key == key[:32]  # a channel may keep the expiry behind it
            assert becomes(lambda: door.stored(key) is None, within=0.1 * pace + FREED_WITHIN, look_every=0.01)

        at_some_pace(attempt)
        if has(connector, SupportsList):
            assert list(connector.keys()) == []
