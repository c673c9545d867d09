"""How are the instructions of a pickle read one by one, whatever sizes they claim?"""

from __future__ import annotations

from pickletools import opcodes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST_ARGUMENT = 64 * 1024
"""Longer arguments are passed over, not read: no name, URI or reference is so long."""

MOST_INSTRUCTIONS = 3_000_000
"""Of all pickles in a file; beyond, one of nothing but small instructions would take hours."""

_INSTRUCTIONS = {it.code: it for it in opcodes}
#: Bytes before the data that hold its length, for each of the negative numbers that pickletools has for them.
_LENGTH_BYTES = {-2: 1, -3: 4, -4: 4, -5: 8}
_UP_TO_NEWLINE = -1
_SIGNED = -3
_NUMBERS = frozenset({"LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "INT"})
_TWO_LINES = "stringnl_noescape_pair"


class DamagedPickleError(ValueError):
    """The instructions end, or make no sense, at some byte."""


class Skipped:
    """Stands for an argument that is of no interest, or too long to be."""

    __slots__ = ()


SKIPPED = Skipped()


class Cursor:
    """Read bytes from a place on, as the readers of `pickletools` do; never beyond the end.

    Args:
        view: Where to read.

    Attributes:
        at: Place of the next byte.
        instructions: How many were read.
    """

    __slots__ = ("at", "instructions", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.at = self.instructions = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self.view.nbytes - self.at

    def read(self, count: int) -> bytes:
        """Return up to `count` bytes."""
        data = bytes(self.view[self.at : self.at + count])
        self.at += len(data)
        return data

    def readline(self) -> bytes:
        """Return the bytes up to and with the next newline, or as many as an argument of interest may have."""
        line = bytes(self.view[self.at : self.at + LARGEST_ARGUMENT])
        line = line[: line.find(b"\n") + 1 or None]
        self.at += len(line)
        return line

    def skip(self, count: int) -> None:
        """Pass over bytes.

        Raises:
            DamagedPickleError: There are not so many.
        """
        if not 0 <= count <= self.left:
            raise DamagedPickleError(f"it is cut off: {count:,} bytes claimed, {self.left:,} left")
        self.at += count

    def skip_line(self) -> None:
        """Pass over the next newline.

        Raises:
            DamagedPickleError: There is none.
        """
        while line := self.readline():
            if line.endswith(b"\n"):
                return
        raise DamagedPickleError("it is cut off in a line")


def instructions(cursor: Cursor) -> Iterator[tuple[str, Any]]:
    """Iterate over the instructions up to the next STOP: name and argument.

    Raises:
        DamagedPickleError: What follows is no instruction, or is cut off.
    """
    while cursor.instructions < MOST_INSTRUCTIONS:
        cursor.instructions += 1
        code = cursor.read(1)
        if not code:
            raise DamagedPickleError("it is cut off: there is no STOP")
        instruction = _INSTRUCTIONS.get(code.decode("latin-1"))
        if instruction is None:
            raise DamagedPickleError(f"{code!r} is no instruction")
        yield instruction.name, _argument(cursor, instruction)
        if instruction.name == "STOP":
            return
    raise DamagedPickleError(f"it has more than {MOST_INSTRUCTIONS:,} instructions: the others were not read")


def _argument(cursor: Cursor, instruction: Any) -> Any:
    descriptor = instruction.arg
    if descriptor is None:
        return None
    if descriptor.name == _TWO_LINES:
        # Not with the standard library's reader: it joins the two with a space, which either may contain.
        return tuple(_line(cursor).decode("utf-8", "backslashreplace") for _ in range(2))
    start, width = cursor.at, _LENGTH_BYTES.get(descriptor.n)
    if width is not None:
        cursor.skip(width)
        length = int.from_bytes(cursor.view[start : cursor.at], "little", signed=descriptor.n == _SIGNED)
        cursor.skip(length)
    elif descriptor.n == _UP_TO_NEWLINE:
        cursor.skip_line()
    else:
        cursor.skip(descriptor.n)
    if cursor.at - start > LARGEST_ARGUMENT or instruction.name in _NUMBERS:
        return SKIPPED
    cursor.at = start
    try:
        return descriptor.reader(cursor)
    except Exception as error:  # noqa: BLE001  # whatever the standard library's readers stumble over
        raise DamagedPickleError(f"the argument of {instruction.name} makes no sense: {error}") from None


def _line(cursor: Cursor) -> bytes:
    line = cursor.readline()
    if not line.endswith(b"\n"):
        raise DamagedPickleError("a name is cut off, or longer than any")
    return line[:-1]
