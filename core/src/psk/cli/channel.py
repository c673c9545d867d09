"""The channel and the file that a command line names."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from psk.cli.output import read_duration, without_secrets
from psk.errors import ChannelUnavailableError, MissingKeyError, UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from psk.store import Store

MOST_PIPED = 1 << 30
"""Bytes. Input from a pipe is held in memory; files are mapped."""


def add_channel(parser: ArgumentParser) -> None:
    """Add the URI of a channel, and how long its calls may take."""
    parser.add_argument("uri", metavar="URI", help="the channel, as file:///scratch/objects or redis://host")
    parser.add_argument(
        "--timeout", metavar="TIME", type=read_duration, help="how long one call may take (default: the channel's own)"
    )


@contextmanager
def open_store(uri: str, *, create: bool = False, **options: str) -> Iterator[Store]:
    """Open a store over a channel, with options of `Store`; remove what only the opening created.

    Args:
        uri: The channel.
        create: Whether to create its directory or session if it does not exist.
        options: As of `Store`.
    """
    from psk.store import Store

    opened = Store.from_uri if create else Store.join
    with given_uri(uri), opened(uri, cache_size=0, **options) as store:
        yield store


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
            with suppress(OSError):  # it is not a directory, or another process uses it by now
                _remove_unused(path)


def _remove_unused(directory: str) -> None:
    """Remove a directory that holds at most empty hidden files of a connector."""
    with os.scandir(directory) as entries:
        kept = list(entries)
    if all(it.name.startswith(".") and it.is_file(follow_symlinks=False) and not it.stat().st_size for it in kept):
        for entry in kept:
            os.unlink(entry.path)  # noqa: PTH108  pathlib would cost 10 ms at import
        os.rmdir(directory)  # noqa: PTH106  as above


def check_outlives(uri: str) -> None:
    """Refuse a channel whose objects would be lost when this process ends.

    Raises:
        ChannelUnavailableError: They would be lost.
    """
    from psk.connectors import parse_uri

    config = parse_uri(uri)
    shown = without_secrets(uri)
    if config["scheme"] == "local":
        raise ChannelUnavailableError(
            f"{shown} is memory of this process, so the object would be lost when this command ends",
            remedy="use file://, or shm:// with --hold",
        )
    if config["scheme"] == "shm" and not _is_held(config):
        raise ChannelUnavailableError(
            f"no process has {shown} open, so the object would be lost when this command ends",
            remedy="add --hold, open it in a program first, or use file://",
        )


def _is_held(config: dict[str, object]) -> bool:
    """Tell whether any process has the session of a configuration open."""
    from psk.connectors.shm import is_alive

    place = {"root": str(config["root"])} if "root" in config else {}
    return "authority" in config and is_alive(str(config["authority"]), **place)


def missing(uri: str, *keys: str) -> MissingKeyError:
    """Build the error for keys without an object."""
    named = keys[0] if len(keys) == 1 else f"for {len(keys)} of the keys, {keys[0]} the first of them,"
    return MissingKeyError(
        f"there is no object {named} in {without_secrets(uri)}",
        remedy=f"psk ls {without_secrets(uri)} lists the keys",
    )


def read_content(path: str) -> memoryview:
    """Return the contents of a file, or of standard input for `-`; a file is mapped, not read.

    Raises:
        OSError: The file cannot be opened or read.
        UsageError: It is neither a file nor a pipe, or gives too much.
    """
    if path == "-":
        return _read_pipe(sys.stdin.fileno())
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


def _read_pipe(descriptor: int) -> memoryview:
    content = bytearray()
    while chunk := os.read(descriptor, 1 << 20):
        content += chunk
        if len(content) > MOST_PIPED:
            raise UsageError(
                f"standard input gives more than {MOST_PIPED:,} bytes", remedy="write them to a file first"
            )
    return memoryview(content)
