"""Where can a connector be tried without touching anybody's objects, and without leaving anything?"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch_uri(scheme: str) -> Iterator[str]:
    """Give a URI that nobody else uses, and remove what was made for it.

    A connector that is not of psk-core gets the path of a new directory's entry, which suits those that keep files.
    """
    from tempfile import TemporaryDirectory

    name = f"psk-check-{os.urandom(6).hex()}"
    with TemporaryDirectory(prefix="psk-check-") as directory:
        if scheme in {"local", "shm"}:
            yield f"{scheme}://{name}"
        elif scheme == "multi":
            yield _composed(f"local://{name}", f"file://{directory}/objects")
        else:
            yield f"{scheme}://{directory}/objects"


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


def _composed(*uris: str) -> str:
    from psk.connectors import format_uri
    from psk.connectors.multi import MultiConnector

    channels = MultiConnector({f"channel-{number}": uri for number, uri in enumerate(uris)})
    try:
        return format_uri(channels.config())
    finally:
        channels.close()
