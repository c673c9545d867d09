"""Test the receiving of payloads into a channel's own memory (C65 to C67)."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator  # noqa: TC003  pytest reads the annotations of tests
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from psk.connectors import SupportsAllocate, SupportsExpiry, SupportsList
from psk.errors import (
    CapabilityError,
    ChannelFullError,
    ConnectorClosedError,
    InvalidArgumentError,
    KeyExistsError,
    PayloadError,
    PskError,
)
from psk.wire import encode
from psk_testing.conformance.objects import MORE_THAN_A_FEW
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import has, pattern, same, value_of
from psk_testing.residue import FEW, piled_up, residue
from psk_testing.spawned import Spawned

LARGE = 2_000_000
"""Bytes of an allocation."""


class Allocating(Suite):
    """Test `allocate`, `commit` and `abort`."""

    @rule("C65", "C66", needs=(SupportsAllocate,), fix="make the memory an object by one step, as `put` does")
    @pytest.mark.parametrize("size", [0, 1000, 100_000, 3_000_000])
    def test_what_is_received_is_an_object_from_the_commit_on(self, connector: Any, reopened: Any, size: int) -> None:
        payload = encode(bytes(pattern(size)))
        with connector.allocate(payload.nbytes) as allocation:
            assert not allocation.buffer.readonly
            assert allocation.buffer.nbytes == payload.nbytes
            allocation.buffer[:] = payload.tobytes()
            assert not reopened.exists(payload.key)
            if has(connector, SupportsList):
                assert list(connector.keys()) == []
            key = allocation.commit()
        assert key.startswith(payload.key)
        assert same(value_of(reopened.get(key)), bytes(pattern(size)))
        assert same(value_of(connector.get(key)), bytes(pattern(size)))

    @rule("C15", "C16", "C66", needs=(SupportsAllocate,), fix="place what is committed by the same step as `put`")
    def test_a_commit_is_a_put(self, connector: Any) -> None:
        payload, other = encode("first"), None
        key = connector.put(payload)
        assert commit(connector, payload) == key
        other = encode("second", object_id=payload.object_id)
        with pytest.raises(KeyExistsError):
            commit(connector, other)
        assert value_of(connector.get(key)) == "first"
        connector.evict(key)
        ttl = 1000 if has(connector, SupportsExpiry) else None
        assert commit(connector, other, ttl=ttl) == key
        assert value_of(connector.get(key)) == "second"
        if ttl is None:
            with pytest.raises(CapabilityError):
                commit(connector, encode("brief"), ttl=1000)

    @rule("C66", needs=(SupportsAllocate,), fix="parse the header in the buffer; its size is the size of the buffer")
    @pytest.mark.parametrize("wrong", ["zeros", "short", "long"])
    def test_what_is_no_payload_is_not_stored(self, connector: Any, wrong: str) -> None:
        whole = encode(bytes(pattern(70_000))).tobytes()
        data = {"zeros": bytes(len(whole)), "short": whole[:-1], "long": whole + b"\0"}[wrong]
        allocation = connector.allocate(len(data))
        allocation.buffer[:] = data
        with pytest.raises(PayloadError):
            allocation.commit()
        allocation.abort()
        if has(connector, SupportsList):
            assert list(connector.keys()) == []

    @rule("C17", "C66", needs=(SupportsAllocate,), fix="copy what others have views of, or refuse the commit")
    @pytest.mark.parametrize("size", [1000, 3_000_000])
    def test_what_is_written_after_the_commit_is_not_seen(self, connector: Any, size: int) -> None:
        payload = encode(bytes(pattern(size)))
        allocation = connector.allocate(payload.nbytes)
        view = allocation.buffer[:]
        view[:] = payload.tobytes()
        try:
            key = allocation.commit()
        except InvalidArgumentError:
            view.release()
            key = allocation.commit()
        else:
            with suppress(ValueError):  # it was released
                view[-100:] = bytes(100)
        assert same(value_of(connector.get(key)), bytes(pattern(size)))

    @rule(
        "C11", "C67", needs=(SupportsAllocate,), fix="give the memory back in `abort`, in `__exit__` and in `__del__`"
    )
    def test_what_is_aborted_leaves_nothing(self, connector: Any) -> None:
        payload = encode(bytes(pattern(70_000)))
        before = residue()
        for _ in range(2 * FEW):
            allocation = connector.allocate(payload.nbytes)
            allocation.buffer[:] = payload.tobytes()
            allocation.abort()
            allocation.abort()
            with pytest.raises((ValueError, PskError)):
                bytes(allocation.buffer)
            with suppress(ZeroDivisionError), connector.allocate(payload.nbytes) as allocation:
                raise ZeroDivisionError
            allocation = connector.allocate(payload.nbytes)
            del allocation
        gc.collect()
        assert not connector.exists(payload.key)
        assert piled_up(before) == []
        with connector.allocate(payload.nbytes) as allocation:
            allocation.buffer[:] = payload.tobytes()
            allocation.commit()
            allocation.abort()
        assert connector.exists(payload.key)

    @rule("C10", "C65", needs=(SupportsAllocate,), fix="check the size, and look first whether the connector is closed")
    def test_a_senseless_size_and_a_closed_connector_are_refused(self, connector: Any) -> None:
        for wrong in (-1, 0, 1.5, "1", None):
            with pytest.raises(InvalidArgumentError):
                connector.allocate(wrong)
        payload = encode("late")
        allocation = connector.allocate(payload.nbytes)
        allocation.buffer[:] = payload.tobytes()
        connector.close()
        with pytest.raises(ConnectorClosedError):
            allocation.commit()
        allocation.abort()
        with pytest.raises(ConnectorClosedError):
            connector.allocate(1000)

    @rule("C20", "C65", "C67", fix="reserve the bytes when they are allocated, where every process sees it")
    def test_allocations_count_towards_the_limit(
        self, small_uri: str | None, opener: Callable[[str], Any], reserve_elsewhere: Callable[[Any, int], Any]
    ) -> None:
        if small_uri is None:
            pytest.skip("the suite has no fixture `small_uri`: a channel with room for a few megabytes")
        with opener(small_uri) as connector:
            if not has(connector, SupportsAllocate):
                pytest.skip(f"{connector.scheme} has no SupportsAllocate, an optional capability")
            payload = encode(bytes(pattern(LARGE)))
            allocations: list[Any] = []

            def allocate_everything() -> None:
                while len(allocations) * LARGE < MORE_THAN_A_FEW:
                    allocations.append(connector.allocate(LARGE))

            with pytest.raises(ChannelFullError):
                allocate_everything()
            with pytest.raises(ChannelFullError):
                connector.put(payload)
            for allocation in allocations:
                allocation.abort()
            connector.evict(connector.put(payload))
            with reserve_elsewhere(connector, len(allocations)), pytest.raises(ChannelFullError):
                connector.put(payload)
            # What the killed process had allocated is free again, at the latest for the next that opens the channel.
            with opener(small_uri) as again:
                again.evict(again.put(payload))

    @pytest.fixture
    def reserve_elsewhere(self) -> Callable[[Any, int], Any]:
        """Allocate in another process, which is killed at the end of the block; in this one if no other can."""
        return _Elsewhere if self.crosses_processes else _here


class _Elsewhere(Spawned):
    """A process that holds allocations."""

    def __init__(self, connector: Any, number: int) -> None:
        super().__init__("allocate", uri=connector.uri(), nbytes=LARGE, number=number)
        self.await_ready()


@contextmanager
def _here(connector: Any, number: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(connector.allocate(LARGE))
        yield


def commit(connector: Any, payload: Any, **options: Any) -> str:
    """Store a payload as a server does that receives it."""
    with connector.allocate(payload.nbytes) as allocation:
        allocation.buffer[:] = payload.tobytes()
        key: str = allocation.commit(**options)
        return key
