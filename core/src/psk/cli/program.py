"""Run the command that a command line names, report its failure, and print the pages of help."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentError, ArgumentParser, RawDescriptionHelpFormatter, _SubParsersAction
from typing import TYPE_CHECKING, NoReturn

from psk.cli.commands import COMMANDS, GROUPS, find_command, typed_name
from psk.cli.output import Exit, plain, report, say
from psk.errors import InvalidKeyError, UsageError
from psk.plugins.builtin import FIRST_PARTY_COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.cli.commands import Command

EXAMPLE = "psk plugins list"
HELP = ("-h", "--help")
VERSION = ("-V", "--version")
WIDTH = 80


class Parser(ArgumentParser):
    """Reads the arguments of one command, and refuses them with an error of psk."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{self.prog}: {message}", remedy=f"see {self.prog} --help")


def run_program(argv: Sequence[str]) -> int:
    """Run a command line, report its failure if it fails, and return the exit code."""
    as_json = "--json" in argv
    try:
        code = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk or a closed pipe can be reported
    except BrokenPipeError:
        _abandon_output()
        return Exit.PIPE_CLOSED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever a plug-in raises, the user gets one line
        return _fail(error, as_json=as_json)
    return code


def _fail(error: BaseException, *, as_json: bool) -> int:
    if os.environ.get("PSK_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    try:
        report(error, as_json=as_json)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _abandon_output()
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    # A malformed key can only come from the command line: no channel is asked about it.
    return Exit.USAGE if isinstance(error, UsageError | InvalidKeyError) else Exit.FAILED


def _abandon_output() -> None:
    """Make the interpreter's last flush succeed."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(null)


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0] in HELP:
        say(overview())
        return Exit.DONE if argv else Exit.USAGE
    if argv[0] in VERSION:
        from psk import __version__

        say(f"psk {__version__}")
        return Exit.DONE
    name, rest = argv[0], argv[1:]
    if name in GROUPS:
        if not rest or rest[0] in HELP:
            say(overview(name))
            return Exit.DONE if rest else Exit.USAGE
        name, rest = f"{name} {rest[0]}", rest[1:]
    return _run_command(name, find_command(name), rest)


def command_parser(name: str, command: Command) -> Parser:
    """Make the parser of a command's arguments, which also prints the command's help."""
    parser = Parser(
        prog=f"psk {name}",
        description=command.SUMMARY,
        epilog=example_text(command.EXAMPLE),
        formatter_class=_formatter,
        allow_abbrev=False,  # a new option must not change what an old script means
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_arguments(parser)
    return parser


def _formatter(prog: str) -> RawDescriptionHelpFormatter:
    # The width is given, since argparse would import shutil, with three libraries of compression, to find it out.
    try:
        width = int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns)
    except (ValueError, OSError):  # no number, or no terminal
        width = WIDTH
    return RawDescriptionHelpFormatter(prog, width=max(width, WIDTH // 2) - 2)


def _run_command(name: str, command: Command, argv: Sequence[str]) -> int:
    parser = command_parser(name, command)
    # Intermixed, so that options may come between arguments. Arguments that have subparsers cannot be.
    has_subparsers = any(isinstance(action, _SubParsersAction) for action in parser._actions)  # noqa: SLF001  argparse has no public way to ask
    read = parser.parse_args if has_subparsers else parser.parse_intermixed_args
    try:
        arguments = read(list(argv))
    except ArgumentError as error:
        parser.error(str(error))
    except SystemExit:  # --help was printed
        return Exit.DONE
    return command.run(arguments)


def example_text(text: str) -> str:
    """Return the end of a page of help."""
    return "example:\n" + "\n".join(f"  {line}" for line in text.strip().splitlines())


def overview(group: str = "") -> str:
    """Return the help of the program, or of a group of commands; plug-ins are not imported for this."""
    beginning = f"{group} " if group else ""
    rows = {name: find_command(name).SUMMARY for name in COMMANDS if name.startswith(beginning)} | _added(beginning)
    width = max(map(len, rows))
    lines = [
        f"usage: psk {beginning}COMMAND ...",
        "",
        GROUPS.get(group, "Pass objects between processes by reference."),
        "",
        "commands:",
        *(f"  {name.ljust(width)}  {summary}" for name, summary in rows.items()),
        "",
        "Each takes --json, for one JSON document, and --help, which ends with an example.",
        "Exit codes: 0 done, 1 no, or a problem was found, 2 wrong usage, 3 failed, 130 Ctrl-C.",
        "",
        example_text(EXAMPLE),
    ]
    return "\n".join(lines)


def _added(beginning: str) -> dict[str, str]:
    """Return the commands of plug-ins, and those of first-party distributions that are not installed."""
    from psk.cli.plugin_lookup import all_plugins  # a scan, which most commands do not need
    from psk.plugins.discovery import DUPLICATE, INCOMPATIBLE, NOT_ALLOWED

    useless = {DUPLICATE, INCOMPATIBLE, NOT_ALLOWED}
    rows = {name: f"(pip install {distribution})" for name, distribution in FIRST_PARTY_COMMANDS.items()}
    for record in all_plugins():
        if record.kind == "command" and record.status not in useless:
            rows[plain(typed_name(record.name))] = plain(f"(added by {record.origin})")
    return {name: says for name, says in rows.items() if name.startswith(beginning)}
