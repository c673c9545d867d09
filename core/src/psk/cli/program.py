"""Run the command that a command line names, report its failure, and print the pages of help."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from psk.cli.commands import GROUPS, find_command, load_plugin, typed
from psk.cli.output import Exit, plain, report, say
from psk.errors import InvalidKeyError, UsageError
from psk.plugins.builtin import COMMANDS, FIRST_PARTY_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

HELP = ("-h", "--help")
WIDTH = 78
"""Of the pages of help. To find out the terminal's, argparse would import shutil and three libraries of compression."""


class Parser(ArgumentParser):
    """Reads the arguments of one command, and refuses them with an error of psk."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{self.prog}: {message}", remedy=f"see {self.prog} --help")


def run_program(argv: Sequence[str]) -> int:
    """Run a command line, report its failure if it fails, and return the exit code."""
    try:
        code = _run(argv)
        _flush()  # here, where a full disk or a closed pipe can be reported
    except BrokenPipeError:
        _abandon_output()
        return Exit.PIPE_CLOSED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever a plug-in raises, the user gets one line
        return _fail(error, as_json="--json" in argv)
    return code


def _fail(error: BaseException, *, as_json: bool) -> int:
    if os.environ.get("PSK_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    try:
        report(error, as_json=as_json)
        _flush()
    except OSError:
        _abandon_output()
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    # A malformed key can only come from the command line: no channel is asked about it.
    return Exit.USAGE if isinstance(error, UsageError | InvalidKeyError) else Exit.FAILED


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _abandon_output() -> None:
    """Make the interpreter's last flush succeed."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as null:  # noqa: PTH123  pathlib costs 10 ms of import
        os.dup2(null.fileno(), sys.stdout.fileno())


def _run(argv: Sequence[str]) -> int:
    name, *rest = argv or [""]
    group = name if name in GROUPS else ""
    if group:
        name, *rest = rest or [""]
    if name in {"", *HELP}:
        say(overview(group))
        return Exit.DONE if name else Exit.USAGE
    if name in {"-V", "--version"} and not group:
        from psk import __version__

        say(f"psk {__version__}")
        return Exit.DONE
    return _run_command(f"{group} {name}".lstrip(), rest)


def _run_command(words: str, argv: Sequence[str]) -> int:
    described = find_command(words)
    command = load_plugin("command", described.name)
    text = command.__doc__ or described.summary or "A plug-in's command without a description."
    parser = Parser(
        prog=f"psk {words}",
        description="\n".join(map(str.strip, text.splitlines())),
        epilog=_example(described.example or f"psk {words}"),
        formatter_class=partial(RawDescriptionHelpFormatter, width=WIDTH),
        allow_abbrev=False,  # a new option must not change what an old script means
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_arguments(parser)
    try:
        try:
            arguments = parser.parse_intermixed_args(argv)  # options may come between arguments
        except TypeError:  # but not where arguments have subparsers
            arguments = parser.parse_args(argv)
        code = command.run(arguments)
    except SystemExit as end:  # of --help, or of a command that ends as a program does
        code = end.code
    return code if isinstance(code, int) else int(code is not None)


def _example(text: str) -> str:
    """Return the end of a page of help."""
    return "example:\n" + "\n".join(f"  {line}" for line in text.splitlines())


def overview(group: str = "") -> str:
    """Return the help of the program, or of a group of commands; imports no plug-in."""
    from psk.plugins.discovery import NOT_LOADED, others  # a scan, which most commands do not need

    rows = {name: summary for name, (_, summary, _) in COMMANDS.items()}
    rows |= {name: f"(pip install {distribution})" for name, distribution in FIRST_PARTY_COMMANDS.items()}
    rows |= {
        plain(record.name): plain(f"(added by {record.origin})")
        for record in others()
        if record.kind == "command" and record.status == NOT_LOADED
    }
    words = f"{group} " if group else ""
    rows = {typed(name): text for name, text in rows.items() if typed(name).startswith(words)}
    width = max(map(len, rows))
    lines = [
        f"usage: psk {words}COMMAND ...",
        "",
        GROUPS.get(group, "Pass objects between processes by reference."),
        "",
        "commands:",
        *(f"  {name.ljust(width)}  {text}" for name, text in rows.items()),
        "",
        "Each takes --json, for one JSON document, and --help, which ends with an example.",
        "Exit codes: 0 done, 1 no, or a problem was found, 2 wrong usage, 3 failed, 130 Ctrl-C.",
        "",
        _example("psk plugins list"),
    ]
    return "\n".join(lines)
