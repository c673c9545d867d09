"""Import an array library only where the program uses it."""

import copyreg
import importlib.util
import os
import pickle
import re
import subprocess
import sys
import sysconfig
import types
from pathlib import Path

import pytest

import psk
from psk.errors import CodecError, SerializationError
from psk.wire import Codec, Payload, codec_for, decode, encode, find_codec, pickling, register_codec

LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "polars", "torch")
NO_TORCH = Path(sysconfig.get_path("data")) / "no-torch.txt"
"""Where `make setup` writes why torch could not be installed: there is no wheel for every Python."""


@pytest.mark.skipif("CI" not in os.environ, reason="only CI must have every library")
@pytest.mark.parametrize("name", LIBRARIES)
def test_ci_skips_none_of_these_tests(name):
    if name == "torch" and NO_TORCH.exists():
        pytest.skip(f"torch could not be installed: {NO_TORCH.read_text().strip()}")
    assert importlib.util.find_spec(name)


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_neither_importing_nor_encoding_imports_a_library():
    program = (
        "import sys, psk, psk.wire as w\n"
        "class Tensor: pass\n"
        "for obj in ({'a': [1]}, Tensor(), b'x'): w.encode(obj)\n"
        f"print(*[n for n in sys.modules if n in {LIBRARIES} or n.startswith('psk.arrays')])"
    )
    assert run(program) == []


def test_no_library_is_named_but_behind_the_door_of_plugins():
    source = Path(psk.__file__).parent
    # The table of type codes is part of the format: its names are compared, and never imported.
    files = [*source.glob("wire/*.py"), *source.glob("store/**/*.py")]
    files.remove(source / "wire" / "type_codes.py")
    named = re.compile(rf"['\"]({'|'.join(LIBRARIES)})\b|import ({'|'.join(LIBRARIES)})\b")
    assert {path.name: found[0] for path in files if (found := named.search(path.read_text()))} == {}
    assert named.search((source / "arrays" / "torch.py").read_text())


def test_a_tensor_is_decoded_where_torch_was_not_imported_yet():
    torch = pytest.importorskip("torch")
    raw = encode(torch.arange(10)).tobytes()
    program = (
        "import sys; from psk.wire import *\n"
        f"p = Payload.parse(bytes.fromhex('{raw.hex()}')); assert 'torch' not in sys.modules\n"
        "print(*decode(p, allowed='raw').tolist())"
    )
    assert run(program) == [str(number) for number in range(10)]


@pytest.fixture(scope="module")
def frame():
    """A frame of polars, whose threads keep descriptors from their first work on: before the check for leaks."""
    pytest.importorskip("pyarrow")
    made = pytest.importorskip("polars").DataFrame({"a": range(20_000)})
    encode(made)
    return made


def decoded_elsewhere(obj):
    program = (
        "import sys; from psk.wire import *\n"
        "found = decode(Payload.parse(bytes.fromhex(sys.stdin.read())))\n"
        "print(type(found).__name__, len(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=encode(obj).tobytes().hex(), capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_an_array_is_decoded_where_numpy_was_not_imported_yet():
    np = pytest.importorskip("numpy")
    assert decoded_elsewhere(np.arange(20_000).astype("M8[s]")) == ["ndarray", "20000"]


def test_a_frame_is_decoded_where_polars_was_not_imported_yet(frame):
    assert decoded_elsewhere(frame) == ["DataFrame", "20000"]


def test_a_payload_that_needs_torch_says_so_without_it():
    payload = Payload.build("torch", [b"", b""])
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from psk.wire import *; from psk.errors import CodecError\n"
        f"p = Payload.parse(bytes.fromhex('{payload.tobytes().hex()}'))\n"
        "try: decode(p)\n"
        "except CodecError as error: print(error)"
    )
    assert "torch" in " ".join(run(program))


def test_a_library_that_is_being_imported_is_left_alone(monkeypatch):
    halfway = types.ModuleType("torch")
    halfway.__spec__ = types.SimpleNamespace(_initializing=True)

    class Tensor:
        pass

    monkeypatch.setitem(sys.modules, "torch", halfway)
    monkeypatch.setitem(pickling._targets, "torch", "psk.no_such_module")
    assert codec_for(Tensor()) is find_codec("pickle")
    encode([1])
    assert pickling.renew().modules == -1
    monkeypatch.undo()
    pickling.renew()


def test_a_module_that_only_has_the_name_of_a_library_does_no_harm(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", types.ModuleType("polars"))
    monkeypatch.setattr(pickling, "_found", {})
    monkeypatch.delitem(sys.modules, "psk.arrays.polars", raising=False)
    pickling.renew()
    assert decode(Payload.parse(encode({"a": 1}).tobytes())) == {"a": 1}
    monkeypatch.undo()
    pickling.renew()


class Special:
    def __init__(self, number):
        self.number = number


def test_what_is_registered_with_copyreg_is_used_even_if_it_changes(monkeypatch):
    pytest.importorskip("numpy")
    monkeypatch.setattr(copyreg, "dispatch_table", copyreg.dispatch_table)
    try:
        for number in (1, 2):
            copyreg.pickle(Special, lambda _obj, number=number: (Special, (number,)))
            assert decode(encode([Special(0)]))[0].number == number
    finally:
        del copyreg.dispatch_table[Special]
    assert decode(encode([Special(0)]))[0].number == 0


def test_a_reducer_of_the_users_own_is_preferred():
    np = pytest.importorskip("numpy")
    copyreg.pickle(np.ndarray, lambda array: (list, (array.tolist(),)))
    try:
        assert decode(encode([np.arange(3)])) == [[0, 1, 2]]
    finally:
        del copyreg.dispatch_table[np.ndarray]
    assert isinstance(decode(encode([np.arange(3)]))[0], np.ndarray)


def test_pickling_elsewhere_is_left_as_it_was():
    np = pytest.importorskip("numpy")
    encode(np.arange(3))
    assert b"psk" not in pickle.dumps(np.arange(3), 5)
    assert np.ndarray not in copyreg.dispatch_table


def test_the_name_of_a_codec_that_comes_on_demand_is_taken():
    with pytest.raises(SerializationError, match="another codec is registered as 'torch'"):
        register_codec(Codec("torch", list, list))
    with pytest.raises(CodecError, match="torch"):
        find_codec("no-such-codec")


def test_arrays_beside_what_only_cloudpickle_can_pickle_are_not_copied_either(trip):
    pytest.importorskip("cloudpickle")
    np = pytest.importorskip("numpy")
    times = np.arange(10_000).astype("M8[s]")
    sent = trip([times, lambda: 42])
    assert sent.payload.codec == "cloudpickle"
    assert sent.sent(times.ctypes.data)
    assert (sent.found[0] == times).all()
    assert sent.found[1]() == 42


def test_these_tests_notice_a_copy(trip, monkeypatch):
    np = pytest.importorskip("numpy")
    monkeypatch.setattr(pickling, "_found", {name: {} for name in pickling._targets})
    pickling.renew()
    times = np.arange(10_000).astype("M8[s]")
    copied = trip(times)
    monkeypatch.undo()
    pickling.renew()
    assert not copied.sent(times.ctypes.data)
    assert not copied.received(copied.found.ctypes.data)
    assert copied.in_band > times.nbytes
