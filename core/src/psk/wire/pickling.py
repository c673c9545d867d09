"""Encode any object as a pickle of protocol 5 whose large buffers are frames of their own."""

from __future__ import annotations

import pickle
from collections import ChainMap
from typing import TYPE_CHECKING, Any

from psk.errors import SerializationError
from psk.wire.codec import Codec
from psk.wire.header import MAXIMUM_FRAMES
from psk.wire.reducers import current, modules, registered, renew

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire.buffers import Buffer, Frame

PROTOCOL = 5
# Below, a frame of its own costs more than the copy into the stream.
OUT_OF_BAND_FROM = 4096


class Stream(list[Any]):
    """Collect what a pickler writes, in pieces, and the buffers it omits.

    A pickler passes large bytes objects to `write` as they are, so they are never copied into a stream. It passes a
    bytearray in the same way, after writing its length at that time, which `pieces` corrects.
    """

    __slots__ = ("buffers",)

    buffers: list[Frame]
    write = list.append

    def keep(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer out of the stream, or return True if it should stay in."""
        try:
            view = buffer.raw()
        except BufferError:
            return True  # not contiguous: the pickler refuses it with a clear message
        if view.nbytes < OUT_OF_BAND_FROM or len(self.buffers) == MAXIMUM_FRAMES - 1:
            return True
        self.buffers.append(view)
        return False

    def pieces(self) -> list[Buffer]:
        """Return what was written, in pieces whose lengths can no longer change.

        Code that ran after the pickler wrote the length of a bytearray (an object's own methods, another thread) may
        have resized it. Surplus bytes would be read as instructions, so the length in front of the bytearray, which is
        the last 8 bytes of the previous piece (pickle's BYTEARRAY8), is set to the one at which it is held now.
        """
        pieces: list[Buffer] = []
        for piece in self:
            if type(piece) is bytes:
                pieces.append(piece)
            elif type(piece) is bytearray:
                view = memoryview(piece)
                length = len(view).to_bytes(8, "little")
                if not pieces[-1].endswith(length):  # type: ignore[union-attr]  # always bytes, which the pickler made
                    pieces[-1] = pieces[-1][:-8] + length  # type: ignore[operator]  # as above
                pieces.append(view)
            else:  # a PickleBuffer that stays in the stream: it has held its memory since it was made
                pieces.append(piece.raw())
        return pieces


def encode_pickle(obj: object) -> Sequence[Frame]:
    """Return the pickle's stream and its out-of-band buffers.

    Raises:
        Exception: Whatever pickle or the object's own methods raise.
    """
    stream = Stream()
    buffers: list[Frame] = []
    stream.buffers = buffers
    pickler = pickle.Pickler(stream, PROTOCOL, True, stream.keep)  # by position: keywords take 100 ns
    snapshot = current[0]
    if snapshot.modules != len(modules) or snapshot.registered != len(registered):
        snapshot = renew()
    if snapshot.table is not None:
        pickler.dispatch_table = snapshot.table
    pickler.dump(obj)
    if buffers or len(stream) > 1:
        return [stream.pieces(), *buffers]
    return stream


def encode_cloudpickle(obj: object) -> list[Frame]:
    """Return frames like `encode_pickle` for objects that only cloudpickle can pickle: by value.

    Raises:
        SerializationError: cloudpickle is not installed.
        Exception: Whatever cloudpickle or the object's own methods raise.
    """
    try:
        import cloudpickle  # type: ignore[import-untyped]  # has no types; optional, 30 ms
    except ImportError as error:
        raise SerializationError(
            f"the codec cloudpickle cannot encode {type(obj).__qualname__}: it is not installed",
            remedy="pip install cloudpickle",
        ) from error
    stream = Stream()
    stream.buffers = []
    pickler: Any = cloudpickle.Pickler  # two classes, of which type checkers see the wrong one
    # Its own table is an attribute of the class, where one of an instance goes unnoticed.
    table = ChainMap(renew().ours, pickler.dispatch_table)
    with_table: Any = type("Pickler", (pickler,), {"dispatch_table": table})
    with_table(stream, PROTOCOL, buffer_callback=stream.keep).dump(obj)
    return [stream.pieces(), *stream.buffers]


def _decode(frames: list[memoryview]) -> object:
    stream, *buffers = frames
    return pickle.loads(stream, buffers=buffers)  # noqa: S301  # what this codec is for; `allowed="raw"` refuses it


PICKLE = Codec("pickle", encode_pickle, _decode)
CLOUDPICKLE = Codec("cloudpickle", encode_cloudpickle, _decode)
