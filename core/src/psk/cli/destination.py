"""Where do an object's bytes go? To a file, whole or not at all, or to stdout, where no terminal is steered by them."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from psk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

MOST_SHOWN = 1 << 20
"""Bytes; nobody reads more in a terminal."""

_HARMLESS = str.maketrans("", "", "\n\t")


def write_to(path: str | None, parts: Sequence[memoryview]) -> None:
    """Write bytes.

    Args:
        path: A file; "-" for stdout; None for stdout too, unless it is a terminal that they could steer.
        parts: The bytes, one after the other.

    Raises:
        UsageError: They are not text, and would go to a terminal.
        OSError: They cannot be written.
    """
    if path in {None, "-"}:
        if path is None:
            _spare_terminal(parts)
        _print(parts)
        return
    try:
        _write_file(str(path), parts)
    except OSError as error:
        # The name of a temporary file says nothing to the user, and a failed write names no file at all.
        raise OSError(error.errno, error.strerror, path) from error


def _write_file(path: str, parts: Sequence[memoryview]) -> None:
    if _is_special(path):
        with open(path, "wb") as file:  # noqa: PTH123  pathlib costs 10 ms of import
            file.writelines(parts)
    else:
        _place(path, parts)


def _place(path: str, parts: Sequence[memoryview]) -> None:
    """Write beside it, and give it its name when it is whole."""
    # What a link names is meant, not the link.
    target = os.path.realpath(path)
    temporary = f"{target}.{os.urandom(4).hex()}.part"
    try:
        with _new_file(temporary, like=target) as file:
            file.writelines(parts)
        os.replace(temporary, target)  # noqa: PTH105  pathlib costs 10 ms of import
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108  as above
        raise


def _new_file(path: str, *, like: str) -> BinaryIO:
    """Open a file that is not there yet; whoever may not read what it will replace may not read it either."""
    mode = 0o666
    with suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(like).st_mode) & mode  # noqa: PTH116  as above
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _is_special(path: str) -> bool:
    """Tell whether a path is no place for a file: a device, a pipe, a directory."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116  as above
    except FileNotFoundError:
        return False


def _print(parts: Sequence[memoryview]) -> None:
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.writelines(parts)


def _spare_terminal(parts: Sequence[memoryview]) -> None:
    if sys.stdout is None or not sys.stdout.isatty():
        return
    if sum(part.nbytes for part in parts) <= MOST_SHOWN:
        with suppress(UnicodeDecodeError):
            text = b"".join(parts).decode()
            if text.translate(_HARMLESS).isprintable():
                return
    raise UsageError(
        "the object's bytes are not text, and could steer the terminal", remedy="use --output FILE, or a pipe"
    )
