"""Find the command and the plug-in that a command line names, and load them."""

from __future__ import annotations

from typing import Any, cast

from psk.cli.output import without_secrets
from psk.errors import UnknownPluginError, UsageError
from psk.plugins import FIRST_PARTY, KINDS, CommandPlugin, InstalledPlugin, broken, find, installed, load, load_target
from psk.plugins.builtin import FIRST_PARTY_COMMANDS
from psk.plugins.discovery import OK

#: The first words of commands of two words. Plug-ins add commands to them: entry point `command.plugins.check`.
GROUPS = {"plugins": "List, check and create plug-ins."}


def find_command(words: str) -> CommandPlugin:
    """Describe the command that words such as `plugins list` run: one of psk-core, else of a plug-in.

    Raises:
        UsageError: There is none; the error lists the known ones.
        UnknownPluginError: It belongs to another distribution of psk, which is not installed.
        PluginError: A plug-in has it and cannot be used.
    """
    name = words.replace(" ", ".")
    if name.startswith("-"):
        raise UsageError(
            f"psk has no option {without_secrets(words)!r:.80} before a command",
            remedy="write options after the command; see psk --help",
        )
    try:
        return cast("CommandPlugin", find("command", name))
    except UnknownPluginError as error:
        if distribution := FIRST_PARTY_COMMANDS.get(name):
            raise UnknownPluginError(
                f"psk {words} is a command of {distribution}, which is not installed",
                remedy=f"pip install {distribution}",
            ) from None
        raise UsageError(
            f"psk has no command {without_secrets(words)!r:.80}",
            found=[typed(known) for known in error.found],
            remedy="see psk --help",
        ) from None


def typed(name: str) -> str:
    """Return what is typed to run a command: `plugins check` for `plugins.check`."""
    return name.replace(".", " ")


def find_plugin(word: str) -> InstalledPlugin:
    """Return the plug-in that a word names: `connector.redis`, `redis`, `rediss+unix`, or a URI.

    Raises:
        UnknownPluginError: None is installed under that name.
        UsageError: Plug-ins of several kinds have it.
    """
    records = installed()
    kind, name = _kind_and_name(word)
    found = [record for record in records if record.name == name and kind in {record.kind, ""}]
    if not found:
        what = f"connector for {name!r:.80}" if "://" in word else f"plug-in {without_secrets(word)!r:.80}"
        remedy = "use one of those found, or install the distribution that provides it"
        if kind in {"connector", ""} and name in FIRST_PARTY:
            remedy = f"pip install {FIRST_PARTY[name]}"
        raise UnknownPluginError(
            f"no {what} is installed",
            found=sorted({record.entry_point for record in records if kind in {record.kind, ""}}),
            remedy=remedy,
        )
    if len({record.kind for record in found}) > 1:
        raise UsageError(
            f"plug-ins of several kinds are named {name!r}",
            found=[record.entry_point for record in found],
            remedy="give the kind as well",
        )
    # Of several that claim a name, psk uses its own.
    return next((record for record in found if record.status == OK), found[0])


def _kind_and_name(word: str) -> tuple[str, str]:
    scheme, is_uri, _ = word.partition("://")
    if is_uri:
        return "connector", scheme.lower().partition("+")[0]
    kind, dot, name = word.partition(".")
    return (kind, name) if dot and kind in KINDS else ("", word.partition("+")[0])


def load_plugin(kind: str, name: str) -> Any:
    """Import what a plug-in adds: a connector's class, a codec, a command, or what calls an observer's hooks.

    Raises:
        PluginError: It cannot be used; the error names its distribution and the reason.
    """
    if kind == "connector":
        from psk.connectors import find_connector

        return find_connector(name)
    if kind == "codec":
        from psk.wire import find_codec

        return find_codec(name)
    if kind == "command":
        return _load_command(name)
    return load(kind, name)[0] if kind == "observer" else load_target(kind, name)


def _load_command(name: str) -> Any:
    command = load_target("command", name)
    if isinstance(command, type):
        try:
            command = command()
        except Exception as error:  # the plug-in's own code
            what = f"has a command that cannot be created: {type(error).__name__}: {error}"
            raise broken("command", name, what) from error
    missing = [method for method in ("add_arguments", "run") if not callable(getattr(command, method, None))]
    if missing:
        raise broken("command", name, f"names {command!r:.80} as its command, which lacks {', '.join(missing)}")
    return command
