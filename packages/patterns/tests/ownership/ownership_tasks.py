"""Functions that the tests of ownership run in other processes."""

from __future__ import annotations

import os

import psk
from psk_patterns import borrow, owned_proxy, update
from psk_patterns.errors import ReferenceNotOwnedError


def total(*proxies, **named):
    return sum(map(sum, (*proxies, *named.values())))


def deep_total(structure):
    return sum(structure["at"][0]) + structure["n"]


def append_to(writer, *numbers):
    for number in numbers:
        writer.append(number)
        update(writer)
    return len(writer)


def give(uri, number):
    """Return an object that its maker owned."""
    return owned_proxy(psk.store.get_or_create_store(psk.StoreConfig(uri, uri)), [number])


def consume(proxy):
    """Own what arrived, and leave it."""
    return proxy[0]


def die(_proxy):
    os.kill(os.getpid(), 9)


def lend_in_child(owner):
    try:
        borrow(owner)
    except ReferenceNotOwnedError:
        return "refused"
    return "lent"
