"""The commands of the program: psk's own, each a module, and those of plug-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

from psk.cli.output import without_secrets
from psk.errors import UnknownPluginError, UsageError
from psk.plugins.builtin import FIRST_PARTY_COMMANDS
from psk.plugins.importing import import_target

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

#: The module of each command, in the order of `psk --help`; imported when the command runs or prints its help.
COMMANDS = {
    "plugins list": "psk.cli.plugins_list",
    "plugins show": "psk.cli.plugins_show",
    "put": "psk.cli.put",
    "get": "psk.cli.get",
    "ls": "psk.cli.ls",
    "rm": "psk.cli.rm",
    "sweep": "psk.cli.sweep",
    "inspect": "psk.cli.inspection",
}
#: The first words of commands of two words. Plug-ins add commands to them: entry point `command.plugins.check`.
GROUPS = {"plugins": "List, check and create plug-ins."}
COMMAND_METHODS = ("add_arguments", "run")


class Command(Protocol):
    """The contents of a command's module; the target of a `CommandPlugin` has the same without the two strings.

    A module imports what is expensive where it is used, so that the help of all commands appears quickly.
    """

    SUMMARY: str
    """One sentence, imperative."""

    EXAMPLE: str
    """Shell lines that run as printed, in a directory that contains a file `note.txt`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's arguments; `--json` exists already. May extend `parser.description`."""
        ...

    def run(self, arguments: Namespace) -> int:
        """Do it, print with `psk.cli.output.answer`, and return an `Exit`.

        The program reports errors of psk and of the operating system, and exits with `Exit.FAILED`.
        """
        ...


def find_command(name: str) -> Command:
    """Return the command of this name, as in `plugins list`: of this program, else of a plug-in.

    Raises:
        UsageError: There is none; the error lists the known ones.
        UnknownPluginError: It belongs to another distribution of psk, which is not installed.
        PluginError: A plug-in has it and cannot be used.
    """
    if name in COMMANDS:
        return cast("Command", import_target(COMMANDS[name]))
    if name.startswith("-"):
        if name == "--json":
            raise UsageError("psk has no option '--json' before a command", remedy="write it after the command")
        raise UsageError(f"psk has no option {without_secrets(name)!r:.80}", remedy="see psk --help")
    try:
        return AddedCommand(name)
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


class AddedCommand:
    """The command of a plug-in, with the strings of its description.

    Args:
        name: The words that are typed to run it.

    Raises:
        PluginError: No plug-in has it, or the one that has it cannot be used.
    """

    def __init__(self, name: str) -> None:
        from psk.plugins import find

        described: Any = find("command", plugin_name(name))
        self.SUMMARY = described.summary or "A plug-in's command without a description."
        self.EXAMPLE = described.example or f"psk {name}"
        self._command = load_command(plugin_name(name))

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Let the plug-in add its arguments."""
        self._command.add_arguments(parser)

    def run(self, arguments: Namespace) -> int:
        """Run it; a SystemExit of its own ends the command, as it would end a program."""
        try:
            code = self._command.run(arguments)
        except SystemExit as error:
            code = error.code
        return 0 if code is None else int(code) if isinstance(code, int) else 1


def load_command(name: str) -> Any:
    """Import the command that a plug-in adds; a class is called without arguments to get it.

    Raises:
        PluginError: There is none of that name, or it cannot be used.
    """
    from psk.plugins import broken, load_target

    command = load_target("command", name)
    if isinstance(command, type):
        try:
            command = command()
        except Exception as error:  # the plug-in's own code
            raise broken(
                "command", name, f"has a command that cannot be created: {type(error).__name__}: {error}"
            ) from error
    missing = [method for method in COMMAND_METHODS if not callable(getattr(command, method, None))]
    if missing:
        raise broken("command", name, f"names {command!r:.80} as its command, which lacks {', '.join(missing)}")
    return command


def plugin_name(name: str) -> str:
    """Return the name of a command's plug-in: `plugins.check` for `psk plugins check`."""
    return name.replace(" ", ".")


def typed_name(name: str) -> str:
    """Return what is typed to run a plug-in's command: the reverse of `plugin_name`."""
    return name.replace(".", " ")
