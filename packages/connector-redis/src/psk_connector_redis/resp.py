"""How do commands lie on the wire, and how does a long answer begin? As in the Redis serialisation protocol, 2 or 3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import hiredis

from psk_connector_redis.refusal import GarbledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Buffer = bytes | bytearray | memoryview

LONGEST_STRING: Final = 512 * 1024 * 1024
"""Bytes of the longest string that a server stores by default; whoever announces more is not believed."""

JOINED_BYTES: Final = 64 * 1024
"""Buffers below are copied together, since a call of the system costs more; longer ones are sent as they lie."""

LONGEST_HEAD: Final = 32
"""More than what stands before a string: a dollar, its length and the end of the line."""


def pack(*arguments: bytes) -> bytes:
    """Write a command whose arguments are short."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # takes any number of them
    return packed


def pack_around(
    before: Sequence[bytes], buffers: Sequence[Buffer], nbytes: int, after: Sequence[bytes]
) -> list[Buffer]:
    """Write a command with one long argument among short ones, which is not copied.

    Args:
        before: The command and its arguments before the long one.
        buffers: The long argument, in pieces.
        nbytes: How long it is.
        after: The arguments after it.
    """
    head = b"".join(
        [b"*%d\r\n" % (len(before) + 1 + len(after)), *(_string(part) for part in before), b"$%d\r\n" % nbytes]
    )
    return [head, *buffers, b"\r\n" + b"".join([_string(part) for part in after])]


def joined(buffers: Sequence[Buffer]) -> Sequence[Buffer]:
    """Copy short buffers that follow each other together; leave long ones as they are."""
    if sum(map(len, buffers)) < JOINED_BYTES:
        return (b"".join(buffers),)
    pieces: list[Buffer] = []
    short: list[Buffer] = []
    size = 0
    for buffer in buffers:
        if size and size + len(buffer) >= JOINED_BYTES:
            pieces.append(b"".join(short))
            short, size = [], 0
        if len(buffer) >= JOINED_BYTES:
            pieces.append(buffer)
        else:
            short.append(buffer)
            size += len(buffer)
    if short:
        pieces.append(b"".join(short))
    return pieces


def string_length(head: bytes) -> int | None:
    """Return how long the string is that a head announces, -1 if there is none; None if it announces something else.

    Raises:
        GarbledError: It announces a string that no server stores.
    """
    if head in {b"$-1", b"_"}:
        return -1
    if not head.startswith(b"$"):
        return None
    digits = head[1:]
    if not digits.isdigit() or int(digits) > LONGEST_STRING:
        raise GarbledError("a string of senseless length was announced")
    return int(digits)


def _string(part: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(part), part)
