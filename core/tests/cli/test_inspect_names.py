"""`psk inspect` names what the real unpickler would import, whatever hides it."""

import collections
import datetime as dt
import decimal
import io
import os
import pickle
import random

import numpy as np
import pytest

from psk.cli.output import Exit
from psk.cli.pickle_reader import DamagedPickleError, PickleReader

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Recorder(pickle.Unpickler):
    def __init__(self, data):
        super().__init__(io.BytesIO(data), buffers=[b"x" * 10] * 100)
        self.fetched = collections.Counter()

    def find_class(self, module, name):
        self.fetched[f"{module}.{name}"] += 1
        return super().find_class(module, name)

    def persistent_load(self, pid):
        return pid


def imports_of(data):
    reader = PickleReader(memoryview(data))
    reader.follow()
    return reader.imports


def some_object(chance, depth=0):
    leaves = [
        chance.random,
        lambda: chance.getrandbits(200),
        lambda: "é" * chance.randrange(300),
        lambda: os.urandom(chance.randrange(300)),
        lambda: bytearray(b"abc"),
        lambda: dt.date(2020, 1, chance.randrange(1, 28)),
        lambda: decimal.Decimal(chance.randrange(100)),
        lambda: np.arange(chance.randrange(20)),
        lambda: complex(1, 2),
        lambda: range(chance.randrange(10)),
        lambda: chance.choice([None, True, False, Ellipsis, dict, len, os.path.join, collections.deque]),
    ]
    if depth > 3 or chance.random() < 0.4:
        return chance.choice(leaves)()
    items = [some_object(chance, depth + 1) for _ in range(chance.randrange(5))]
    return chance.choice(
        [
            lambda: items,
            lambda: tuple(items),
            lambda: dict(enumerate(items)),
            lambda: collections.deque(items),
            lambda: collections.defaultdict(list, enumerate(items)),
            lambda: [items, items],
            lambda: {str(it)[:9] for it in items},
            lambda: frozenset(str(it)[:9] for it in items),
        ]
    )()


def test_imports_are_those_of_the_real_unpickler(scale, seed):
    chance = random.Random(seed)
    for _ in range(scale("cli.pickles")):
        thing = some_object(chance)
        for protocol in PROTOCOLS:
            data = pickle.dumps(thing, protocol)
            recorder = Recorder(data)
            recorder.load()
            assert imports_of(data) == recorder.fetched, (protocol, thing)


EVASIONS = {
    "the memo under odd numbers": b"\x80\x04\x8c\x02osr\xff\xff\0\0\x8c\x06system\x940j\xff\xff\0\0h\x01\x93.",
    "names doubled and dropped": b"\x80\x04\x8c\x02os2\x8c\x01x00\x8c\x06system\x93.",
    "a mark dropped": b"\x80\x04\x8c\x02os(K\x010" + b"0\x8c\x06system\x93.",
    "a slice up to the mark dropped": b"\x80\x04\x8c\x02os(K\x01K\x021\x8c\x06system\x93.",
    "two lines": b"cos\nsystem\n.",
    "a call of old": b"(S'ls'\nios\nsystem\n.",
    "old texts": b"S'os'\nS'system'\n\x93.",
    "unicode of old": b"Vos\nVsystem\n\x93.",
    "unicode escaped": b"V\\u006fs\nVsyst\\u0065m\n\x93.",
    "long lengths": b"\x80\x04\x8d\x02\0\0\0\0\0\0\0osX\x06\0\0\0system\x93.",
    "the protocol in the middle": b"\x8c\x02os\x80\x04\x8c\x06system\x80\x02\x93.",
    "a frame that ends anywhere": b"\x80\x04\x95\x05\0\0\0\0\0\0\0\x8c\x02os\x8c\x06system\x93.",
    "overwritten memo": b"\x80\x04\x8c\x01xq\x00\x8c\x02osq\x000h\x00\x8c\x06system\x93.",
    "memo counted after odd numbers": b"\x80\x04\x8c\x02osq\x05\x94\x8c\x06system00h\x01\x8c\x06system\x93.",
}


@pytest.mark.parametrize("name", EVASIONS)
def test_tricks_do_not_hide_a_name(psk, write, name):
    done = psk("inspect", write(b"\x80\x04K\x00." + EVASIONS[name]), "--json")
    if done.code == Exit.DONE:  # else it is said that the pickle cannot be followed
        assert "os.system" in done.document["pickle"]["imports"]
    assert Recorder(EVASIONS[name]).fetched == {}
    recorder = Recorder(EVASIONS[name])
    try:
        recorder.find_class = lambda module, it: recorder.fetched.update([f"{module}.{it}"])  # fetches, imports nothing
        recorder.load()
    except (pickle.UnpicklingError, TypeError, KeyError):
        return
    assert done.document["pickle"]["imports"] == dict(recorder.fetched)


def test_a_computed_name_is_said_to_be_unknown(psk, write):
    path = write(b"\x80\x04\x8c\x02os\x8c\x08builtins\x8c\x03str\x93\x8c\x06system\x85R\x93.")
    done = psk("inspect", path, "--json")
    assert done.document["pickle"]["imports"] == {"builtins.str": 1, "os.?": 1}


def test_a_name_that_is_the_value_of_another_is_said_to_be_unknown(psk, write):
    path = write(b"\x80\x04\x8c\x09posixpath\x8c\x03sep\x93\x8c\x06system\x93.")
    done = psk("inspect", path, "--json")
    assert done.document["pickle"]["imports"] == {"posixpath.sep": 1, "?.system": 1}


def test_damaged_pickles_are_described_as_far_as_they_go(psk, write, scale, seed):
    chance = random.Random(seed)
    for _ in range(scale("cli.damaged_pickles")):
        data = bytearray(pickle.dumps(some_object(chance), chance.choice(PROTOCOLS)))
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            imports_of(bytes(data[: chance.randrange(len(data) + 1)]))
        except DamagedPickleError:
            continue
    truncated = psk("inspect", write(pickle.dumps(["x" * 100])[:50]), "--json")
    assert truncated.code == Exit.NO
    assert truncated.document["kind"] == "pickle"
    assert "cut off" in truncated.document["problems"][0]
