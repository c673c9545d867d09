"""The rules of ownership on every channel, each with its error at the call that breaks it."""

import copy
import json
import pickle
import threading
from collections import OrderedDict

import pytest

from psk import Proxy, get_factory
from psk.errors import (
    CodecNotPortableError,
    InvalidArgumentError,
    MissingKeyError,
    ProxyResolveError,
)
from psk_patterns import (
    OwnedProxy,
    RefMutProxy,
    RefProxy,
    borrow,
    clone,
    into_owned,
    mark_refs_out_of_scope,
    mut_borrow,
    owned_proxy,
    release,
    update,
    withdraw,
)
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import (
    AlreadyOwnedError,
    BorrowedError,
    MutableBorrowError,
    OwnershipError,
    ReferenceInvalidError,
    ReferenceNotOwnedError,
)


def test_of_what_a_deserializer_makes_an_owner_knows_no_class(local_store):
    owner = owned_proxy(local_store, b'{"a": 1}', serializer=_as_json, deserializer=json.loads)
    second = clone(owner)
    for one in (owner, borrow(owner), second, borrow(second)):
        assert isinstance(one, dict)
        assert one == {"a": 1}
    del one
    lent = mut_borrow(second)
    with pytest.raises(CodecNotPortableError):
        pickle.dumps(lent)
    mark_refs_out_of_scope(lent)
    release(second)


def _as_json(obj):
    return obj if isinstance(obj, bytes) else json.dumps(obj).encode()


def test_an_owner_is_used_like_its_object_and_evicts_it(store):
    owner = owned_proxy(store, {"a": [1]})
    assert isinstance(owner, OwnedProxy)
    assert isinstance(owner, dict)
    assert owner["a"] == [1]
    assert len(store.list()) == 1
    del owner
    assert flush()
    assert store.list() == []


def test_many_may_read_or_one_may_write(store):
    owner = owned_proxy(store, [1])
    first, second = borrow(owner), borrow(owner)
    assert isinstance(first, RefProxy)
    assert first + second == [1, 1]
    with pytest.raises(MutableBorrowError, match="2 borrows"):
        mut_borrow(owner)
    del first
    mark_refs_out_of_scope(second)
    writer = mut_borrow(owner)
    assert isinstance(writer, RefMutProxy)
    for borrowing in (borrow, mut_borrow):
        with pytest.raises(MutableBorrowError, match="a mutable borrow"):
            borrowing(owner)
    with pytest.raises(MutableBorrowError):
        len(owner)
    del writer
    assert len(owner) == 1
    release(owner)


def test_a_borrow_cannot_be_used_after_its_end(store):
    owner = owned_proxy(store, [1])
    reader = borrow(owner)
    assert reader[0] == 1
    mark_refs_out_of_scope(reader)
    mark_refs_out_of_scope(reader)
    with pytest.raises(ReferenceInvalidError, match="it has ended"):
        reader[0]
    with pytest.raises(ProxyResolveError):
        reader[0]
    writer = mut_borrow(owner)
    mark_refs_out_of_scope(writer)
    with pytest.raises(ReferenceInvalidError):
        update(writer)
    release(owner)


def test_a_borrowed_owner_does_not_move_change_or_go(store):
    import pickle

    owner = owned_proxy(store, [1])
    reader = borrow(owner)
    for call in (update, release, pickle.dumps):
        with pytest.raises(BorrowedError, match="1 borrows"):
            call(owner)
    assert reader[0] == 1
    mark_refs_out_of_scope(reader)
    release(owner)


def test_what_was_changed_is_stored_by_update(store):
    owner = owned_proxy(store, [1])
    owner.append(2)
    update(owner)
    reader = borrow(owner)
    assert reader == [1, 2]
    mark_refs_out_of_scope(reader)
    writer = mut_borrow(owner)
    update(writer)  # not used yet: there is nothing to store
    writer.append(3)
    update(writer)
    writer.append(4)
    update(writer)
    mark_refs_out_of_scope(writer)
    assert owner == [1, 2, 3, 4]
    assert len(store.list()) == 1
    release(owner)
    assert store.list() == []


def test_a_borrower_who_may_only_read_cannot_update(local_store):
    owner = owned_proxy(local_store, [1])
    reader = borrow(owner)
    with pytest.raises(ReferenceNotOwnedError, match="may only read"):
        update(reader)
    mark_refs_out_of_scope(reader)
    release(owner)


def test_only_owners_lend_clone_update_and_release(local_store):
    owner = owned_proxy(local_store, [1])
    for value in (borrow(owner), local_store.proxy([2]), Proxy(list), [3], None):
        for call in (borrow, mut_borrow, clone, release, withdraw):
            with pytest.raises(ReferenceNotOwnedError, match="into_owned"):
                call(value)
    with pytest.raises(ReferenceNotOwnedError):
        update(local_store.proxy([2]))
    with pytest.raises(OwnershipError, match="is not a borrow"):
        mark_refs_out_of_scope(owner)
    del value
    release(owner)


def test_owners_and_writers_are_not_copied(local_store):
    owner = owned_proxy(local_store, [1])
    for resolved in (False, True):
        for copying in (copy.copy, copy.deepcopy):
            with pytest.raises(OwnershipError, match="clone"):
                copying(owner)
        assert resolved or owner[0] == 1
    writer = mut_borrow(owner)
    for copying in (copy.copy, copy.deepcopy):
        with pytest.raises(OwnershipError, match="clone"):
            copying(writer)
    mark_refs_out_of_scope(writer)
    release(owner)


def test_a_copied_borrow_is_one_more(local_store):
    owner = owned_proxy(local_store, [1])
    first = borrow(owner)
    second, third = copy.copy(first), copy.deepcopy(first)
    assert second == third == [1]
    with pytest.raises(MutableBorrowError, match="3 borrows"):
        mut_borrow(owner)
    mark_refs_out_of_scope(first)
    with pytest.raises(ReferenceInvalidError):
        copy.copy(first)
    del second, third
    update(owner)
    release(owner)


def test_a_clone_has_an_object_of_its_own(store):
    owner = owned_proxy(store, [1])
    owner.append(2)  # seen here only
    other = clone(owner)
    release(owner)
    assert other == [1, 2]
    assert len(store.list()) == 1
    release(other)
    release(other)


def test_what_was_released_cannot_be_used(store):
    owner = owned_proxy(store, [1])
    assert owner[0] == 1
    release(owner)
    assert store.list() == []
    for call in (len, borrow, mut_borrow, clone, update):
        with pytest.raises(ReferenceInvalidError, match="released"):
            call(owner)


def test_dropping_a_borrowed_owner_waits_for_the_last_borrow(store):
    owner = owned_proxy(store, [1])
    first, second = borrow(owner), borrow(owner)
    del owner
    flush()
    assert first == [1]
    del first
    flush()
    assert second == [1]
    mark_refs_out_of_scope(second)
    flush()
    assert store.list() == []


def test_a_plain_proxy_gets_an_owner_once(store):
    plain = store.proxy([1], evict=True)
    owner = into_owned(plain)
    for proxy in (plain, owner, borrow(owner)):
        with pytest.raises(AlreadyOwnedError):
            into_owned(proxy)
    del proxy
    owner.append(2)
    update(owner)  # under a new key: the first version may be in caches
    with pytest.raises(AlreadyOwnedError):
        into_owned(store.proxy_from_key(get_factory(owner).key))
    owner.append(3)
    update(owner)
    assert borrow(owner) == [1, 2, 3]
    release(owner)
    assert store.list() == []
    with pytest.raises(MissingKeyError):
        into_owned(plain)


def test_times_that_are_none_are_refused(local_store):
    for wrong in ({"ttl": -1}, {"ttl": 0.001}, {"window": 0}, {"ttl": "long"}):
        with pytest.raises(InvalidArgumentError):
            owned_proxy(local_store, [1], **wrong)
    assert local_store.list() == []


def test_serializers_are_those_of_the_object(local_store):
    owner = owned_proxy(local_store, OrderedDict(a=1), serializer="pickle", populate_target=False)
    assert type(get_factory(owner)()) is OrderedDict
    release(owner)
    packed = owned_proxy(local_store, "text", serializer=str.encode, deserializer=bytes.decode, populate_target=False)
    assert packed == "text"
    update(packed)
    assert borrow(packed) == "text"
    release(packed)


def test_on_a_channel_without_powers_one_process_owns_all_the_same(plain_store):
    store = plain_store()
    owner = owned_proxy(store, [1])
    owner.append(2)
    update(owner)
    writer = mut_borrow(owner)
    writer.append(3)
    update(writer)
    del writer
    assert owner == [1, 2, 3]
    key = get_factory(owner).key
    del owner
    assert flush()
    assert not store.exists(key)


def test_of_threads_that_borrow_at_once_one_may_write(local_store, scale):
    owner = owned_proxy(local_store, [1])
    for _ in range(scale("patterns_ownership.races")):
        got, start = [], threading.Barrier(4)

        def race(start=start, got=got):
            start.wait()
            try:
                got.append(mut_borrow(owner))
            except MutableBorrowError:
                return

        threads = [threading.Thread(target=race) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
        mark_refs_out_of_scope(*got)
    release(owner)
