"""Choose codecs, limit who may decode, and explain failures."""

import pickle
import threading

import numpy as np
import pytest

from psk.errors import CodecError, CodecRefusedError, PayloadError, SerializationError
from psk.wire import PRIVATE_CODEC, Codec, Payload, codec_for, codecs, decode, encode, find_codec, register_codec


@pytest.fixture
def registrations(monkeypatch):
    """Registrations that end with the test."""
    monkeypatch.setattr(codecs, "_by_name", dict(codecs._by_name))
    monkeypatch.setattr(codecs, "_by_type", dict(codecs._by_type))


class Gadget:
    ran = 0

    def __reduce__(self):
        return _run, ()


def _run():
    Gadget.ran += 1


def travel(payload, **options):
    return decode(Payload.parse(payload.tobytes()), **options)


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (b"", "bytes"),
        (bytearray(), "bytearray"),
        ("", "str"),
        (memoryview(b""), "memory"),
        (1, "pickle"),
        ([], "pickle"),
    ],
)
def test_the_exact_type_chooses_the_codec(obj, name):
    assert codec_for(obj).name == encode(obj).codec == name


def test_raw_payloads_decode_where_only_raw_is_allowed():
    for obj in (b"a", bytearray(b"a"), "a"):
        assert travel(encode(obj), allowed="raw") == obj
    assert travel(encode(memoryview(b"a")), allowed="raw").tobytes() == b"a"


@pytest.mark.parametrize("codec", ["pickle", "cloudpickle"])
def test_a_planted_gadget_never_runs_where_only_raw_is_allowed(codec):
    Gadget.ran = 0
    payload = Payload.build(codec, [pickle.dumps(Gadget())])
    with pytest.raises(CodecRefusedError, match="raw"):
        travel(payload, allowed="raw")
    assert Gadget.ran == 0
    travel(payload)
    assert Gadget.ran == 1, "the gadget itself must work, or the test shows nothing"


def test_a_gadget_under_a_raw_codecs_name_is_only_bytes():
    Gadget.ran = 0
    stream = pickle.dumps(Gadget())
    assert travel(Payload.build("bytes", [stream]), allowed="raw") == stream
    assert Gadget.ran == 0


def test_an_unknown_rule_allows_nothing():
    with pytest.raises(CodecRefusedError):
        travel(encode([1]), allowed="everything")


def test_an_unknown_codec_lists_what_exists():
    with pytest.raises(CodecError, match=r"arrow.*found: .*pickle"):
        travel(Payload.build("arrow", [b""]))
    with pytest.raises(CodecError, match="arrow"):
        encode(1, codec="arrow")


def test_what_a_callable_serializer_made_says_so():
    with pytest.raises(CodecError, match="deserializer"):
        travel(Payload.build(PRIVATE_CODEC, [b""]))


def test_a_codec_asked_for_by_name_is_used_alone():
    assert encode(b"abc", codec="pickle").codec == "pickle"
    with pytest.raises(SerializationError, match="lambda"):
        encode(lambda: 1, codec="pickle")
    with pytest.raises(SerializationError, match=r"type str.*'memory'"):
        encode("text", codec="memory")


def test_another_codec_can_be_used_to_decode():
    assert decode(Payload.parse(encode("text").tobytes()), codec=find_codec("bytes")) == b"text"


def test_a_registered_codec_serves_its_types_and_writes_in_place(registrations):
    class Matrix:
        def __init__(self, memory):
            self.memory = memory

    codec = Codec("matrix-1.0", lambda obj: [[b"seg", b"ments"], obj.memory], lambda frames: Matrix(frames[1]))
    register_codec(codec, types=(Matrix,))
    register_codec(codec, types=(Matrix,))
    payload = encode(Matrix(bytearray(100)))
    assert payload.codec == "matrix-1.0"
    found = travel(payload)
    found.memory[0] = 1
    assert [bytes(view) for view in payload.frame_views()] == [b"segments", bytes(100)]


def test_objects_that_a_codec_of_their_type_does_not_accept_are_pickled(registrations):
    codec = Codec("even", lambda _obj: [b"even"], lambda _frames: "even", accepts=lambda obj: not obj.real % 2)
    register_codec(codec, types=(complex,))
    assert codec_for(2j + 2) is codec
    assert travel(encode(2j + 2)) == "even"
    assert codec_for(1j + 1) is find_codec("pickle")
    assert travel(encode(1j + 1)) == 1j + 1
    assert travel(encode(1j + 1, codec="even")) == "even"


@pytest.mark.parametrize("name", ["", "UPPER", "with space", "x" * 33, "caf\u00e9", PRIVATE_CODEC])
def test_malformed_codec_names_are_refused(name, registrations):
    with pytest.raises(SerializationError):
        register_codec(Codec(name, list, list))


def test_names_and_types_are_given_once(registrations):
    with pytest.raises(SerializationError, match="pickle"):
        register_codec(Codec("pickle", list, list))
    with pytest.raises(SerializationError, match=r"bytes.*already"):
        register_codec(Codec("mine", list, list), types=(bytes,))
    with pytest.raises(CodecError):
        find_codec("mine")


@pytest.mark.parametrize("frames", [[5], [[b"ok", 5]], [np.arange(9)[::2]], ["text"]])
def test_frames_that_are_no_buffers_are_refused(frames):
    with pytest.raises(SerializationError, match="frame"):
        Payload.build("pickle", frames)


@pytest.mark.parametrize(
    "options", [{"object_id": b"short"}, {"object_id": "0" * 16}, {"revision": -1}, {"revision": 2**32}]
)
def test_what_does_not_fit_the_header_is_refused(options):
    with pytest.raises(SerializationError):
        Payload.build("pickle", [b""], **options)
    with pytest.raises(SerializationError):
        Payload.build("Bad Name", [b""])
    with pytest.raises(SerializationError):
        Payload.build("pickle", [b""] * 65_537)


def test_functions_travel_by_value_when_pickle_cannot(monkeypatch):
    pytest.importorskip("cloudpickle")
    scale = 3
    payload = encode({"f": lambda x: x * scale, "a": np.zeros(1000)})
    assert payload.codec == "cloudpickle"
    found = travel(payload)
    assert found["f"](2) == 6
    assert found["a"].flags.writeable
    assert encode([len, Gadget]).codec == "pickle"


def test_without_cloudpickle_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cloudpickle", None)
    with pytest.raises(SerializationError, match="pip install cloudpickle"):
        encode(lambda: 1)
    with pytest.raises(SerializationError, match="pip install cloudpickle"):
        encode(1, codec="cloudpickle")


class Model:
    def __init__(self):
        self.layers = [1, {"lock": threading.Lock()}]


@pytest.mark.parametrize(
    ("obj", "where", "kind"),
    [
        (threading.Lock(), "", "_thread.lock"),
        ({"a": [1, (2, threading.Lock())]}, "obj['a'][1][1]", "_thread.lock"),
        (Model(), "obj.layers[1]['lock']", "_thread.lock"),
        ([iter([1]), (x for x in "ab")], "obj[1]", "generator"),
    ],
)
def test_an_unpicklable_object_is_named_with_place_and_remedy(obj, where, kind):
    with pytest.raises(SerializationError) as caught:
        encode(obj)
    message = str(caught.value)
    assert where in message
    assert kind in message
    assert type(obj).__qualname__ in message
    assert caught.value.remedy
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_deeply_nested_object_is_a_typed_error():
    obj = []
    for _ in range(100_000):
        obj = [obj]
    with pytest.raises(SerializationError, match="nested too deeply"):
        encode(obj)
    while obj:  # or its own deallocation would go just as deep
        obj = obj.pop()


class Raising:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


@pytest.mark.parametrize("error", [ValueError("v"), KeyError("k"), OSError(5, "io")])
def test_what_an_objects_own_methods_raise_is_wrapped(error):
    with pytest.raises(SerializationError) as caught:
        encode(Raising(error))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_object_is_let_through(error):
    with pytest.raises(type(error)):
        encode(Raising(error))


class NamelessError(Exception):
    def __str__(self):
        raise ValueError


class Odd:
    def __repr__(self):
        raise ValueError

    def __hash__(self):
        return 1


def test_an_error_without_text_is_wrapped_all_the_same():
    with pytest.raises(SerializationError, match="NamelessError"):
        encode({Odd(): Raising(NamelessError())})
    with pytest.raises(PayloadError, match="NamelessError"):
        travel(encode(Late()))


class Late:
    def __reduce__(self):
        return _fail, ()


def _fail():
    raise NamelessError


def test_a_failed_encode_keeps_no_hold_of_the_objects_memory():
    memory = bytearray(10_000)
    with pytest.raises(SerializationError):
        encode([pickle.PickleBuffer(memory), threading.Lock()])
    memory.append(1)  # a bytearray refuses to grow while somebody looks at it


class Picky:
    def __setstate__(self, state):
        raise LookupError("not today")

    def __getstate__(self):
        return {"a": 1}


def test_a_class_that_refuses_its_state_is_a_payload_error():
    with pytest.raises(PayloadError, match="not today") as caught:
        travel(encode(Picky()))
    assert isinstance(caught.value.__cause__, LookupError)


def test_types_that_cannot_be_hashed_are_pickled():
    class Meta(type):
        __hash__ = None

    odd = Meta("Odd", (), {})
    assert codec_for(odd()).name == "pickle"


def test_what_a_program_defined_in_main_is_said_to_need_cloudpickle(monkeypatch):
    import __main__

    class Model:
        __module__, __qualname__ = "__main__", "Model"

    monkeypatch.setattr(__main__, "Model", Model, raising=False)
    payload = encode(Model())
    monkeypatch.undo()
    with pytest.raises(PayloadError, match=r"'Model'.*__main__; move the definition .* serializer=\"cloudpickle\""):
        decode(payload)
