"""Memory that its owner changes while an object is encoded and written stays data (docs/wire.md)."""

import array
import pickle
import sys
import threading
from contextlib import suppress
from fractions import Fraction

import numpy as np
import pytest

from psk import Store
from psk.connectors import open_connector
from psk.errors import KeyExistsError, PayloadError, SignatureError
from psk.wire import Codec, Payload, SigningKey, decode, encode

#: From here on pickle hands a bytearray to its file instead of copying it.
HANDED_OVER = 64 * 1024
PARAMETERS = pytest.mark.parametrize


def instructions(path):
    """A pickle's instructions that make a directory and end the pickle."""
    return f"cposix\nmkdir\n(S'{path}'\ntR0.".encode()


class Changes:
    """Changes a bytearray at the moment when it is pickled itself, and comes back as a text."""

    def __init__(self, change, memory):
        self.change, self.memory = change, memory

    def __reduce__(self):
        self.change(self.memory)
        return str, ("changed",)


def grow(path):
    return lambda memory: memory.extend(instructions(path))


def lead(path):
    return lambda memory: memory.__setitem__(slice(0), instructions(path))


def shrink(_path):
    return lambda memory: memory.__delitem__(slice(HANDED_OVER // 2, None))


def empty(_path):
    return lambda memory: memory.clear()


@PARAMETERS("codec", ["pickle", "cloudpickle"])
@PARAMETERS("change", [grow, lead, shrink, empty])
def test_a_bytearray_that_is_resized_while_it_is_pickled_stays_data(tmp_path, change, codec):
    memory = bytearray(HANDED_OVER + 1)
    beside = bytearray(HANDED_OVER)
    obj = [beside, memory, Changes(change(tmp_path / "executed"), memory), memory, beside]
    found = decode(Payload.parse(encode(obj, codec=codec).tobytes()))
    assert not (tmp_path / "executed").exists()
    assert found == [beside, memory, "changed", memory, beside]


def test_a_put_beside_a_thread_that_resizes_a_bytearray_stays_data(tmp_path, scale):
    memory = bytearray(HANDED_OVER)
    code = instructions(tmp_path / "executed")
    done = threading.Event()

    def resize():
        while not done.is_set():
            try:
                memory.extend(code)
                del memory[HANDED_OVER:]
            except BufferError:  # it is being written at this moment
                pass

    fractions = [Fraction(1, number) for number in range(1, 10)]  # pickled by methods in Python
    thread = threading.Thread(target=resize)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        with Store("resized", "local://", cache_size=0) as store:
            for _ in range(scale("wire.resized")):
                key = store.put({"first": memory, "then": fractions, "second": [memory]})
                found = store.get(key)
                assert found["first"] is found["second"][0]
                assert found["first"] in (bytes(HANDED_OVER), bytes(HANDED_OVER) + code)
                store.evict(key)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert not (tmp_path / "executed").exists()


class Holds:
    """Pickles a buffer out of band, as a library's class does."""

    def __init__(self, memory):
        self.memory = memory

    def __reduce_ex__(self, _protocol):
        return bytes, (pickle.PickleBuffer(self.memory),)


SEGMENTS = Codec("test.segments", lambda memory: [[b"first", memory], memory], lambda frames: frames)
HANDED = {
    "bytearray": encode,
    "bytearray in a container": lambda memory: encode({"a": [memory]}),
    "bytearray for cloudpickle": lambda memory: encode([memory, lambda: None]),
    "memoryview": lambda memory: encode(memoryview(memory)),
    "out of band": lambda memory: encode([Holds(memory)]),
    "array over it": lambda memory: encode(np.frombuffer(memory, "u1")),
    "frames of a codec": lambda memory: Payload.build(SEGMENTS.name, SEGMENTS.encode(memory)),
}


@PARAMETERS("kind", HANDED)
def test_memory_refuses_to_be_resized_until_its_payload_is_gone(kind):
    memory = bytearray(2 * HANDED_OVER)
    payload = HANDED[kind](memory)
    before = payload.tobytes()
    for resize in (memory.clear, lambda: memory.extend(b"x"), memory.pop):
        with pytest.raises(BufferError):
            resize()
    assert payload.tobytes() == before
    assert payload.nbytes == len(before)
    del payload
    memory.clear()


@PARAMETERS("wrap", [lambda view: view, lambda view: view.cast("H"), lambda view: array.array("B", view)])
def test_memory_that_its_owner_releases_is_held_all_the_same(wrap):
    memory = bytearray(range(256)) * 400
    view = memoryview(memory)
    given = wrap(view)
    payload = encode(given)
    before = payload.tobytes()
    for released in (given, view):
        if isinstance(released, memoryview):
            released.release()
    assert payload.tobytes() == before


def test_frames_of_a_codec_that_are_released_are_held_all_the_same():
    whole, part = memoryview(bytearray(b"whole")), memoryview(bytearray(b"part"))
    payload = Payload.build("test.released", [whole, [b"a ", part]])
    whole.release()
    part.release()
    assert [bytes(view) for view in payload.frame_views()] == [b"whole", b"a part"]


def test_what_a_serializer_returns_is_held_until_it_is_written(uri):
    memory = bytearray(b"serialized")
    given = memoryview(memory)
    with Store("private", uri) as store:
        key = store.put(object(), serializer=lambda _obj: given)
        memory[:] = b"SERIALIZED"
        assert store.get(key, deserializer=bytes) == b"serialized"
        given.release()
        memory.clear()


@PARAMETERS("obj", [bytearray(HANDED_OVER), [bytearray(HANDED_OVER)], np.zeros(HANDED_OVER, "u1")])
def test_contents_that_change_between_signing_and_writing_are_refused(obj):
    memory = obj[0] if type(obj) is list else obj
    key = SigningKey("team", bytes(16))
    summed, signed, plain = encode(obj), encode(obj, checksum=False, signing_key=key), encode(obj, checksum=False)
    memory[100] = 1
    with pytest.raises(PayloadError):
        Payload.parse(summed.tobytes()).verify()
    with pytest.raises(PayloadError):
        Payload.parse(summed.received).verify()
    with pytest.raises(SignatureError):
        Payload.parse(signed.tobytes()).verify_signature(key)
    assert np.array_equal(decode(Payload.parse(plain.tobytes())), obj)


@PARAMETERS("checksum", [True, False])
def test_a_repeated_put_leaves_the_object_as_it_was_written(uri, checksum):
    memory = bytearray(HANDED_OVER)
    payload = encode([memory], checksum=checksum)
    connector = open_connector(uri)
    key = connector.put(payload)
    assert connector.put(payload) == key
    memory[0] = 1
    with suppress(KeyExistsError):
        assert connector.put(payload) == key
    assert decode(Payload.parse(connector.get(key))) == [bytes(HANDED_OVER)]
    connector.close()


def test_a_large_array_that_stays_in_the_stream_may_have_any_order():
    array = np.asfortranarray(np.arange(20_000.0).reshape(100, 200))
    frames = [pickle.PickleBuffer(bytes(4096))] * 65_535  # as many as a payload has beside the stream
    payload = encode([*frames, array], checksum=False)
    assert len(payload.frame_sizes) == 65_536
    assert np.array_equal(decode(payload)[-1], array)
