"""Follow the memory of a payload: what is copied, and who may write to it."""

import tracemalloc
import weakref

import numpy as np
import pytest

from psk.wire import Frames, Payload, allocate, decode, encode

LARGE = 100_000_000


@pytest.fixture
def traced():
    encode(np.zeros(1))  # imports what the first array of a process needs
    tracemalloc.start()
    yield tracemalloc
    tracemalloc.stop()


def peak(traced, work):
    traced.reset_peak()
    before = traced.get_traced_memory()[0]
    result = work()
    return result, traced.get_traced_memory()[1] - before


def views(payload):
    return [buffer for buffer in payload.buffers() if isinstance(buffer, memoryview)]


def received_privately(payload):
    """The payload in one writable buffer, as a connector returns it."""
    memory = allocate(payload.nbytes)
    place = 0
    for buffer in payload.buffers():
        memory[place : place + len(buffer)] = buffer
        place += len(buffer)
    return Frames([memory])


def test_a_large_array_is_neither_copied_by_encode_nor_by_decode(traced):
    array = np.zeros(LARGE // 8)
    payload, spent = peak(traced, lambda: encode(array))
    assert spent < 100_000
    (view,) = views(payload)
    assert np.shares_memory(np.frombuffer(view, "f8"), array)
    frames = received_privately(payload)
    found, spent = peak(traced, lambda: decode(Payload.parse(frames)))
    assert spent < 100_000
    assert np.shares_memory(found, np.frombuffer(frames.buffers[0], "u1"))
    assert found.flags.writeable


@pytest.mark.parametrize("wrap", [lambda obj: obj, lambda obj: [obj], lambda obj: {"a": (1, obj)}])
def test_buffers_are_views_of_the_objects_own_memory(wrap):
    array = np.arange(10_000)
    (view,) = views(encode(wrap(array)))
    assert np.shares_memory(np.frombuffer(view, array.dtype), array)
    raw = bytearray(10_000)
    (view,) = views(encode(raw))
    raw[0] = 7
    assert view[0] == 7


def test_large_bytes_inside_containers_are_handed_over_as_they_are(traced):
    large = bytes(10_000_000)
    obj = {"a": [1, large], "b": (large[:-1], "text")}
    payload, spent = peak(traced, lambda: encode(obj))
    assert any(buffer is large for buffer in payload.buffers())
    assert any(buffer is obj["b"][0] for buffer in payload.buffers())
    assert spent < 100_000


def test_raw_bytes_are_handed_over_and_back_as_they_are():
    large = bytes(1_000_000)
    payload = encode(large)
    assert payload.buffers()[1] is large
    block = payload.tobytes()[:64]
    assert decode(Payload.parse(Frames([block, large]))) is large


def test_a_private_bytearray_becomes_the_object_itself():
    payload = encode(bytearray(b"x" * 1000))
    private = bytearray(1000)
    assert decode(Payload.parse(Frames([payload.buffers()[0], private]))) is private


def test_a_read_only_array_comes_back_read_only_from_any_memory():
    array = np.arange(10_000)
    array.flags.writeable = False
    payload = encode(array)
    for received in (payload.tobytes(), received_privately(payload)):
        found = decode(Payload.parse(received))
        assert not found.flags.writeable
        assert np.array_equal(found, array)


def test_a_shared_buffer_is_copied_once_for_each_object_that_may_write():
    array = np.arange(100_000)
    whole = encode([array, array.copy()]).tobytes()
    first, second = decode(Payload.parse(whole)), decode(Payload.parse(whole))
    for found in (*first, *second):
        assert found.flags.writeable
        np.add(found, 1, out=found)
    for found in (*first, *second, *decode(Payload.parse(whole))):
        assert found.sum() in (array.sum(), array.sum() + len(array))
    assert np.array_equal(decode(Payload.parse(whole))[0], array)


def test_small_arrays_are_private_too():
    array = np.arange(3)
    whole = encode(array).tobytes()
    found = decode(Payload.parse(whole))
    found += 1
    assert np.array_equal(decode(Payload.parse(whole)), array)


def test_a_payload_that_was_never_sent_shares_nothing_with_its_object():
    for original in (np.arange(10_000), bytearray(b"a" * 5000), memoryview(bytearray(b"a" * 5000))):
        found = decode(encode(original))
        before = bytes(original)
        found[0] = 98
        assert bytes(original) == before


def test_frame_views_say_who_may_write():
    writable, fixed = np.zeros(1000), np.zeros(1000)
    fixed.flags.writeable = False
    payload = encode([writable, fixed])
    assert [view.readonly for view in payload.frame_views()] == [True, True, True]
    shared = Payload.parse(payload.tobytes())
    assert [view.readonly for view in shared.frame_views()] == [True, True, True]
    assert [view.readonly for view in shared.frame_views(private=True)] == [True, False, True]
    private = Payload.parse(received_privately(payload))
    assert [view.readonly for view in private.frame_views()] == [True, False, True]


def test_frames_are_aligned_to_cache_lines_in_received_memory():
    payload = encode([np.zeros(1000), np.zeros(1001, "u1").repeat(7), np.zeros(3000)])
    found = decode(Payload.parse(Frames([memoryview(bytes(payload.tobytes()))])))
    whole = Payload.parse(payload.tobytes())._whole
    place = np.frombuffer(whole, "u1").ctypes.data
    for view in Payload.parse(whole).frame_views():
        assert (np.frombuffer(view, "u1").ctypes.data - place) % 64 == 0
    assert len(found) == 3


def test_memory_lives_exactly_as_long_as_what_was_decoded_from_it():
    payload = encode(np.arange(1_000_000))
    frames = received_privately(payload)
    memory = weakref.ref(frames.buffers[0].obj)
    found = decode(Payload.parse(frames))
    del frames, payload
    assert memory() is not None
    assert found[-1] == 999_999
    del found
    assert memory() is None


@pytest.mark.parametrize("nbytes", [0, 1, 65_535, 65_536, 2 << 20, (2 << 20) + 1])
def test_allocated_memory_is_writable_and_zero(nbytes):
    memory = allocate(nbytes)
    assert (memory.nbytes, memory.readonly, memory.format) == (nbytes, False, "B")
    assert memory.tobytes() == bytes(nbytes)
    memory[:] = b"\1" * nbytes
