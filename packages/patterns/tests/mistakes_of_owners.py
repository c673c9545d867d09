"""Public calls that provoke each error of ownership."""

import copy
import pickle

from mistakes import provokes

from psk import get_factory
from psk_patterns import (
    borrow,
    clone,
    errors,
    into_owned,
    mark_refs_out_of_scope,
    mut_borrow,
    release,
    update,
    withdraw,
)


def place_of(proxy):
    """Give what a message must name: the object's key, and the URI of its channel."""
    reference = (get_factory(proxy).factory if hasattr(get_factory(proxy), "factory") else get_factory(proxy)).reference
    return [reference.key, reference.uri]


@provokes(errors.OwnershipError, "cannot be copied", "one owner")
def copy_an_owner(owner, named):
    named += place_of(owner)
    copy.copy(owner)


@provokes(errors.OwnershipError, "is not a borrow")
def end_the_borrow_of_an_owner(owner, named):
    named += ["OwnedProxy"]
    mark_refs_out_of_scope(owner)


@provokes(errors.ReferenceInvalidError, "was released")
def use_after_release_of_its_object(owner, named):
    named += place_of(owner)
    release(owner)
    owner.append(4)


@provokes(errors.ReferenceInvalidError, "was pickled", "offers it")
def use_what_is_on_offer(owner, named):
    named += place_of(owner)
    pickle.dumps(owner)
    owner.append(4)


@provokes(errors.ReferenceInvalidError, "accepted it")
def take_back_what_was_accepted(owner, named):
    named += place_of(owner)
    arrived = pickle.loads(pickle.dumps(owner))
    arrived.append(4)
    withdraw(owner)


@provokes(errors.ReferenceInvalidError, "another copy of this proxy, accepted it")
def accept_twice(owner, named):
    named += place_of(owner)
    message = pickle.dumps(owner)
    first, second = pickle.loads(message), pickle.loads(message)
    first.append(4)
    second.append(5)


@provokes(errors.ReferenceInvalidError, "has ended")
def use_a_borrow_after_its_end(owner, named):
    named += place_of(owner)
    ref = borrow(owner)
    mark_refs_out_of_scope(ref)
    ref.append(4)


@provokes(errors.ReferenceInvalidError, "was pickled, and moved")
def use_a_mutable_borrow_that_was_sent(owner, named):
    named += place_of(owner)
    writer = mut_borrow(owner)
    pickle.dumps(writer)
    try:
        writer.append(4)
    finally:
        mark_refs_out_of_scope(writer)


@provokes(errors.ReferenceNotOwnedError, "cannot borrow", "through a Proxy")
def borrow_from_a_plain_proxy(store, named):
    plain = store.proxy([1])
    named += place_of(plain)
    borrow(plain)


@provokes(errors.ReferenceNotOwnedError, "cannot clone a list")
def clone_what_is_no_proxy(store, named):
    named += ["list"]
    clone([1])


@provokes(errors.ReferenceNotOwnedError, "may only read")
def update_through_a_borrow(owner, named):
    named += place_of(owner)
    refs = [borrow(owner)]
    try:
        update(*refs)
    finally:
        mark_refs_out_of_scope(*refs)


@provokes(errors.MutableBorrowError, "many may read, or one may write")
def borrow_mutably_what_is_borrowed(owner, named):
    named += place_of(owner)
    refs = [borrow(owner)]
    try:
        mut_borrow(owner)
    finally:
        mark_refs_out_of_scope(*refs)


@provokes(errors.MutableBorrowError, "many may read, or one may write")
def borrow_what_is_mutably_borrowed(owner, named):
    named += place_of(owner)
    refs = [mut_borrow(owner)]
    try:
        borrow(owner)
    finally:
        mark_refs_out_of_scope(*refs)


@provokes(errors.MutableBorrowError, "mutably borrowed")
def read_what_is_mutably_borrowed(owner, named):
    named += place_of(owner)
    refs = [mut_borrow(owner)]
    try:
        owner.append(4)
    finally:
        mark_refs_out_of_scope(*refs)


def while_borrowed(call, owner, named):
    named += place_of(owner)
    refs = [borrow(owner)]
    try:
        call(owner)
    finally:
        mark_refs_out_of_scope(*refs)


@provokes(errors.BorrowedError, "cannot move", "while it is borrowed")
def move_what_is_borrowed(owner, named):
    while_borrowed(pickle.dumps, owner, named)


@provokes(errors.BorrowedError, "cannot release", "while it is borrowed")
def release_what_is_borrowed(owner, named):
    while_borrowed(release, owner, named)


@provokes(errors.BorrowedError, "cannot update", "while it is borrowed")
def update_what_is_borrowed(owner, named):
    while_borrowed(update, owner, named)


@provokes(errors.AlreadyOwnedError, "has an owner already")
def own_an_owner(owner, named):
    named += place_of(owner)
    into_owned(owner)


@provokes(errors.AlreadyOwnedError, "has an owner in this process")
def own_what_is_owned(owner, named):
    named += place_of(owner)
    into_owned(get_factory(owner).store.proxy_from_key(named[0]))
