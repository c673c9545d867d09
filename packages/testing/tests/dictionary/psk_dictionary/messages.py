"""Read and write messages: a length, a JSON header of that length, and the body whose size the header names."""

import json
import struct

LENGTH = struct.Struct(">I")
LONGEST_HEAD = 1 << 20
PIECE = 1 << 18


class NonsenseError(ConnectionError):
    """The other side said something that is no message."""


def packed(head, buffers=()):
    """Give the head as it travels, the size of its body in it."""
    text = json.dumps({**head, "nbytes": sum(memoryview(buffer).nbytes for buffer in buffers)}).encode()
    return LENGTH.pack(len(text)) + text


def received(read):
    """Read a message: its head, a dictionary, and its body.

    Args:
        read: Gives at most so many bytes, at least one; raises ConnectionError at the end.
    """
    size = LENGTH.unpack(exactly(read, LENGTH.size))[0]
    if size > LONGEST_HEAD:
        raise NonsenseError(f"a head of {size} bytes")
    try:
        head = json.loads(exactly(read, size))
        body = exactly(read, int(head["nbytes"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NonsenseError(f"no head of a message: {error}") from error
    return head, body


def exactly(read, count):
    """Read so many bytes, and allocate no more than have come."""
    whole = bytearray()
    while len(whole) < count:
        whole += read(min(count - len(whole), PIECE))
    return whole
