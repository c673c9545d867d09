"""Scatter large values, gather them again, and fetch only what is used."""

import pickle
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psk import Store, get_key, is_resolved
from psk.errors import ChannelFullError, InvalidArgumentError, SerializationError, StoreConfigError
from psk_patterns import ContextLifetime, ProxyType, gather, scatter
from psk_patterns.partial import is_proxy
from psk_patterns.traversal import leaves

LARGE = 1000


class Pair(NamedTuple):
    left: object
    right: object


@dataclass(frozen=True)
class Model:
    weights: object
    name: object


def proxies_in(structure):
    return [leaf for leaf in leaves(structure) if is_proxy(leaf)]


@pytest.fixture
def lifetime(store):
    with ContextLifetime(store) as opened:
        yield opened


atoms = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=5)
large = st.integers(0, 255).map(lambda byte: bytes([byte]) * LARGE) | st.integers(0, 9).map(
    lambda n: "x" * LARGE + str(n)
)
structures = st.recursive(
    atoms | large,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.builds(Pair, inner, inner)
        | st.builds(Model, inner, inner)
    ),
    max_leaves=20,
)


def test_gather_gives_back_what_was_scattered(store, scale):
    @settings(
        max_examples=scale("patterns_executor.round_trips"),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(structures)
    def check(structure):
        with ContextLifetime(store) as lifetime:
            scattered = scatter(structure, LARGE, store=store, lifetime=lifetime)
            for arrived in (scattered, pickle.loads(pickle.dumps(scattered))):
                gathered = gather(arrived)
                assert gathered == structure
                assert repr(gathered) == repr(structure)  # 1 equals True, and a named tuple a tuple
                assert not proxies_in(gathered)
            assert len({get_key(proxy) for proxy in proxies_in(scattered)}) == len(store.list())

    check()


def test_a_consumer_fetches_only_what_it_touches(store, lifetime):
    structure = {name: Model(np.full(LARGE, number, dtype="u1"), name) for number, name in enumerate("abcdefgh")}
    scattered = scatter(structure, LARGE, store=store, lifetime=lifetime)
    assert len(proxies_in(scattered)) == 8
    arrived = pickle.loads(pickle.dumps(scattered))
    before = store.metrics.nbytes["get"]
    assert arrived["c"].weights.sum() == 2 * LARGE
    assert [model.name for model in arrived.values()] == [*"abcdefgh"]
    assert LARGE <= store.metrics.nbytes["get"] - before < 2 * LARGE
    assert [name for name, model in arrived.items() if is_resolved(model.weights)] == ["c"]


def test_all_leaves_are_put_in_one_batch(store, lifetime):
    scatter([b"x" * LARGE, "y" * LARGE], LARGE, store=store, lifetime=lifetime)
    assert store.metrics.times["store.proxy_batch"].count == 1


def test_the_original_stays_as_it_was(store, lifetime):
    large, small = b"x" * LARGE, ["small"]
    structure = [large, small]
    scattered = scatter(structure, LARGE, store=store, lifetime=lifetime)
    assert structure[0] is large
    assert scattered[1] is small
    assert scatter(small, LARGE, store=store) is small


def test_what_is_shared_is_put_once_and_stays_shared(store, lifetime):
    large = np.zeros(LARGE)
    scattered = scatter({"a": [large], "b": (large, large)}, LARGE, store=store, lifetime=lifetime)
    assert scattered["a"][0] is scattered["b"][0] is scattered["b"][1]
    assert len(store.list()) == 1
    gathered = gather(pickle.loads(pickle.dumps(scattered)))
    assert gathered["a"][0] is gathered["b"][1]


def test_a_single_leaf_is_scattered_too(store, lifetime):
    proxy = scatter(b"x" * LARGE, LARGE, store=store, lifetime=lifetime)
    assert is_proxy(proxy)
    assert type(gather(proxy)) is bytes


@pytest.mark.parametrize("numbers", [[*range(LARGE)], (1.5,) * LARGE, dict.fromkeys(range(LARGE), "abc")])
def test_many_small_values_are_one_leaf(store, lifetime, numbers):
    scattered = scatter([numbers, "beside"], LARGE, store=store, lifetime=lifetime)
    assert [is_proxy(part) for part in scattered] == [True, False]
    assert gather(scattered) == [numbers, "beside"]


def test_a_long_list_of_large_leaves_is_none(store, lifetime):
    scattered = scatter([b"x" * LARGE] * LARGE, LARGE, store=store, lifetime=lifetime)
    assert type(scattered) is list
    assert len(proxies_in(scattered)) == 1


def test_a_policy_chooses_as_well(store, lifetime):
    scattered = scatter([np.zeros(1), b"x" * LARGE], ProxyType(np.ndarray), store=store, lifetime=lifetime)
    assert [is_proxy(part) for part in scattered] == [True, False]


def test_proxies_that_are_there_stay_and_are_gathered_too(store, lifetime):
    before = store.proxy(b"y" * LARGE, lifetime=lifetime, populate_target=False)
    scattered = scatter([before, b"x" * LARGE], 0, store=store, lifetime=lifetime)
    assert scattered[0] is before
    assert not is_resolved(before)
    assert len(store.list()) == 2
    assert gather(scattered) == [b"y" * LARGE, b"x" * LARGE]


def test_the_leaves_can_have_a_time_to_live(store):
    scattered = scatter([b"x" * LARGE], LARGE, store=store, ttl=30)
    assert gather(scattered) == [b"x" * LARGE]
    key = get_key(scattered[0])
    assert store.renew(key, 30)
    store.evict(key)


def test_the_proxies_can_be_made_otherwise(store, lifetime):
    made = []

    def make(of, leaf):
        made.append(of.proxy(leaf, lifetime=lifetime))
        return made[-1]

    scattered = scatter([b"x" * LARGE, 1], LARGE, store=store, make=make)
    assert scattered[0] is made[0]
    with pytest.raises(StoreConfigError, match="make="):
        scatter([], store=store, make=make, ttl=3)


def test_a_cycle_is_a_typed_error(store):
    holder = [b"x" * LARGE]
    holder.append({"in": holder})
    with pytest.raises(InvalidArgumentError, match="contains itself"):
        scatter(holder, LARGE, store=store)
    with pytest.raises(InvalidArgumentError, match="contains itself"):
        gather(holder)


def test_nothing_stays_of_what_cannot_be_put_whole(store):
    with pytest.raises(SerializationError):
        scatter([b"x" * LARGE, (each for each in ())], lambda _leaf: True, store=store)


@pytest.mark.parametrize("ttl", [None, 30])
def test_nothing_stays_where_the_channel_is_full(ttl):
    with Store("small", "shm://?max_bytes=1000000") as small:
        with pytest.raises(ChannelFullError):
            scatter([bytes([number]) * 300_000 for number in range(9)], store=small, ttl=ttl)
        assert small.list() == []
