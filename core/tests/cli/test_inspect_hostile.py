"""`psk inspect` shows what hostile pickles would do, does none of it, and uses bounded memory."""

import io
import json
import pickle
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from faults.audit import FORBIDDEN, forbidden_events
from hostile.gadgets import gadgets, is_fatal
from hostile.opcodes import nested, text
from psk.cli.inspection import describe_pickle
from psk.cli.output import Exit
from psk.wire import Reference

TESTS = Path(__file__).parents[3] / "tests"
CANARY = SimpleNamespace(
    path="/nonexistent/canary",
    script="/nonexistent/script.py",
    module="hostile_canary_module",
    host="127.0.0.1",
    port=9,
)


class Stub:
    """Stands for whatever a pickle imports."""

    def __init__(self, *_args, **_options):
        pass

    __call__ = append = extend = __setitem__ = __setstate__ = __init__


class Recorder(pickle.Unpickler):
    """Unpickles with stubs in place of everything that is imported."""

    def __init__(self, stream):
        super().__init__(io.BytesIO(stream), buffers=[bytearray(8)] * 8)
        self.names = set()

    def find_class(self, module, name):
        self.names.add(f"{module}.{name}")
        return Stub

    def persistent_load(self, _identity):
        return None


def names_found_by_unpickling(stream):
    recorder = Recorder(stream)
    try:
        recorder.load()
    except Exception:  # noqa: BLE001  a stub is not what some pickles expect; what came before it counts
        return recorder.names
    return recorder.names


def test_every_name_that_unpickling_imports_is_named(seed):
    chance = random.Random(seed)
    for _ in range(5):
        for name, gadget in gadgets(CANARY, chance).items():
            stream = nested(gadget, chance)
            found = describe_pickle(memoryview(stream), [])["imports"]
            assert is_fatal(name) or names_found_by_unpickling(stream) <= found.keys(), name


def test_looking_at_hostile_pickles_causes_nothing():
    prepare = f"""
import sys, random
from types import SimpleNamespace
sys.path.insert(0, {str(TESTS)!r})
from hostile.gadgets import gadgets
from hostile.opcodes import nested
from psk.cli.inspection import describe_pickle
chance = random.Random(1)
import pickle, psk
with psk.Store.from_uri("local://warm") as store:
    describe_pickle(memoryview(pickle.dumps(store.proxy([1]))), [])  # imports what it needs
b"x".decode("raw-unicode-escape")  # whose codec is imported when first used
streams = [nested(one, chance) for _ in range(5) for one in gadgets(SimpleNamespace(**{vars(CANARY)}), chance).values()]
"""
    act = "for stream in streams: describe_pickle(memoryview(stream), [])"
    assert forbidden_events(prepare, act, watched=(*FORBIDDEN, "socket.connect", "open")) == []


def test_long_names_put_together_from_few_bytes_stay_few(tmp_path, psk):
    texts = [text(f"{number:03d}" * 20_000) + b"q" + bytes((number,)) + b"0" for number in range(50)]
    pairs = [b"h%ch%c\x930" % (first, second) for first in range(50) for second in range(50)]
    (tmp_path / "names").write_bytes(b"\x80\x04" + b"".join(texts + pairs) + b"N.")
    document = psk("inspect", tmp_path / "names", "--json").document
    assert len(document["pickle"]["imports"]) == 50 * 50
    assert len(json.dumps(document)) < 50 * 50 * 1100


@pytest.mark.parametrize("what", ["names", "references"])
def test_too_many_names_or_references_are_a_problem(tmp_path, psk, monkeypatch, what):
    monkeypatch.setattr("psk.cli.pickle_reader.MOST_FOUND", 10)
    body = Reference("local://x", "0" * 32).to_bytes()
    names = b"".join(b"cmodule\nname%d\n0" % number for number in range(20))
    references = b"cpsk.store\nrestore_proxy\n" + text("local://x") + b"C" + bytes((len(body),)) + body + b"\x86R0"
    stream = names if what == "names" else references * 20
    (tmp_path / "many").write_bytes(b"\x80\x04" + stream + b"N.")
    result = psk("inspect", tmp_path / "many", "--json")
    assert result.code == Exit.NO
    assert "more than 10" in result.document["problems"][0]


def test_instructions_count_together_in_a_file_of_many_pickles(monkeypatch):
    monkeypatch.setattr("psk.cli.pickle_reader.MOST_INSTRUCTIONS", 100)
    problems = []
    found = describe_pickle(memoryview(b"\x80\x04N." * 1000), problems)
    assert found["pickles"] == 33
    assert "more than 100 instructions" in problems[0]


def test_a_password_in_a_reference_is_masked_for_programs_too(tmp_path, psk):
    uri = "redis://user:secret@host/0"
    body = Reference(uri, "0" * 32).to_bytes()
    stream = b"cpsk.store\nrestore_proxy\n" + text(uri) + b"B" + struct.pack("<I", len(body)) + body + b"\x86R."
    (tmp_path / "proxy").write_bytes(b"\x80\x04" + stream)
    for words in ((), ("--json",)):
        out = psk("inspect", tmp_path / "proxy", *words).out
        assert "secret" not in out
        assert "redis://user" in out
