"""`psk inspect` survives every pickle, and executes nothing."""

import json
import os
import pickle
import struct

import psk as psk_package
from faults.audit import forbidden_events
from psk.cli.output import Exit
from psk.cli.pickle_reader import MOST_INSTRUCTIONS
from psk.wire import encode

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


class Gadget:
    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def hostile_pickles(canary):
    call = f"touch {canary}"
    gadgets = [
        Gadget(os.system, call),
        Gadget(exec, f"open({str(canary)!r}, 'w')"),
        Gadget(eval, f"open({str(canary)!r}, 'w')"),
        Gadget(os.popen, call),
        Gadget(__import__, "antigravity"),
        {"nested": [Gadget(os.system, call)]},
    ]
    for gadget in gadgets:
        for protocol in PROTOCOLS:
            yield pickle.dumps(gadget, protocol)
        yield encode([1]).tobytes()[:64] + pickle.dumps(gadget)
    yield b"cos\nsystem\n(S'" + call.encode() + b"'\ntR."
    yield b"\x80\x04" + b"\x8e" + struct.pack("<Q", 2**63 - 1) + b"x"
    yield b"\x80\x04X" + struct.pack("<I", 2**32 - 1) + b"x"
    yield b"\x80\x04\x8b" + struct.pack("<i", -1) + b"x."
    yield b"\x80\x04" + b"(" * 100_000 + b"."
    yield b"\x80\x04" + b"]" + b"\x94]\x94" * 10_000 + b"."
    yield b"\x80\x04" + b")\x85" * 50_000 + b"."
    yield b"\x80\x04]" + b"2" * 1000 + b"0" * 2000 + b"."
    yield b"\x80\x04S" + b"'" * 100_000
    yield b"\x80\x04I" + b"9" * 100_000 + b"\n."
    yield b"\x80\x04L" + b"9" * 50_000 + b"L\n."
    yield b"c" + b"a" * 200_000 + b"\nb\n."
    yield b"\x80\xff."
    yield b"\x80\x04\x82\x01."
    yield b"\x80\x04" + b"\x93."
    yield b"\x80\x04\x97\x98."
    yield b"\x80\x04Q."
    yield b"\x80\x04Px\n."


def test_hostile_pickles_execute_nothing(tmp_path):
    canary = tmp_path / "canary"
    paths = []
    for number, data in enumerate(hostile_pickles(canary)):
        path = tmp_path / f"hostile-{number}"
        path.write_bytes(data)
        paths.append(str(path))
        # What a gadget would do, disguised as the first frame of a payload, it would do for those who decode.
        payload = tmp_path / f"payload-{number}"
        payload.write_bytes(psk_package.wire.Payload.build("pickle", [data]).tobytes())
        paths.append(str(payload))
    harmless = tmp_path / "harmless"
    harmless.write_bytes(encode([1, "x"]).tobytes())
    prepare = f"""
import contextlib, io
import psk
from psk.cli import main
paths = {paths!r}
with contextlib.redirect_stdout(io.StringIO()):
    main(["inspect", "--json", {str(harmless)!r}])
    main(["inspect", {str(harmless)!r}])
    main(["inspect", {paths[0]!r}])
    main(["inspect", {__file__!r}])
"""
    act = """
with contextlib.redirect_stdout(io.StringIO()) as out:
    codes = [main(["inspect", path]) for path in paths] + [main(["inspect", "--json", path]) for path in paths]
assert set(codes) <= {0, 1}, codes
"""
    assert forbidden_events(prepare, act) == []
    assert not canary.exists()


def test_hostile_pickles_name_what_they_would_import(psk, write, tmp_path):
    for data in list(hostile_pickles(tmp_path / "canary"))[:6]:
        done = psk("inspect", write(data), "--json")
        assert done.code == Exit.DONE
        (name,) = done.document["pickle"]["imports"]
        assert name in {"posix.system", "nt.system"}


def test_large_values_are_passed_over(psk, write):
    big = {"bytes": bytes(10_000_000), "text": "x" * 10_000_000, "old": 7**100_000}
    for protocol in reversed(PROTOCOLS):
        if protocol < 2:
            big.pop("old", None)  # Python itself refuses to write it as text
        done = psk("inspect", write(pickle.dumps(big, protocol)), "--json")
        assert (done.code, done.document["problems"]) == (Exit.DONE, [])


def test_a_file_of_nothing_but_instructions_is_given_up(psk, write, monkeypatch):
    assert MOST_INSTRUCTIONS >= 1_000_000
    monkeypatch.setattr("psk.cli.pickle_reader.MOST_INSTRUCTIONS", 1000)
    done = psk("inspect", write(b"\x80\x04" + b"N0" * 1000 + b"N."), "--json")
    assert done.code == Exit.NO
    assert "not read" in done.document["problems"][0]


def test_a_json_document_holds_any_name(command, tmp_path):
    path = tmp_path / "odd"
    path.write_bytes(b"c\xff\xfe\x1b[2J\nn\xc3\xa9 ame\n.")
    document = json.loads(command("inspect", path, "--json").stdout)
    assert len(document["pickle"]["imports"]) == 1
    assert b"\x1b" not in command("inspect", path).stdout
