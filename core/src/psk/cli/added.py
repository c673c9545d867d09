"""Which commands do plug-ins add to the program?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.targets import load_command
from psk.plugins import CommandPlugin, find

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


class AddedCommand:
    """A plug-in's command, with the texts that its description has.

    Args:
        described: What the plug-in says about it.
        command: The thing itself, with `add_arguments` and `run`.
    """

    def __init__(self, described: CommandPlugin, command: Any) -> None:
        self.SUMMARY = described.summary or "A plug-in's command, which says nothing about itself."
        self.EXAMPLE = described.example or f"psk {typed_name(described.name)}"
        self._name = described.name
        self._command = command

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Have the plug-in add its arguments."""
        self._command.add_arguments(parser)

    def run(self, arguments: Namespace) -> int:
        """Run it; what ends like a program ends like one here too."""
        try:
            code = self._command.run(arguments)
        except SystemExit as error:
            code = error.code
        return 0 if code is None else int(code) if isinstance(code, int) else 1


def plugin_name(name: str) -> str:
    """Return the name of a command's plug-in: `plugins.check` for what is typed as `psk plugins check`."""
    return name.replace(" ", ".")


def typed_name(name: str) -> str:
    """Return what is typed to run the command of a plug-in: the reverse of `plugin_name`."""
    return name.replace(".", " ")


def find_added_command(name: str) -> AddedCommand:
    """Return the command that a plug-in adds, by the words that are typed to run it.

    Raises:
        PluginError: There is none, or it cannot be used.
    """
    name = plugin_name(name)
    described = find("command", name)
    command = load_command(name)
    return AddedCommand(described, command)  # type: ignore[arg-type]  # the kind says what it is
