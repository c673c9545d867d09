"""Does each channel behave like a dictionary, whatever is done in whatever order?"""

import shutil
import tempfile
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from psk.connectors import SupportsSwap, open_connector
from psk.errors import KeyExistsError, RevisionConflictError
from psk.wire import Payload, decode, encode, new_object_id

VALUES = st.binary(max_size=300) | st.integers() | st.just(b"large" * 20_000) | st.just([b"frames" * 5000] * 3)
#: A file server stamps files with a clock that moves in ticks, of up to 10 ms.
CLOCK_TICK = 0.02
CLAIMS = st.sampled_from(["a", "b", "c"])


def value_of(frames):
    payload = Payload.parse(frames)
    payload.verify()
    return decode(payload)


class Channel(RuleBasedStateMachine):
    """The connector beside a dictionary `key -> payload`, and one of claims."""

    keys = Bundle("keys")
    address = ""

    @initialize()
    def open(self):
        self.place = tempfile.mkdtemp()
        self.uri = self.new_address(self.scheme, self.place)
        self.connector = open_connector(self.uri)
        self.model, self.claims = {}, {}

    @rule(target=keys, value=VALUES, ttl=st.sampled_from([None, None, 1000.0]))
    def put(self, value, ttl):
        payload = encode(value)
        key = self.connector.put(payload, ttl=ttl)
        self.model[key] = payload
        return key

    @rule(target=keys)
    def reserve(self):
        return self.connector.reserve(new_object_id())

    @rule(key=keys, value=VALUES)
    def fulfil(self, key, value):
        payload = encode(value, object_id=bytes.fromhex(key[:32]))
        standing = self.model.setdefault(key, payload)
        if standing.tobytes() == payload.tobytes():
            self.connector.fulfil(key, payload)
        else:
            with pytest.raises(KeyExistsError):
                self.connector.fulfil(key, payload)

    @rule(key=keys)
    def put_again(self, key):
        if key in self.model:
            again = self.connector.put(self.model[key])
            # Only a channel with places may choose another one for what was reserved before its size was known.
            assert again == key or (again[:32] == key[:32] and "@" in again)
            self.model.setdefault(again, self.model[key])

    @rule(key=keys)
    def get(self, key):
        frames = self.connector.get(key)
        assert self.connector.exists(key) == (key in self.model)
        assert (None if frames is None else value_of(frames)) == self.value(key)

    @rule(key=keys, offset=st.integers(0, 400), length=st.integers(0, 400))
    def get_range(self, key, offset, length):
        part = self.connector.get_range(key, offset, length)
        expected = self.model[key].tobytes()[offset : offset + length] if key in self.model else None
        assert (None if part is None else bytes(part)) == expected

    @rule(key=keys)
    def evict(self, key):
        self.connector.evict(key)
        self.forget(key)

    @rule(key=keys, ttl=st.sampled_from([None, 500.0]))
    def renew(self, key, ttl):
        assert self.connector.renew(key, ttl) == (key in self.model)

    @rule(key=keys)
    def expire(self, key):
        self.connector.renew(key, 0.001)
        time.sleep(CLOCK_TICK)
        self.forget(key)

    @rule(key=keys, claim=CLAIMS)
    def take(self, key, claim):
        frames = self.connector.take(key, claim)
        won = key in self.model and self.claims.setdefault(key, claim) == claim
        assert (None if frames is None else value_of(frames)) == (self.value(key) if won else None)

    @rule(key=keys, value=VALUES, step=st.sampled_from([0, 1, 1, 1, 2]))
    def swap(self, key, value, step):
        if key not in self.model or not isinstance(self.connector, SupportsSwap):
            return
        revision = self.model[key].revision + step
        payload = encode(value, object_id=bytes.fromhex(key[:32]), revision=revision)
        if step == 1 or payload.tobytes() == self.model[key].tobytes():
            self.connector.swap(key, payload)
            self.model[key] = payload
        else:
            with pytest.raises(RevisionConflictError):
                self.connector.swap(key, payload)

    @rule()
    def list(self):
        assert set(self.connector.keys()) == set(self.model)

    @rule()
    def clear(self):
        assert self.connector.clear() == len(self.model)
        self.model.clear()
        self.claims.clear()

    @rule()
    def reopen(self):
        again = open_connector(self.uri)
        self.connector.close()
        self.connector = again

    def forget(self, key):
        self.model.pop(key, None)
        self.claims.pop(key, None)

    def value(self, key):
        return decode(Payload.parse(self.model[key].tobytes())) if key in self.model else None

    def teardown(self):
        if hasattr(self, "connector"):
            self.connector.clear()
            self.connector.close()
            shutil.rmtree(self.place)


def test_each_channel_is_a_dictionary(scheme, new_address, scale):
    class OneChannel(Channel):
        pass

    OneChannel.scheme, OneChannel.new_address = scheme, staticmethod(new_address)
    run_state_machine_as_test(
        OneChannel,
        settings=settings(
            max_examples=scale("connectors.model_runs"),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
