"""Compare a connector with a dictionary, over random sequences of calls."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, run_state_machine_as_test
from hypothesis.stateful import rule as step

from psk.connectors import SupportsExpiry, SupportsList, SupportsRange, SupportsReserve, SupportsSwap, SupportsTake
from psk.errors import KeyExistsError, RevisionConflictError
from psk.wire import Frames, Payload, decode, encode, new_object_id
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import has, plain_key, same, value_of
from psk_testing.timing import becomes

#: Large ones by name, so that what hypothesis prints can be read.
LARGE = {"large": b"large" * 20_000, "frames": [b"frames" * 5000] * 3}
VALUES = st.binary(max_size=300) | st.integers() | st.sampled_from(sorted(LARGE))
#: For an object to expire: a file server stamps files with a clock that moves in ticks, and a machine may be busy.
PATIENCE_SECONDS = 2.0
CLAIMS = st.sampled_from(["a", "b", "c"])


def only_with(power: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a step happen only on a connector that has a capability."""
    return precondition(lambda channel: isinstance(channel.connector, power))


def encoded(value: Any, **options: Any) -> Payload:
    """Encode a value, or the large one that it names."""
    return encode(LARGE.get(value, value) if isinstance(value, str) else value, **options)


class Channel(RuleBasedStateMachine):
    """The connector beside a dictionary `key -> payload`, and one of claims."""

    keys = Bundle("keys")
    uri: ClassVar[str]
    opener: ClassVar[Callable[[str], Any]]

    def __init__(self) -> None:
        super().__init__()
        self.connector = type(self).opener(self.uri)
        self.model: dict[str, Payload] = {}
        self.claims: dict[str, str] = {}

    @initialize(target=keys)
    def name(self) -> str:
        if isinstance(self.connector, SupportsReserve):
            return str(self.reserve())
        return plain_key()

    @step(target=keys, value=VALUES)
    def put(self, value: object) -> str:
        payload = encoded(value)
        key: str = self.connector.put(payload)
        self.model[key] = payload
        return key

    @only_with(SupportsExpiry)
    @step(target=keys, value=VALUES)
    def put_for_a_while(self, value: object) -> str:
        payload = encoded(value)
        key: str = self.connector.put(payload, ttl=1000.0)
        self.model[key] = payload
        return key

    @only_with(SupportsReserve)
    @step(target=keys)
    def reserve(self) -> str:
        key: str = self.connector.reserve(new_object_id())
        return key

    @only_with(SupportsReserve)
    @step(key=keys, value=VALUES)
    def fulfil(self, key: str, value: object) -> None:
        payload = encoded(value, object_id=bytes.fromhex(key[:32]))
        standing = self.model.setdefault(key, payload)
        if standing.tobytes() == payload.tobytes():
            self.connector.fulfil(key, payload)
        else:
            with pytest.raises(KeyExistsError):
                self.connector.fulfil(key, payload)

    @step(key=keys)
    def put_again(self, key: str) -> None:
        if key not in self.model:
            return
        payload = self.model[key]
        # Only a channel with places may choose another one for what was reserved before its size was known.
        elsewhere = [name for name in self.model if name != key and name[:32] == key[:32] and "@" in name]
        try:
            again = self.connector.put(payload)
        except KeyExistsError:
            assert any(self.model[name].tobytes() != payload.tobytes() for name in elsewhere)
            return
        assert again == key or (again[:32] == key[:32] and "@" in again)
        self.model.setdefault(again, payload)

    @step(key=keys)
    def get(self, key: str) -> None:
        frames = self.connector.get(key)
        assert self.connector.exists(key) == (key in self.model)
        assert same(read(frames), self.value(key))

    @only_with(SupportsRange)
    @step(key=keys, offset=st.integers(0, 400), length=st.integers(0, 400))
    def get_range(self, key: str, offset: int, length: int) -> None:
        part = self.connector.get_range(key, offset, length)
        expected = self.model[key].tobytes()[offset : offset + length] if key in self.model else None
        assert same((None if part is None else bytes(part)), expected)

    @step(key=keys)
    def evict(self, key: str) -> None:
        self.connector.evict(key)
        self.forget(key)

    @only_with(SupportsExpiry)
    @step(key=keys, ttl=st.sampled_from([None, 500.0]))
    def renew(self, key: str, ttl: float | None) -> None:
        assert self.connector.renew(key, ttl) == (key in self.model)

    @only_with(SupportsExpiry)
    @step(key=keys)
    def expire(self, key: str) -> None:
        self.connector.renew(key, 0.001)
        assert becomes(lambda: not self.connector.exists(key), within=PATIENCE_SECONDS)
        self.forget(key)

    @only_with(SupportsTake)
    @step(key=keys, claim=CLAIMS)
    def take(self, key: str, claim: str) -> None:
        frames = self.connector.take(key, claim)
        won = key in self.model and self.claims.setdefault(key, claim) == claim
        assert read(frames) == (self.value(key) if won else None)

    @only_with(SupportsSwap)
    @step(key=keys, value=VALUES, ahead=st.sampled_from([0, 1, 1, 1, 2]))
    def swap(self, key: str, value: object, ahead: int) -> None:
        if key not in self.model:
            return
        revision = self.model[key].revision + ahead
        payload = encoded(value, object_id=bytes.fromhex(key[:32]), revision=revision)
        if ahead == 1 or payload.tobytes() == self.model[key].tobytes():
            self.connector.swap(key, payload)
            self.model[key] = payload
        else:
            with pytest.raises(RevisionConflictError):
                self.connector.swap(key, payload)

    @only_with(SupportsList)
    @step()
    def list(self) -> None:
        assert set(self.connector.keys()) == set(self.model)

    @only_with(SupportsList)
    @step()
    def clear(self) -> None:
        assert self.connector.clear() == len(self.model)
        self.model.clear()
        self.claims.clear()

    @step()
    def reopen(self) -> None:
        again = type(self).opener(self.uri)
        self.connector.close()
        self.connector = again

    def forget(self, key: str) -> None:
        self.model.pop(key, None)
        self.claims.pop(key, None)

    def value(self, key: str) -> object:
        return decode(Payload.parse(self.model[key].tobytes())) if key in self.model else None

    def teardown(self) -> None:
        for key in self.model:
            self.connector.evict(key)
        if has(self.connector, SupportsList):
            left = set(self.connector.keys())
            self.connector.close()
            assert left == set()
        self.connector.close()


def read(frames: Frames | None) -> object:
    """Return the value of what was read, None for a missing object."""
    return None if frames is None else value_of(frames)


class Model(Suite):
    """Compare the connector with a dictionary."""

    @rule("C16", "C22", "C28", fix="replay the calls that hypothesis prints; the last of them answered wrongly")
    @pytest.mark.usefixtures("connector")
    def test_a_channel_is_a_dictionary(
        self, uri: str, opener: Callable[[str], Any], count: Callable[[str], int]
    ) -> None:
        class OneChannel(Channel):
            pass

        OneChannel.uri, OneChannel.opener = uri, staticmethod(opener)
        run_state_machine_as_test(
            OneChannel,
            settings=settings(
                max_examples=count("model_runs"),
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
