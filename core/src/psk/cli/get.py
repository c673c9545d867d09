"""`psk get`: the bytes of an object, decoded only on demand."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.cli.channel import add_channel, described, missing, open_store
from psk.cli.output import Exit, answer, answer_no, plain
from psk.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from psk.store import Store
MOST_SHOWN = 1 << 20
"""Bytes; more is not useful in a terminal."""

_NOTHING = object()


class Get:
    """Get an object's bytes, as they are.

    Without options: its frames, checked but not decoded; for an object of `psk put`, the file. Nothing in them is
    executed. With PSK_SIGNING=required unsigned objects are refused, with PSK_CODECS=raw pickles are not decoded.
    The exit code is 1 if there is no such object.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add channel, key, and what to do with the bytes."""
        add_channel(parser)
        parser.add_argument("key", metavar="KEY", help="what `psk put` printed")
        parser.add_argument(
            "-o", "--output", metavar="FILE", help="write them to FILE, whole or not at all; - for stdout"
        )
        shape = parser.add_mutually_exclusive_group()
        shape.add_argument("--payload", action="store_true", help="the whole payload, header included, even if damaged")
        shape.add_argument(
            "--decode",
            action="store_true",
            help="decode it and print its repr. UNPICKLING RUNS CODE that is in the object: only for trusted objects",
        )

    def run(self, arguments: Namespace) -> int:
        """Get it."""
        if arguments.decode and arguments.output:
            raise UsageError("--decode prints the object and does not write a file", remedy="omit --output")
        from psk.store import get_policy

        # The environment is the only place where the user of a command can set rules.
        policy = get_policy()
        with open_store(arguments.uri, signing=policy.signing, codecs=policy.codecs) as store:
            done = _decode(store, arguments) if arguments.decode else _copy(store, arguments)
        return Exit.DONE if done else answer_no(arguments, missing(arguments.uri, arguments.key))


def _decode(store: Store, arguments: Namespace) -> bool:
    found = store.get(arguments.key, default=_NOTHING, timeout=arguments.timeout)
    if found is _NOTHING:
        return False
    shown, kind = repr(found), type(found)
    document = {"key": arguments.key, "type": f"{kind.__module__}.{kind.__qualname__}", "repr": shown}
    answer(arguments, document, map(plain, shown.split("\n")))
    return True


def _copy(store: Store, arguments: Namespace) -> bool:
    from psk.store import ObjectStat
    from psk.store.reader import Checker
    from psk.wire import Payload

    frames = store.connector.get(arguments.key, timeout=arguments.timeout)
    if frames is None:
        return False
    document: dict[str, Any] = {"key": arguments.key}
    if arguments.payload and len(frames.buffers) == 1:  # which may be damaged in any way
        parts: Sequence[memoryview] = [memoryview(frames.buffers[0]).cast("B")]
    else:
        payload = Payload.parse(frames)
        if arguments.payload:
            parts = [memoryview(buffer).cast("B") for buffer in payload.buffers()]
        else:
            Checker(store.config()).check(arguments.key, payload)
            document = described(ObjectStat(arguments.key, payload))
            parts = payload.frame_views()
    document |= {"nbytes": sum(part.nbytes for part in parts), "file": arguments.output}
    if arguments.json and arguments.output in {None, "-"}:
        from base64 import b64encode

        document |= {"file": None, "base64": b64encode(b"".join(parts)).decode()}
    else:
        write_to(arguments.output, parts)
    answer(arguments, document, ())
    return True


def write_to(path: str | None, parts: Sequence[memoryview]) -> None:
    """Write bytes.

    Args:
        path: A file; "-" for stdout; None for stdout too, unless it is a terminal that they could control.
        parts: The bytes, one after the other.

    Raises:
        UsageError: They are not text, and stdout is a terminal.
        OSError: They cannot be written.
    """
    if path is None:
        _spare_terminal(parts)
    if path is None or path == "-":
        if sys.stdout is not None:
            sys.stdout.flush()
            sys.stdout.buffer.writelines(parts)
        return
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  pathlib costs 10 ms of import
            with open(path, "wb") as file:  # noqa: PTH123  as above
                file.writelines(parts)
        else:
            _place(path, parts)
    except OSError as error:
        # Name the user's file, not the temporary one; a failed write names none.
        raise OSError(error.errno, error.strerror, path) from error


def _place(path: str, parts: Sequence[memoryview]) -> None:
    """Write a temporary file with the permissions of the one that it replaces, and rename it when it is complete."""
    # Replace the file that a link points to, not the link.
    target = os.path.realpath(path)
    temporary = f"{target}.{os.urandom(4).hex()}.part"
    try:
        with open(temporary, "xb") as file:  # noqa: PTH123  as above
            with suppress(FileNotFoundError):
                os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode) & 0o666)  # noqa: PTH101, PTH116  as above
            file.writelines(parts)
        os.replace(temporary, target)  # noqa: PTH105  as above
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108  as above
        raise


def _spare_terminal(parts: Sequence[memoryview]) -> None:
    if sys.stdout is None or not sys.stdout.isatty():
        return
    if sum(part.nbytes for part in parts) <= MOST_SHOWN:
        with suppress(UnicodeDecodeError):
            text = b"".join(parts).decode()
            if text.replace("\n", "").replace("\t", "").isprintable():
                return
    raise UsageError(
        "the object's bytes are not text and could control the terminal", remedy="use --output FILE, or a pipe"
    )
