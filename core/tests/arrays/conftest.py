"""Fixtures of the tests of arrays, tensors and frames."""

import pytest

from psk.wire import Frames, Payload, allocate, decode, encode


class Trip:
    """What became of an object: its payload, the memory it arrived in, and the object made of that."""

    def __init__(self, obj):
        self.payload = encode(obj)
        self.memory = allocate(self.payload.nbytes)
        place = 0
        for buffer in self.payload.buffers():
            self.memory[place : place + len(buffer)] = buffer
            place += len(buffer)
        self.found = decode(Payload.parse(Frames([self.memory])))

    @property
    def in_band(self):
        """Number of bytes that were copied into the pickle, or into the description of a tensor."""
        return self.payload.frame_sizes[0]

    def sent(self, address):
        """Whether the payload refers to the object's own memory at this address, rather than to a copy."""
        return any(start <= address < start + length for start, length in map(place_of, self.payload.buffers()))

    def received(self, address):
        """Whether this address lies in the memory that arrived."""
        start, length = place_of(self.memory)
        return start <= address < start + length


def place_of(buffer):
    """Address and length of a buffer."""
    np = pytest.importorskip("numpy")
    view = np.frombuffer(buffer, "u1") if len(buffer) else np.empty(0, "u1")
    return view.ctypes.data, view.nbytes


@pytest.fixture
def trip():
    """Send an object as a payload through private memory, and look at what happened to its own memory."""
    return Trip


@pytest.fixture
def through(store, uri):
    """Send an object through a store, on each channel in turn, and give what another reader gets."""

    def through(obj):
        import psk

        key = store.put(obj)
        with psk.Store("elsewhere", uri, cache_size=0) as other:
            return other.get(key)

    return through
