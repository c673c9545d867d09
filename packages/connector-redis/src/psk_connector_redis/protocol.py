"""Write commands of the Redis serialisation protocol, and tell its answers apart, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import hiredis

if TYPE_CHECKING:
    from collections.abc import Sequence

    Buffer = bytes | bytearray | memoryview

LONGEST_STRING: Final = 512 * 1024 * 1024
"""Bytes of the longest string that a server stores by default; a longer one that is announced is not believed."""


class Refusal(Exception):  # noqa: N818  an answer, returned as one; a caller that cannot use it raises an error of psk
    """An error that the server answered instead of doing what it was asked; `failures` translates it.

    Args:
        text: The answer as it came, its first word the code: `OOM command not allowed when ...`.
    """

    @property
    def code(self) -> str:
        """The first word: the kind of error."""
        return str(self).partition(" ")[0]


class GarbledError(ConnectionError):
    """The data received is not an answer of a Redis server, so the connection cannot be used any more."""


class UnexpectedError(Exception):
    """An answer is not the string that was asked for; the connection cannot be used any more."""


def pack(*arguments: bytes) -> bytes:
    """Write a command whose arguments are short."""
    return bytes(hiredis.pack_command(arguments))  # type: ignore[arg-type]  # takes any number of them


def pack_around(
    before: Sequence[bytes], buffers: Sequence[Buffer], nbytes: int, after: Sequence[bytes]
) -> list[Buffer]:
    """Write a command with one long argument among short ones, which is not copied.

    Args:
        before: The command and its arguments before the long one.
        buffers: The long argument, in pieces.
        nbytes: Its length.
        after: The arguments after it.
    """
    head = b"".join(
        [b"*%d\r\n" % (len(before) + 1 + len(after)), *(_string(part) for part in before), b"$%d\r\n" % nbytes]
    )
    return [head, *buffers, b"\r\n" + b"".join([_string(part) for part in after])]


def accepted(answer: Any, *kinds: type) -> Any:
    """Return an answer.

    Args:
        answer: What the server answered.
        kinds: The types that an answer to this command can have; any, if omitted.

    Raises:
        Refusal: The answer is a refusal.
        GarbledError: It cannot be the answer to this command, so no later answer can be believed either.
    """
    if isinstance(answer, Refusal):
        raise answer
    if kinds and type(answer) not in kinds:
        raise GarbledError(f"an answer of type {type(answer).__name__} to a command that has no such answers")
    return answer


def _string(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)
