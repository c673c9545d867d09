"""Compare stores and lifetimes with a model over random sequences of operations."""

import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

import psk
from psk_patterns import ContextLifetime, LeaseLifetime
from psk_patterns.errors import LifetimeEndedError
from psk_patterns.lifetimes.lifetime import EvictingLifetime


class Lifetimes(RuleBasedStateMachine):
    """Two channels, lifetimes of each kind, and objects attached to none, one or several of them."""

    lifetimes = Bundle("lifetimes")
    ended = Bundle("ended")
    objects = Bundle("objects")

    def __init__(self):
        super().__init__()
        self.stores = [psk.Store(f"model-{place}", f"local://model-{os.urandom(6).hex()}") for place in range(2)]
        self.model = [{}, {}]
        self.open = []

    @rule(target=lifetimes, kind=st.sampled_from(["context", "lease", "term"]), place=st.integers(0, 1))
    def begin(self, kind, place):
        store = self.stores[place]
        lifetime = ContextLifetime(store) if kind == "context" else LeaseLifetime(store, 600, renew=kind == "lease")
        self.open.append(lifetime)
        return lifetime

    @rule(target=objects, place=st.integers(0, 1))
    def put(self, place):
        key = self.stores[place].put("alone")
        self.model[place][key] = set()
        return place, key

    @rule(target=objects, place=st.integers(0, 1), lifetime=lifetimes, batch=st.booleans())
    def put_for(self, place, lifetime, batch):
        store = self.stores[place]
        keys = store.put_batch([1, 2], lifetime=lifetime) if batch else [store.put(1, lifetime=lifetime)]
        self.model[place].update({key: {lifetime} for key in keys})
        return place, keys[0]

    @rule(found=objects, lifetime=lifetimes, by_proxy=st.booleans())
    def attach(self, found, lifetime, by_proxy):
        place, key = found
        if by_proxy:
            lifetime.add_proxy(self.stores[place].proxy_from_key(key))
        else:
            lifetime.add_key(key, store=self.stores[place])
        if key in self.model[place]:
            self.model[place][key].add(lifetime)

    @rule(target=ended, lifetime=consumes(lifetimes), how=st.sampled_from(["close", "with", "error"]))
    def end(self, lifetime, how):
        assert not lifetime.done()
        if how == "close":
            lifetime.close()
        else:
            with suppress(ZeroDivisionError), lifetime:
                _ = 1 // (how == "with")
        assert lifetime.done()
        self.model = [
            {key: attached for key, attached in objects.items() if lifetime not in attached} for objects in self.model
        ]
        return lifetime

    @rule(lifetime=ended, place=st.integers(0, 1), found=objects)
    def come_too_late(self, lifetime, place, found):
        lifetime.close()
        with pytest.raises(LifetimeEndedError):
            self.stores[place].put("late", lifetime=lifetime)
        with pytest.raises(LifetimeEndedError):
            lifetime.add_key(found[1], store=self.stores[found[0]])
        self.model[found[0]].pop(found[1], None)

    @rule(lifetime=lifetimes)
    def extend(self, lifetime):
        if isinstance(lifetime, LeaseLifetime):
            lifetime.extend(60)

    @rule(found=objects)
    def evict(self, found):
        self.stores[found[0]].evict(found[1])
        self.model[found[0]].pop(found[1], None)

    @rule(place=st.integers(0, 1))
    def close_store(self, place):
        self.stores[place].close()
        self.stores[place] = psk.Store.from_config(self.stores[place].config())

    @invariant()
    def exactly_the_objects_of_the_model_exist(self):
        for store, objects in zip(self.stores, self.model, strict=True):
            assert sorted(store.list()) == sorted(objects)

    def teardown(self):
        for lifetime in self.open:
            lifetime.close()
        for store in self.stores:
            store.clear()
            store.close()


def check(count, **options):
    options |= {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(Lifetimes, settings=settings(max_examples=count, stateful_step_count=30, **options))


def find_bug():
    check(200, phases=[Phase.generate], report_multiple_bugs=False)


def test_exactly_the_objects_exist_that_must(scale):
    check(scale("patterns_leases.model_runs"))


def test_a_lifetime_that_forgets_an_object_is_noticed(monkeypatch):
    by_store = EvictingLifetime._by_store

    def forgetful(lifetime):
        return {store: keys[: 2 * len(keys) - 2] for store, keys in by_store(lifetime).items()}

    monkeypatch.setattr(EvictingLifetime, "_by_store", forgetful)
    with pytest.raises(AssertionError):
        find_bug()


def test_a_lifetime_that_takes_what_comes_too_late_is_noticed(monkeypatch):
    def accept(lifetime, keys, store):
        with lifetime._lock:
            lifetime._attached.setdefault(store, {}).update(dict.fromkeys(keys))

    monkeypatch.setattr(EvictingLifetime, "_attach", accept)
    # Objects are left, or an error is not raised.
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        find_bug()
