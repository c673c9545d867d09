"""Move objects by messages that are lost, late or duplicated: each object has one owner."""

import pickle
import threading
import time

import cloudpickle
import pytest

import psk
from psk import get_factory
from psk.errors import (
    CapabilityError,
    CodecNotPortableError,
)
from psk_patterns import OwnedProxy, borrow, mark_refs_out_of_scope, mut_borrow, owned_proxy, release, update, withdraw
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import OwnershipError, ReferenceInvalidError
from psk_patterns.ownership import accept
from psk_patterns.ownership.offer import ACCEPTED

TTL = 1.0


def emptied(store, within):
    """Tell whether nothing is left after some time at most."""
    deadline = time.monotonic() + within
    while store.list() and time.monotonic() < deadline:
        time.sleep(0.02)
    return store.list() == []


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps])
def test_an_object_moves_to_whoever_unpickles_it(store, dumps):
    sender = owned_proxy(store, {"a": 1})
    assert sender["a"] == 1
    message = dumps(sender)
    with pytest.raises(ReferenceInvalidError, match="pickled, which offers it"):
        sender["a"]
    arrived = pickle.loads(message)
    assert isinstance(arrived, OwnedProxy)
    assert isinstance(arrived, dict)  # known before it is accepted
    assert arrived == {"a": 1}
    assert len(store.list()) == 1
    for call in (len, borrow, update, release, withdraw):
        with pytest.raises(ReferenceInvalidError):
            call(sender)
    del sender
    assert flush()
    assert arrived == {"a": 1}
    del arrived
    assert flush()
    assert store.list() == []


def test_a_duplicate_does_nothing(store):
    sender = owned_proxy(store, [1])
    message = pickle.dumps(sender)
    assert pickle.dumps(sender) == message  # the same offer
    first, second = pickle.loads(message), pickle.loads(message)
    accept(second)
    accept(second)
    with pytest.raises(ReferenceInvalidError, match="another copy of this proxy"):
        first[0]
    third = pickle.loads(message)
    with pytest.raises(ReferenceInvalidError):
        accept(third)
    del first, third
    assert flush()
    assert second[0] == 1
    again = pickle.loads(pickle.dumps(second))
    late = pickle.loads(message)
    with pytest.raises(ReferenceInvalidError):
        late[0]
    assert again[0] == 1
    release(again)
    assert store.list() == []


def test_what_is_taken_back_is_owned_again(store):
    sender = owned_proxy(store, [1])
    message = pickle.dumps(sender)
    withdraw(sender)
    withdraw(sender)
    assert sender[0] == 1
    late = pickle.loads(message)
    with pytest.raises(ReferenceInvalidError, match="withdrawn"):
        late[0]
    assert len(store.list()) == 1
    arrived = pickle.loads(pickle.dumps(sender))
    accept(arrived)
    with pytest.raises(ReferenceInvalidError, match="accepted it"):
        withdraw(sender)
    release(arrived)


def test_a_lost_message_gives_the_object_back(store):
    sender = owned_proxy(store, [1], ttl=TTL, window=0.4)
    message = pickle.dumps(sender)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert sender[0] == 1
            break
        except ReferenceInvalidError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    late = pickle.loads(message)
    with pytest.raises(ReferenceInvalidError):
        accept(late)
    release(sender)
    assert store.list() == []


def test_a_lost_message_of_a_dropped_sender_takes_the_object_along(shared_store):
    sender = owned_proxy(shared_store, [1], ttl=TTL, window=0.4)
    pickle.dumps(sender)
    del sender
    flush()
    assert len(shared_store.list()) == 2  # the object and the offer
    assert emptied(shared_store, 0.4 + TTL + 1)


def test_a_dropped_sender_keeps_the_object_until_it_is_accepted(open_channel):
    shared_store = open_channel("shm")
    sender = owned_proxy(shared_store, [1], ttl=TTL)
    message = pickle.dumps(sender)
    del sender
    time.sleep(1.5 * TTL)
    arrived = pickle.loads(message)
    assert arrived[0] == 1
    release(arrived)
    assert shared_store.list() == []


def test_what_is_delivered_and_not_used_goes(store):
    sender = owned_proxy(store, [1])
    arrived = pickle.loads(pickle.dumps(sender))
    del arrived
    assert flush()
    assert store.list() == []
    with pytest.raises(ReferenceInvalidError):
        withdraw(sender)


@pytest.mark.parametrize("kind", ["redis"])
def test_a_late_duplicate_after_everything_expired_is_dead(open_channel, kind):
    store = open_channel(kind)
    sender = owned_proxy(store, [1], ttl=0.4, window=0.1)
    message = pickle.dumps(sender)
    winner = pickle.loads(message)
    accept(winner)
    late = pickle.loads(message)
    time.sleep(2 * (0.1 + 2 * 0.4) + 0.3)  # the sign would have expired, too
    with pytest.raises(ReferenceInvalidError):
        accept(late)
    assert winner[0] == 1
    assert len(store.list()) == 1
    release(winner)


def test_of_many_duplicates_at_once_one_is_the_owner(shared_store, scale):
    for _ in range(scale("patterns_ownership.races")):
        message = pickle.dumps(owned_proxy(shared_store, [1]))
        copies = [pickle.loads(message) for _ in range(4)]
        owners, start = [], threading.Barrier(4)

        def race(proxy, start=start, owners=owners):
            start.wait()
            try:
                accept(proxy)
            except ReferenceInvalidError:
                return
            owners.append(proxy)

        threads = [threading.Thread(target=race, args=(proxy,)) for proxy in copies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(owners) == 1
        assert owners[0][0] == 1
        release(owners[0])
        del copies
    flush()
    assert shared_store.list() == []


def test_who_asks_again_after_a_lost_answer_is_still_the_owner(local_store, monkeypatch):
    sender = owned_proxy(local_store, [1])
    arrived = pickle.loads(pickle.dumps(sender))
    offer = get_factory(arrived)._offer
    for step in ("fulfil", "exists", "renew", "evict"):
        real = getattr(psk.Store, step)

        def loses_its_answer(store, *args, real=real, **options):
            monkeypatch.undo()
            real(store, *args, **options)
            raise psk.errors.ChannelUnavailableError("the answer was lost")

        monkeypatch.setattr(psk.Store, step, loses_its_answer)
        try:
            accept(arrived)
        except psk.errors.ChannelUnavailableError:
            continue
        break
    assert offer.counts
    assert offer.decide(ACCEPTED)
    assert arrived[0] == 1
    release(arrived)


def test_remote_updates_are_the_owners_at_the_end_of_the_borrow(store):
    owner = owned_proxy(store, [1], ttl=TTL)
    here = mut_borrow(owner)
    message = pickle.dumps(here)
    with pytest.raises(ReferenceInvalidError, match="moved to the process"):
        here.append(2)
    there = pickle.loads(message)
    other = pickle.loads(message)
    there.append(2)
    update(there)
    other.append(0)
    with pytest.raises(ReferenceInvalidError, match=r"copy of it|not the version"):
        update(other)
    moved = pickle.loads(pickle.dumps(there))
    with pytest.raises(ReferenceInvalidError):
        update(there)
    time.sleep(0.5 * TTL)  # the owner takes over meanwhile what was written
    moved.append(3)
    update(moved)
    mark_refs_out_of_scope(here)
    assert owner == [1, 2, 3]
    release(owner)
    assert emptied(store, TTL + 1)


def test_a_sent_reader_borrows_nothing(store):
    owner = owned_proxy(store, [1])
    reader = borrow(owner)
    sent = pickle.loads(pickle.dumps(reader))
    assert sent[0] == reader[0] == 1
    assert pickle.loads(pickle.dumps(sent)) == [1]
    del reader
    writer = mut_borrow(owner)
    del writer
    release(owner)
    late = pickle.loads(pickle.dumps(sent))
    with pytest.raises(psk.errors.ProxyResolveError, match="no object"):
        late[0]


def test_what_a_channel_lacks_is_refused(plain_store, local_store):
    store = plain_store()
    owner = owned_proxy(store, [1])
    with pytest.raises(CapabilityError, match="cannot be moved"):
        pickle.dumps(owner)
    writer = mut_borrow(owner)
    with pytest.raises(CapabilityError, match="cannot be sent"):
        pickle.dumps(writer)
    writer.append(2)
    del writer
    assert owner[0] == 1
    release(owner)
    private = owned_proxy(local_store, "text", deserializer=bytes.decode, serializer=str.encode)
    with pytest.raises(CodecNotPortableError):
        pickle.dumps(private)
    assert private == "text"  # it was not offered
    release(private)


def test_titles_and_loans_do_not_travel_by_themselves(local_store):
    owner = owned_proxy(local_store, [1])
    reader = borrow(owner)
    for proxy in (owner, reader, pickle.loads(pickle.dumps(reader))):
        with pytest.raises(OwnershipError, match="by itself"):
            pickle.dumps(get_factory(proxy))
    del proxy, reader
    release(owner)
