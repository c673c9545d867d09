"""Compare owners and borrows with a model over random sequences of calls."""

import gc
import os
import pickle

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

import psk
from psk_patterns import borrow, clone, mark_refs_out_of_scope, mut_borrow, owned_proxy, release, update, withdraw
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import BorrowedError, MutableBorrowError, ReferenceInvalidError


class Owner:
    """What the model knows of an owned proxy: its object's value, and whether it counts."""

    def __init__(self, proxy, value, state="owned", source=None):
        self.proxy, self.value, self.state, self.source = proxy, value, state, source
        self.stored = list(value)
        self.readers, self.writer = [], None
        self.message = None

    def borrowed(self):
        return bool(self.readers or self.writer)


class Borrow:
    """A borrowed proxy of an owner."""

    def __init__(self, proxy, owner):
        self.proxy, self.owner, self.ended = proxy, owner, False


class Model(RuleBasedStateMachine):
    owners = Bundle("owners")
    borrows = Bundle("borrows")
    uri = None

    def __init__(self):
        super().__init__()
        self.store = psk.Store("model", f"{self.uri}-{os.urandom(6).hex()}", register=True)
        self.all = []

    def add(self, owner):
        self.all.append(owner)
        return owner

    def refused(self, owner, call, *, reading=False):
        """Make a call that an owner may not be able to take; tell whether it was refused, as it must be."""
        if owner.state == "arrived" and owner.source.state == "offered" and owner.source.message == owner.message:
            owner.state, owner.source.state = "owned", "ended"
        elif owner.state == "arrived":
            owner.state = "ended"
        expected = None
        if owner.state != "owned":
            expected = ReferenceInvalidError
        elif not reading and owner.borrowed():
            expected = BorrowedError
        elif reading and owner.writer:
            expected = MutableBorrowError
        if expected is None:
            return False
        with pytest.raises(expected):
            call(owner.proxy)
        return True

    @rule(target=owners, value=st.lists(st.integers(0, 9), min_size=1, max_size=3), populate=st.booleans())
    def put(self, value, populate):
        return self.add(Owner(owned_proxy(self.store, [*value], populate_target=populate), [*value]))

    @rule(owner=owners)
    def read(self, owner):
        if not self.refused(owner, lambda proxy: proxy.count(0), reading=True):
            assert owner.proxy == owner.value

    @rule(owner=owners)
    def change(self, owner):
        if not self.refused(owner, lambda proxy: proxy.append(5), reading=True):
            owner.proxy.append(5)
            owner.value = [*owner.value, 5]

    @rule(owner=owners)
    def store_changes(self, owner):
        if not self.refused(owner, update):
            update(owner.proxy)
            owner.stored = owner.value

    @rule(target=borrows, owner=owners, mutable=st.booleans())
    def lend(self, owner, mutable):
        lending = mut_borrow if mutable else borrow
        if self.refused(owner, lending, reading=True):
            return Borrow(None, None)
        if mutable and owner.readers:
            with pytest.raises(MutableBorrowError):
                mut_borrow(owner.proxy)
            return Borrow(None, None)
        made = Borrow(lending(owner.proxy), owner)
        if mutable:
            owner.writer, owner.value = made, owner.stored
        else:
            owner.readers.append(made)
        return made

    @rule(one=borrows, number=st.integers(0, 9))
    def write(self, one, number):
        if one.owner is None or one.owner.writer is not one:
            return
        one.proxy.append(number)
        update(one.proxy)
        one.owner.stored = one.owner.value = [*one.proxy]

    @rule(one=borrows)
    def look(self, one):
        if one.owner is not None and one.ended:
            with pytest.raises(ReferenceInvalidError):
                one.proxy.count(0)
        elif one.owner is not None and one.owner.writer is not one:
            one.proxy.count(0)
            assert one.proxy == one.owner.stored

    @rule(one=consumes(borrows), dropping=st.booleans())
    def end(self, one, dropping):
        if one.owner is None:
            return
        owner, one.ended = one.owner, True
        if dropping:
            one.proxy = one.owner = None
        else:
            mark_refs_out_of_scope(one.proxy)
        owner.writer = None if owner.writer is one else owner.writer
        owner.readers = [reader for reader in owner.readers if reader is not one]

    @rule(target=owners, owner=owners)
    def copy(self, owner):
        if self.refused(owner, clone, reading=True):
            return owner
        return self.add(Owner(clone(owner.proxy), owner.value))

    @rule(target=owners, owner=owners)
    def send(self, owner):
        if owner.state == "offered":
            message = pickle.dumps(owner.proxy)
            assert message == owner.message
        elif self.refused(owner, pickle.dumps):
            return owner
        else:
            owner.message, owner.state, owner.value = pickle.dumps(owner.proxy), "offered", owner.stored
        made = self.add(Owner(pickle.loads(owner.message), owner.stored, "arrived", owner))
        made.message = owner.message
        return made

    @rule(owner=owners)
    def take_back(self, owner):
        if owner.state == "offered":
            withdraw(owner.proxy)
            owner.state = "owned"
        elif owner.state == "ended" and owner.proxy is not None:
            with pytest.raises(ReferenceInvalidError):
                withdraw(owner.proxy)

    @rule(owner=owners)
    def free(self, owner):
        if owner.state == "released":
            release(owner.proxy)
        elif not self.refused(owner, release):
            release(owner.proxy)
            owner.state = "released"

    @invariant()
    def there_is_one_object_per_owner(self):
        flush()
        kept = sum(owner.state == "owned" for owner in self.all) + 2 * sum(o.state == "offered" for o in self.all)
        assert len(self.store.list()) == kept

    def teardown(self):
        offered = [owner for owner in self.all if owner.state == "offered"]
        for owner in offered:
            withdraw(owner.proxy)
        for owner in self.all:
            for one in (*owner.readers, owner.writer):
                if one is not None:
                    one.proxy = one.owner = None
            owner.proxy = owner.readers = owner.writer = owner.source = None
        self.all.clear()
        self.bundles.clear()
        self.names_to_values.clear()
        del offered
        gc.collect()
        assert flush(5)
        assert self.store.list() == []
        psk.store.close_opened_stores()
        self.store.close()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["local", "file"])
def test_any_sequence_of_calls_keeps_the_rules(kind, scale, tmp_path):
    Model.uri = "local://model" if kind == "local" else f"file://{tmp_path}/model"
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=scale("patterns_ownership.model_runs"),
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
