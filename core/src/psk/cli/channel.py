"""How does a command use the channel of a URI, and does what it puts there outlive it?"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from psk.cli.output import without_secrets
from psk.cli.quantities import read_duration
from psk.errors import ChannelUnavailableError, MissingKeyError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

    from psk.store import Store


def add_channel(parser: ArgumentParser) -> None:
    """Take the URI of a channel, and how long its calls may take."""
    parser.add_argument("uri", metavar="URI", help="the channel, as file:///scratch/objects or redis://host")
    parser.add_argument(
        "--timeout", metavar="TIME", type=read_duration, help="how long one call may take (default: the channel's own)"
    )


@contextmanager
def open_store(uri: str, *, create: bool = False, **options: str) -> Iterator[Store]:
    """Open a store over a channel, with options of `Store`; what only the opening made there goes again.

    Args:
        uri: The channel.
        create: Whether to make its directory or session if there is none.
        options: As of `Store`.
    """
    from psk.store import Store

    opened = Store.from_uri if create else Store.join
    with given_uri(uri), opened(uri, cache_size=0, **options) as store:
        yield store


@contextmanager
def given_uri(uri: str) -> Iterator[str]:
    """Give the URI that the user named; a directory that only the check made goes again."""
    from psk.connectors import parse_uri

    path = str(parse_uri(uri).get("path", ""))
    was_there = not path or os.path.lexists(path)
    try:
        yield uri
    finally:
        if not was_there:
            with suppress(OSError):  # it is no directory, or somebody uses it by now
                _remove_unused(path)


def _remove_unused(directory: str) -> None:
    """Remove a directory that holds at most empty files of a connector's own, such as a mark."""
    with os.scandir(directory) as entries:
        kept = list(entries)
    if all(it.name.startswith(".") and it.is_file(follow_symlinks=False) and not it.stat().st_size for it in kept):
        for entry in kept:
            os.unlink(entry.path)  # noqa: PTH108  pathlib would cost 10 ms at import
        os.rmdir(directory)  # noqa: PTH106  as above


def check_outlives(uri: str) -> None:
    """Make sure that objects put there do not go with this process.

    Raises:
        ChannelUnavailableError: They would.
    """
    from psk.connectors import parse_uri

    config = parse_uri(uri)
    shown = without_secrets(uri)
    if config["scheme"] == "local":
        raise ChannelUnavailableError(
            f"{shown} is in the memory of this process, so the object would go with this command",
            remedy="use file://, or shm:// with --hold",
        )
    if config["scheme"] == "shm" and not _is_held(config):
        raise ChannelUnavailableError(
            f"no process has {shown} open, so the object would go with this command",
            remedy="add --hold, open it in a program first, or use file://",
        )


def missing(uri: str, *keys: str) -> MissingKeyError:
    """Build the error that says that a channel has no such object."""
    named = keys[0] if len(keys) == 1 else f"for {len(keys)} of the keys, {keys[0]} the first of them,"
    return MissingKeyError(
        f"there is no object {named} in {without_secrets(uri)}",
        remedy=f"psk ls {without_secrets(uri)} lists what is there",
    )


def _is_held(config: dict[str, object]) -> bool:
    """Tell whether a session of shared memory is alive: what the dead left is removed first."""
    from psk.connectors.shm.options import ROOT, session_path
    from psk.connectors.shm.sweep import sweep

    root = str(config.get("root", ROOT))
    sweep(root)
    name = config.get("authority")
    return name is not None and os.path.isdir(session_path(root, str(name)))  # noqa: PTH112  pathlib costs 10 ms
