"""`psk inspect` finds every reference in a pickle, and checks its signature."""

import collections
import datetime as dt
import os
import pickle

import numpy as np
import pytest

import psk as psk_package
from psk.cli.output import Exit
from psk.wire import Reference, SigningKey, encode

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Gadget:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.fixture
def proxies(tmp_path):
    with psk_package.Store("s", f"file://{tmp_path}/objects") as store:
        yield [store.proxy([1, 2]), store.proxy("x", evict=True), store.proxy(np.zeros(10))]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "around",
    [
        lambda proxies: proxies,
        lambda proxies: {"deep": [({"er": proxies}, dt.date(2020, 1, 1))], "more": b"bytes"},
        lambda proxies: collections.OrderedDict((number, proxy) for number, proxy in enumerate(proxies)),
        lambda proxies: [np.arange(3), *proxies, proxies[0]],
    ],
)
def test_references_are_found_wherever_they_are(psk, write, proxies, protocol, around):
    done = psk("inspect", write(pickle.dumps(around(proxies), protocol)), "--json")
    assert (done.code, done.document["kind"], done.document["problems"]) == (Exit.DONE, "pickle", [])
    found = done.document["pickle"]["references"]
    assert [it["key"] for it in found] == [psk_package.get_key(proxy) for proxy in proxies]
    assert [it["type"] for it in found] == ["list", "str", "numpy.ndarray"]
    assert [it["evict"] for it in found] == [False, True, False]
    assert done.document["pickle"]["imports"]["psk.store.restore_proxy"] == 1


def test_references_in_a_payload_and_in_a_factory_are_found(psk, write, proxies):
    payload = encode({"proxies": proxies, "factory": psk_package.get_factory(proxies[0])})
    done = psk("inspect", write(payload.tobytes()), "--json")
    assert len(done.document["payload"]["pickle"]["references"]) == 4
    assert psk_package.get_key(proxies[0]) in psk("inspect", write(payload.tobytes())).out


def test_a_thousand_references_are_one_line_each_up_to_a_limit(psk, write, tmp_path):
    with psk_package.Store("s", f"file://{tmp_path}/objects") as store:
        path = write(pickle.dumps(store.proxy_batch([str(number) for number in range(1000)])))
    assert len(psk("inspect", path, "--json").document["pickle"]["references"]) == 1000
    text = psk("inspect", path).out
    assert "1000 references" in text
    assert len(text.splitlines()) < 40


def test_a_signed_reference_is_checked(psk, write):
    reference = Reference("file:///x", os.urandom(16).hex()).sign(SigningKey("team", b"s" * 32))
    forged = Reference("file:///y", reference.key, signed_by="team", mac=reference.mac)
    for signed, secret, expected in (
        (reference, b"s" * 32, "valid"),
        (reference, b"t" * 32, "wrong"),
        (forged, b"s" * 32, "wrong"),
        (reference, None, "not checked"),
    ):
        path = write(pickle.dumps(Gadget(psk_package.store.restore_proxy, signed.uri, signed.to_bytes())))
        psk_package.set_signing_key("team", secret)
        try:
            done = psk("inspect", path, "--json")
        finally:
            psk_package.set_signing_key("team", None)
        (found,) = done.document["pickle"]["references"]
        assert (found["signed_by"], found["signature"]) == ("team", expected)
        assert done.code == (Exit.NO if expected == "wrong" else Exit.DONE)


def test_a_reference_restored_in_the_way_of_old_is_found(psk, write):
    reference = Reference("file:///x", os.urandom(16).hex())
    body = reference.to_bytes()
    pair = b"S'file:///x'\nC" + bytes([len(body)]) + body
    for data in (b"(" + pair + b"ipsk.store\nrestore_proxy\n.", b"(cpsk.store\nrestore_proxy\n" + pair + b"o."):
        (found,) = psk("inspect", write(data), "--json").document["pickle"]["references"]
        assert (found["uri"], found["key"]) == ("file:///x", reference.key)


@pytest.mark.parametrize(
    "arguments", [(), ("file:///x",), ("file:///x", b"?"), (7, b"?"), ("\x1b[2J", None), (1, 2, 3)]
)
def test_a_forged_reference_is_a_problem(psk, write, arguments):
    path = write(pickle.dumps([Gadget(psk_package.store.restore_proxy, *arguments)]))
    done = psk("inspect", path)
    assert done.code == Exit.NO
    assert "problem: a proxy's reference cannot be read" in done.out
    assert "\x1b" not in done.out


def test_several_pickles_in_one_file_are_all_read(psk, write, proxies):
    data = b"".join(pickle.dumps(proxy) for proxy in proxies)
    done = psk("inspect", write(data), "--json")
    assert done.code == Exit.DONE
    assert done.document["pickle"]["pickles"] == 3
    assert len(done.document["pickle"]["references"]) == 3
    assert psk("inspect", write(data + b"?")).code == Exit.NO
