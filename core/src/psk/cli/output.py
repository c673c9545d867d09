"""Output of commands: text or one JSON document on stdout, messages on stderr, exit codes, quantities."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING

from psk.errors import PskError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_DURATIONS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_URI = r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]*[^\s'\".,:;)]"
# Up to the last @ of the word: a password that is typed where none belongs is not percent-encoded either. The same
# holds after a scheme without slashes. In a key that names a place, the text before a colon follows an @.
_SECRETS = (
    r"(?:(?<=://)([^/@\s:]*)|(?<![\w@/:.+-])([A-Za-z][A-Za-z0-9+.-]*)):(?!//)[^\s'\"]*@"
    r"|\b((?i:password|passwd|secret|token)=)[^&\s'\"]+"
)


class Exit(IntEnum):
    """Exit codes of the program."""

    DONE = 0
    """It was done, or the answer is yes."""

    NO = 1
    """The answer is no, or something is wrong: a missing key, a broken plug-in, a failed check."""

    USAGE = 2
    """The command line is not valid."""

    FAILED = 3
    """It could not be done: the channel is unavailable, a deadline passed, a file cannot be read."""

    INTERRUPTED = 130
    """Ctrl-C."""

    PIPE_CLOSED = 141
    """The output was closed by its reader, as when `head` has read enough."""


def answer(arguments: Namespace, document: object, text: str | Iterable[str]) -> None:
    """Print the result of a command, once and last: the document with `--json`, otherwise the text.

    Args:
        arguments: The arguments of `run`.
        document: Plain values.
        text: Lines for people; an iterable is read only if they are shown.
    """
    if arguments.json:
        print_json(document)
    else:
        for line in (text,) if isinstance(text, str) else text:
            say(line)


def print_json(document: object) -> None:
    """Print the one JSON document of a command."""
    import json  # takes 6 ms to import, and most commands are run by people

    say(json.dumps(document, indent=2, allow_nan=False))


def say(line: str) -> None:
    """Print a line to stdout."""
    if sys.stdout is None:  # closed by the program that started the command
        return
    try:
        sys.stdout.write(f"{line}\n")
    except UnicodeEncodeError:  # the terminal or locale cannot encode it
        sys.stdout.write(f"{line.encode('ascii', 'backslashreplace').decode()}\n")


def notice(text: str) -> None:
    """Print a message to the user on stderr."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # stderr is closed: not a reason to fail
            sys.stderr.write(f"{without_secrets(text)}\n")
            sys.stderr.flush()


def report(error: BaseException, *, as_json: bool) -> None:
    """Report why a command failed: one line on stderr, or the JSON document."""
    if as_json:
        print_json(error_document(error))
    else:
        notice(f"psk: error: {plain(_sentence(error))}")


def answer_no(arguments: Namespace, error: PskError) -> Exit:
    """Report why the answer of a command is no, as an error, and return the exit code for it."""
    report(error, as_json=arguments.json)
    return Exit.NO


def error_document(error: BaseException) -> dict[str, object]:
    """Describe an error in plain values: its class, what failed, what to do, what exists instead."""
    what, remedy = _sentence(error), ""
    found: tuple[str, ...] = ()
    if isinstance(error, PskError):
        what, remedy, found = str(error.args[0]) if error.args else "", error.remedy, error.found
    return {
        "error": type(error).__name__,
        "message": without_secrets(what),
        "remedy": without_secrets(remedy),
        "found": [without_secrets(it) for it in found],
    }


def _sentence(error: BaseException) -> str:
    if isinstance(error, PskError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) and error.strerror:
        named = "''" if error.filename == "" else error.filename
        return f"{named}: {error.strerror}" if named is not None else error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def plain(text: str) -> str:
    """Escape characters that could control a terminal: text from a file or a channel may contain anything."""
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else ascii(one)[1:-1] for one in text])


def without_secrets(text: str) -> str:
    """Mask what looks like a password in a URI: messages repeat what a user typed."""
    # Compiled and imported here: most commands print nothing that could contain one.
    from psk.credentials import masked_uri

    text = re.sub(_SECRETS, lambda found: f"{found[3]}***" if found[3] else f"{found[1] or found[2] or ''}:***@", text)
    return re.sub(_URI, lambda found: masked_uri(found[0]), text)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, right: Iterable[int] = ()) -> str:
    """Lay out a table with aligned columns.

    Args:
        header: Titles of the columns.
        rows: Values; None is shown as `-`.
        right: Numbers of the columns that are aligned to the right.
    """
    shown = [["-" if value is None else plain(str(value)) for value in row] for row in rows]
    lines = [[title.upper() for title in header], *shown]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    flushed = set(right)
    return "\n".join(
        "  ".join(
            value.rjust(width) if at in flushed else value.ljust(width)
            for at, (value, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def fact_lines(facts: Mapping[str, object]) -> Iterator[str]:
    """Lay out facts, one a line after its name; those that are None or empty are omitted, lists are joined."""
    for name, value in facts.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if text not in {None, ""}:
            yield f"{name:<10}{plain(str(text))}"


def read_duration(text: str) -> float:
    """Read a time as `30`, `30s`, `10m`, `1h` or `2d`; a number alone is seconds.

    Returns:
        Seconds, more than 0.

    Raises:
        ArgumentTypeError: It is not a time, or is longer than a century.
    """
    from psk.connectors.arguments import LONGEST_SECONDS

    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", text.strip(), re.ASCII)
    seconds = float(found[1]) * _DURATIONS[found[2]] if found else 0.0
    if 0 < seconds <= LONGEST_SECONDS:
        return seconds
    message = f"{text!r:.80} is not a time of at most a century; write 30s, 10m, 1h or 2d"
    raise ArgumentTypeError(message)


def bytes_text(count: float) -> str:
    """Write a number of bytes in three digits, as in `1.50 MB`; powers of ten."""
    return _three_digits(count, _BYTES) if count >= _BYTES[-1][0] else f"{count:.0f} B"


def seconds_text(seconds: float) -> str:
    """Write a time in three digits, as in `12.5 us`."""
    return _three_digits(seconds, _SECONDS)


def _three_digits(value: float, units: Sequence[tuple[float, str]]) -> str:
    one, unit = next((it for it in units if value >= it[0]), units[-1])
    places = 2 - (value >= 10 * one) - (value >= 100 * one)
    return f"{value / one:.{places}f} {unit}"
