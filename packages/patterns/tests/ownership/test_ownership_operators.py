"""Whatever operator is used, and however it is made, an owner owns and a borrow borrows."""

import operator
import pickle

import pytest

import psk
from psk.errors import MissingKeyError, NonProxiableTypeError, ProxyStoreFactoryError
from psk_patterns import (
    OwnedProxy,
    RefMutProxy,
    RefProxy,
    borrow,
    mark_refs_out_of_scope,
    mut_borrow,
    owned_proxy,
    release,
    update,
    withdraw,
)
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import AlreadyOwnedError, OwnershipError

#: Each operator that changes what is on its left, an operand for it, and what 6 becomes.
IN_PLACE = {
    "iadd": (1, 7),
    "isub": (1, 5),
    "imul": (2, 12),
    "itruediv": (4, 1.5),
    "ifloordiv": (4, 1),
    "imod": (4, 2),
    "ipow": (2, 36),
    "ilshift": (1, 12),
    "irshift": (1, 3),
    "iand": (3, 2),
    "ixor": (3, 5),
    "ior": (1, 7),
}


@pytest.mark.parametrize("populate", [True, False])
def test_an_owner_stays_one_when_its_object_is_replaced_in_place(local_store, populate):
    for name, (operand, result) in IN_PLACE.items():
        owner = kept = owned_proxy(local_store, 6, populate_target=populate)
        owner = getattr(operator, name)(owner, operand)
        assert owner is kept
        assert issubclass(type(owner), OwnedProxy)
        assert (owner, owner.__class__) == (result, type(result))
        assert local_store.get(psk.get_key(owner)) == 6
        update(owner)
        assert local_store.get(psk.get_key(owner)) == result
        del owner, kept
        assert flush()
        assert local_store.list() == []


def test_a_mutable_borrow_stays_one_when_its_object_is_replaced_in_place(local_store):
    for name, (operand, result) in IN_PLACE.items():
        owner = owned_proxy(local_store, 6)
        writer = kept = mut_borrow(owner)
        writer = getattr(operator, name)(writer, operand)
        assert writer is kept
        update(writer)
        mark_refs_out_of_scope(writer)
        assert (owner.__class__, owner) == (type(result), result)
        release(owner)


def test_an_owner_of_text_grows_it_as_the_text_itself_would(store):
    owner = owned_proxy(store, "a")
    owner += "b"
    owner *= 2
    update(owner)
    reader = borrow(owner)
    assert (reader, owner) == ("abab", "abab")
    mark_refs_out_of_scope(reader)
    release(owner)
    assert store.list() == []


def test_a_new_class_is_seen_by_borrowers_and_an_old_one_after_a_withdrawal(local_store):
    owner = owned_proxy(local_store, 3)
    owner /= 2
    reader = borrow(owner)
    assert isinstance(reader, int)  # what is stored
    mark_refs_out_of_scope(reader)
    pickle.dumps(owner)
    withdraw(owner)
    assert isinstance(owner, int)  # what was not stored is lost
    assert hash(owner) == hash(3)
    owner /= 2
    update(owner)
    reader = borrow(owner)
    assert isinstance(reader, float)
    mark_refs_out_of_scope(reader)
    release(owner)


def test_a_list_that_changes_itself_stays_the_same_list(local_store):
    held = [1]
    owner = owned_proxy(local_store, held)
    owner += [2]
    assert owner.__proxy_wrapped__ is held
    release(owner)


def test_the_class_of_owners_makes_one_of_the_factory_of_a_plain_proxy(store):
    plain = store.proxy([1], evict=True)
    owner = OwnedProxy(psk.get_factory(plain))
    assert owner == [1]
    assert isinstance(borrow(owner), RefProxy)
    with pytest.raises(AlreadyOwnedError):
        OwnedProxy(psk.get_factory(plain))
    del owner
    assert flush()
    assert store.list() == []
    with pytest.raises(MissingKeyError):
        OwnedProxy(psk.get_factory(plain))


def test_the_class_of_owners_refuses_what_it_could_not_own(local_store):
    owner = owned_proxy(local_store, [1])
    for factory in (lambda: [1], psk.get_factory(owner), psk.get_factory(borrow(owner)), 5):
        with pytest.raises(ProxyStoreFactoryError, match="owned_proxy"):
            OwnedProxy(factory)
    assert owner == [1]
    release(owner)


@pytest.mark.parametrize(("kind", "maker"), [(RefProxy, r"\.borrow"), (RefMutProxy, "mut_borrow")])
def test_the_classes_of_borrows_make_none(local_store, kind, maker):
    with pytest.raises(OwnershipError, match=maker):
        kind(psk.get_factory(local_store.proxy([1])))


@pytest.mark.parametrize("obj", [None, True, False])
def test_what_cannot_be_proxied_is_given_back_unless_that_is_refused(local_store, obj):
    assert owned_proxy(local_store, obj) is obj
    with pytest.raises(NonProxiableTypeError):
        owned_proxy(local_store, obj, skip_nonproxiable=False)
    assert local_store.list() == []
