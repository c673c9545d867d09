"""What is it that a plug-in brings, checked as those do who use it?"""

from __future__ import annotations

from typing import Any

from psk.plugins import broken, load, load_target

COMMAND_METHODS = ("add_arguments", "run")


def load_thing(kind: str, name: str) -> Any:
    """Import what a plug-in brings: a connector's class, a codec, a command, or what calls an observer's hooks.

    Raises:
        PluginError: It cannot be used; says why, and whose it is.
    """
    if kind == "connector":
        from psk.connectors import find_connector

        return find_connector(name)
    if kind == "codec":
        from psk.wire import find_codec

        return find_codec(name)
    if kind == "command":
        return load_command(name)
    return load(kind, name)[0] if kind == "observer" else load_target(kind, name)


def load_command(name: str) -> Any:
    """Import the command that a plug-in brings; a class is called without arguments to get it.

    Raises:
        PluginError: There is none of that name, or it cannot be used.
    """
    command = load_target("command", name)
    if isinstance(command, type):
        try:
            command = command()
        except Exception as error:  # the plug-in's own code
            raise broken(
                "command", name, f"has a command that cannot be made: {type(error).__name__}: {error}"
            ) from error
    missing = [method for method in COMMAND_METHODS if not callable(getattr(command, method, None))]
    if missing:
        raise broken("command", name, f"names {command!r:.80} as its command, which lacks {', '.join(missing)}")
    return command
