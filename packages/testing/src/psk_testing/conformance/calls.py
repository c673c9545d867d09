"""Test keys and what every call does, whichever it is (C1 to C12)."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any

import pytest

from psk.connectors import Connector, validate_key
from psk.errors import ConnectorClosedError, InvalidArgumentError, InvalidKeyError, PskError
from psk.wire import Payload, encode, new_object_id
from psk_testing.concurrency import in_threads
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import HOSTILE_KEYS, MISSING, all_calls, keyed_calls, pattern, refusals, value_of
from psk_testing.residue import piled_up, residue
from psk_testing.timing import timed

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


SENSELESS_TIMEOUTS = (-1, math.nan, math.inf, "1", object())


class Calls(Suite):
    """Test what every call does, whichever it is."""

    @rule("C39", fix="give the class every method and attribute of `psk.connectors.Connector`")
    def test_a_connector_is_recognised_by_its_methods(self, connector: Any) -> None:
        assert isinstance(connector, Connector)

    @rule("C5", fix="check the deadline before the channel is touched and at every step, and raise `DeadlineError`")
    def test_a_call_without_time_ends_at_once(self, connector: Any) -> None:
        payload = encode(pattern(5_000_000))
        connector.put(payload)
        calls = all_calls(connector)
        calls["get of a large object"] = lambda **options: connector.get(payload.key, **options)
        calls["put of a large object"] = lambda **options: connector.put(encode(pattern(5_000_000)), **options)
        late = {}
        for name, call in calls.items():
            with timed() as clock, contextlib.suppress(PskError):
                call(timeout=0)
            if clock.late(0):
                late[name] = clock.seconds
        assert late == {}

    @rule("C6", fix="start each method with `deadline_after(timeout, self._timeout)` or `check_timeout(timeout)`")
    @pytest.mark.parametrize(
        "timeout", SENSELESS_TIMEOUTS, ids=lambda timeout: type(timeout).__name__ + f"{timeout}"[:4]
    )
    def test_a_senseless_timeout_is_refused(self, connector: Any, timeout: Any) -> None:
        assert refusals(all_calls(connector), InvalidArgumentError, timeout=timeout) == []

    @rule("C7", fix="keep what belongs to one call out of `self`, and give each thread a connection of its own")
    def test_many_threads_use_one_instance(self, connector: Any, count: Callable[[str], int]) -> None:
        turns = count("turns")

        def work(number: int) -> list[str]:
            wrong = []
            for turn in range(turns):
                key = connector.put(encode((number, turn)))
                if value_of(connector.get(key)) != (number, turn) or not connector.exists(key):
                    wrong.append(key)
                connector.evict(key)
            return wrong

        assert in_threads(8, work) == [[]] * 8

    @rule("C7", "C10", fix="let `close` wake the calls that run, and raise `ConnectorClosedError` in them")
    def test_closing_beside_other_threads_ends_their_calls(self, connector: Any) -> None:
        key = connector.put(encode(bytes(pattern(8000))))
        timer = threading.Timer(0.05, connector.close)
        timer.start()

        def read(_: int) -> object:
            try:
                while (value := value_of(connector.get(key))) == bytes(pattern(8000)):
                    continue
            except ConnectorClosedError:
                return "closed"
            return value

        assert in_threads(4, read) == ["closed"] * 4
        timer.join()

    @rule("C9", fix="never call `asyncio.run` or `run_until_complete` in a method; use a loop in a daemon thread")
    def test_it_works_inside_an_event_loop(self, connector: Any) -> None:
        async def main() -> object:
            running = asyncio.get_running_loop()
            value = value_of(connector.get(connector.put(encode("loop"))))
            assert asyncio.get_running_loop() is running
            return value

        assert asyncio.run(main()) == "loop"

    @rule("C10", fix="look at the start of each method whether the connector is closed")
    def test_a_closed_connector_says_so(self, connector: Any) -> None:
        calls = all_calls(connector)
        connector.close()
        assert refusals(calls, ConnectorClosedError) == []
        assert isinstance(connector, Connector)
        assert repr(connector)

    @rule("C11", fix="release in `finally` what a call took, and remove what it had begun to write")
    def test_a_call_that_fails_leaves_nothing(self, connector: Any, count: Callable[[str], int]) -> None:
        object_id = new_object_id()
        large = pattern(300_000)
        connector.put(encode(large[::-1], object_id=object_id))

        def fail() -> None:
            with pytest.raises(PskError):
                connector.put(encode(large, object_id=object_id))
            for wrong in ({"timeout": -1}, {"ttl": -1}):
                with pytest.raises(PskError):
                    connector.put(encode(large), **wrong)
            with pytest.raises(PskError):
                connector.get("no key")
            payload = encode(large)
            with contextlib.suppress(PskError):
                connector.put(payload, timeout=0)
            connector.evict(payload.key)

        fail()
        before, keys = residue(), held(connector)
        for _ in range(count("failures")):
            fail()
        assert piled_up(before) == []
        assert held(connector) == keys


def held(connector: Any) -> set[str]:
    """Return the keys of a channel that can be listed."""
    return set(connector.keys()) if hasattr(connector, "keys") else set()
