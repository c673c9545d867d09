"""The channel and the file that a command line names."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from psk.cli.output import read_duration, without_secrets
from psk.errors import ChannelUnavailableError, MissingKeyError, UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from psk.store import ObjectStat, Store


def add_channel(parser: ArgumentParser) -> None:
    """Add the URI of a channel, and how long its calls may take."""
    parser.add_argument("uri", metavar="URI", help="the channel, as file:///scratch/objects or redis://host")
    parser.add_argument(
        "--timeout", metavar="TIME", type=read_duration, help="how long one call may take (default: the channel's own)"
    )


def open_store(uri: str, *, create: bool = False, **options: str) -> Store:
    """Open a store over a channel, with options of `Store`; create its directory or session only if told to."""
    from psk.store import Store

    opened = Store.from_uri if create else Store.join
    return opened(uri, cache_size=0, **options)


@contextmanager
def given_uri(uri: str) -> Iterator[str]:
    """Yield the URI that the user named; remove a directory that only its use created."""
    from psk.connectors import parse_uri

    path = str(parse_uri(uri).get("path", ""))
    was_there = not path or os.path.lexists(path)
    try:
        yield uri
    finally:
        if not was_there:
            # It is not a directory, or another process uses it by now.
            with suppress(OSError), os.scandir(path) as entries:
                kept = list(entries)
                if all(map(_is_mark, kept)):
                    for entry in kept:
                        os.unlink(entry.path)  # noqa: PTH108  pathlib would cost 10 ms at import
                    os.rmdir(path)  # noqa: PTH106  as above


def _is_mark(entry: os.DirEntry[str]) -> bool:
    """Tell whether a file is one of the empty hidden ones that connectors leave in a directory."""
    return entry.name.startswith(".") and entry.is_file(follow_symlinks=False) and not entry.stat().st_size


def check_outlives(uri: str) -> None:
    """Refuse a channel whose objects would be lost when this process ends.

    Raises:
        ChannelUnavailableError: They would be lost.
    """
    from psk.connectors import parse_uri
    from psk.connectors.shm.liveness import ROOT, is_alive

    config = parse_uri(uri)
    session = str(config.get("authority", ""))
    is_lost = config["scheme"] == "local"
    if config["scheme"] == "shm":
        is_lost = not (session and is_alive(session, str(config.get("root", ROOT))))
    if is_lost:
        raise ChannelUnavailableError(
            f"the object would be lost when this command ends: no other process has {without_secrets(uri)} open",
            remedy="use file://, or shm:// with --hold",
        )


def described(found: ObjectStat) -> dict[str, Any]:
    """Describe an object by its header, in plain values."""
    names = ("key", "nbytes", "codec", "frames", "revision", "expires")
    return {name: getattr(found, name) for name in names} | {"signed_by": found.signed_by or None}


def missing(uri: str, *keys: str) -> MissingKeyError:
    """Build the error for keys without an object."""
    shown = without_secrets(uri)
    return MissingKeyError(
        f"there is no object {' or '.join(keys)} in {shown}", remedy=f"psk ls {shown} lists the keys"
    )


def read_content(path: str) -> memoryview:
    """Return the contents of a file, or of standard input for `-`; a file is mapped, not read.

    Raises:
        OSError: The file cannot be opened or read.
        UsageError: It is neither a file nor a pipe.
    """
    if path == "-":
        return memoryview(sys.stdin.buffer.read())
    from mmap import ACCESS_READ, mmap

    # Do not wait for the writer of a FIFO.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            return memoryview(mmap(descriptor, 0, access=ACCESS_READ) if found.st_size else b"")
    finally:
        os.close(descriptor)
    raise UsageError(f"{path} is not a file", remedy="give a file, or - and pipe the bytes in")
