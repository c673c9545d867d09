"""`psk put`: a file becomes an object, mapped, not read, and put as its bytes."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from psk.cli.channel import add_channel, check_outlives, given_uri, open_store, read_content
from psk.cli.output import Exit, answer, notice, read_duration
from psk.errors import PayloadError, PskError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from psk.store import Store


class Put:
    """Put a file into a channel as an object, and print its key.

    The object is the file's bytes: `psk get` prints them, and Store.get returns them as bytes. A file of any size is
    mapped, not read into memory.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add channel, file and time to live."""
        add_channel(parser)
        parser.add_argument("file", metavar="FILE", help="the file; - for standard input, which is read into memory")
        parser.add_argument(
            "--ttl",
            metavar="TIME",
            type=read_duration,
            help="let the object expire after 30s, 10m, 1h, 2d, or so many seconds",
        )
        parser.add_argument("--payload", action="store_true", help="FILE is from `psk get --payload`; keeps its key")
        parser.add_argument(
            "--hold",
            action="store_true",
            help="keep running until Ctrl-C, for shm:// without another process",
        )

    def run(self, arguments: Namespace) -> int:
        """Put it."""
        if not arguments.hold:
            check_outlives(arguments.uri)
        with given_uri(arguments.uri) as uri, open_store(uri, create=True) as store:
            before = _state(arguments.file)
            content = read_content(arguments.file)
            key = _put(store, content, arguments)
            if _state(arguments.file) != before:
                store.evict(key)
                raise PskError(f"{arguments.file} was changed while it was put", remedy="try again later")
            answer(arguments, {"key": key, "uri": store.shown_uri, "nbytes": content.nbytes}, key)
            if not arguments.hold:
                return Exit.DONE
            notice(f"psk: {store.uri} is open until Ctrl-C")
            if sys.stdout is not None:
                sys.stdout.flush()  # a reader of the pipe waits for the key
            with suppress(KeyboardInterrupt):  # which is the way to end it
                threading.Event().wait()
        return Exit.INTERRUPTED


def _put(store: Store, content: memoryview, arguments: Namespace) -> str:
    options = {"ttl": arguments.ttl, "timeout": arguments.timeout}
    if not arguments.payload:
        return store.put(content, serializer="bytes", **options)
    from psk.wire import Payload

    try:
        payload = Payload.parse(content)
        payload.verify()
    except PayloadError as error:
        raise PayloadError(
            f"{arguments.file} is not a whole payload: {error.args[0]}",
            remedy="omit --payload to put the file as it is",
        ) from error
    return str(store.connector.put(payload, **options))


def _state(path: str) -> tuple[int, ...] | None:
    """Return values that change whenever the file does."""
    if path == "-":
        return None
    found = os.stat(path)  # noqa: PTH116  pathlib costs 10 ms of import
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
