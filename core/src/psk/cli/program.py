"""Which command does a command line mean, and how does running it end?"""

from __future__ import annotations

import os
import sys
from argparse import (
    ArgumentError,
    ArgumentParser,
    RawDescriptionHelpFormatter,
    _SubParsersAction,
)
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from psk.cli import exits
from psk.cli.output import report, say, without_secrets
from psk.errors import InvalidKeyError, UnknownPluginError, UsageError
from psk.plugins.builtin import FIRST_PARTY_COMMANDS
from psk.plugins.importing import import_target

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

#: The module of each command, in the order of `psk --help`; imported when the command is run, or its help asked for.
COMMANDS = {
    "plugins list": "psk.cli.plugins_list",
    "plugins show": "psk.cli.plugins_show",
    "put": "psk.cli.put",
    "get": "psk.cli.get",
    "ls": "psk.cli.ls",
    "rm": "psk.cli.rm",
    "sweep": "psk.cli.sweep",
    "inspect": "psk.cli.inspection.command",
}
#: Words with which the names of several commands begin. Plug-ins add to them: entry point `command.plugins.check`.
GROUPS = {"plugins": "See, check and make plug-ins."}
EXAMPLE = "psk plugins list"
HELP = ("-h", "--help")
VERSION = ("-V", "--version")
WIDTH = 80


class Command(Protocol):
    """What a command's module has, and what the target of a `CommandPlugin` has but for its two texts.

    A module imports what is dear where it is used, so that the help of all commands comes quickly.
    """

    SUMMARY: str
    """One sentence, imperative."""

    EXAMPLE: str
    """Shell lines that run as they stand, in a directory that holds a file `note.txt`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's arguments; `--json` is there already. May say more in `parser.description`."""
        ...

    def run(self, arguments: Namespace) -> int:
        """Do it, print with `psk.cli.output.answer`, and return one of `psk.cli.exits`.

        Errors of psk and of the operating system are reported by whoever called, and end in `exits.FAILED`.
        """
        ...


class Parser(ArgumentParser):
    """Reads the arguments of one command; what it refuses becomes an error like all others."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError(f"{self.prog}: {message}", remedy=f"see {self.prog} --help")


def run_program(argv: Sequence[str]) -> int:
    """Run what a command line says, and report how it failed if it did; return the exit code."""
    as_json = "--json" in argv
    try:
        code = _run(argv)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where it can be reported that the disk is full or nobody reads
    except BrokenPipeError:
        _abandon_output()
        return exits.PIPE_CLOSED
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
        return exits.INTERRUPTED
    # A key that is none can only be what was written: no channel is asked about it.
    return exits.USAGE if isinstance(error, UsageError | InvalidKeyError) else exits.FAILED


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
        from psk.cli.overview import overview

        say(overview())
        return exits.DONE if argv else exits.USAGE
    if argv[0] in VERSION:
        from psk import __version__

        say(f"psk {__version__}")
        return exits.DONE
    name, rest = argv[0], argv[1:]
    if name in GROUPS:
        if not rest or rest[0] in HELP:
            from psk.cli.overview import group_overview

            say(group_overview(name))
            return exits.DONE if rest else exits.USAGE
        name, rest = f"{name} {rest[0]}", rest[1:]
    return _run_command(name, find_command(name), rest)


def find_command(name: str) -> Command:
    """Return the command of this name, as in `plugins list`: of this program, else of a plug-in.

    Raises:
        UsageError: There is none; lists those there are.
        UnknownPluginError: It belongs to another distribution of psk, which is not installed.
        PluginError: A plug-in has it, and cannot be used.
    """
    if name in COMMANDS:
        return cast("Command", import_target(COMMANDS[name]))
    if name.startswith("-"):
        if name == "--json":
            raise UsageError("psk has no option '--json' before a command", remedy="write it after the command")
        raise UsageError(f"psk has no option {without_secrets(name)!r:.80}", remedy="see psk --help")
    from psk.cli.added import find_added_command, typed_name

    try:
        return find_added_command(name)
    except UnknownPluginError as error:
        if distribution := FIRST_PARTY_COMMANDS.get(name):
            raise UnknownPluginError(
                f"psk {name} is a command of {distribution}, which is not installed",
                remedy=f"pip install {distribution}",
            ) from None
        raise UsageError(
            f"psk has no command {without_secrets(name)!r:.80}",
            found=[*COMMANDS, *map(typed_name, error.found)],
            remedy="see psk --help",
        ) from None


def command_parser(name: str, command: Command) -> Parser:
    """Make what reads the arguments of a command, and prints its page of help."""
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
    # Intermixed, so that options may stand between arguments. Arguments that have subparsers cannot be.
    has_subparsers = any(isinstance(action, _SubParsersAction) for action in parser._actions)  # noqa: SLF001  argparse has no public way to ask
    read = parser.parse_args if has_subparsers else parser.parse_intermixed_args
    try:
        arguments = read(list(argv))
    except ArgumentError as error:
        parser.error(str(error))
    except SystemExit:  # --help was printed
        return exits.DONE
    return command.run(arguments)


def example_text(text: str) -> str:
    """Give what a page of help ends with."""
    return "example:\n" + "\n".join(f"  {line}" for line in text.strip().splitlines())
