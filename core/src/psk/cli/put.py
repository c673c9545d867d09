"""`psk put`: a file becomes an object, mapped, not read, and put as its bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from psk.cli.channel import add_channel, check_outlives, open_store, read_content
from psk.cli.output import Exit, answer, notice, read_duration
from psk.errors import PayloadError, PskError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from psk.store import Store

DETAILS = """
The object is the file's bytes: `psk get` prints them, and Store.get returns them as bytes. A file of any size is
mapped, not read into memory.
"""


class Put:
    """The command `psk put`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add channel, file and time to live."""
        parser.description = f"{parser.description}\n{DETAILS}"
        add_channel(parser)
        parser.add_argument("file", metavar="FILE", help="the file; - for standard input, up to 1 GiB")
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
        with open_store(arguments.uri, create=True) as store:
            key, nbytes = _put(store, arguments)
            answer(arguments, {"key": key, "uri": store.shown_uri, "nbytes": nbytes}, key)
            if not arguments.hold:
                return Exit.DONE
            notice(f"psk: {store.uri} is open until Ctrl-C")
            return _hold()


def _put(store: Store, arguments: Namespace) -> tuple[str, int]:
    from psk.wire import Payload

    before = _state(arguments.file)
    content = read_content(arguments.file)
    options = {"ttl": arguments.ttl, "timeout": arguments.timeout}
    if arguments.payload:
        try:
            payload = Payload.parse(content)
            payload.verify()
        except PayloadError as error:
            raise PayloadError(
                f"{arguments.file} is not a whole payload: {error.args[0]}",
                remedy="omit --payload to put the file as it is",
            ) from error
        key = store.connector.put(payload, **options)
    else:
        key = store.put(content, serializer="bytes", **options)
    if _state(arguments.file) != before:
        store.evict(key)
        raise PskError(f"{arguments.file} was changed while it was put", remedy="try again later")
    return key, content.nbytes


def _state(path: str) -> tuple[int, ...] | None:
    """Return values that change whenever the file does."""
    if path == "-":
        return None
    found = os.stat(path)  # noqa: PTH116  pathlib costs 10 ms of import
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _hold() -> int:
    import sys
    import threading

    if sys.stdout is not None:
        sys.stdout.flush()  # a reader of the pipe waits for the key
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.DONE
