"""Find the plug-in that a command line names, by its name, a scheme or a URI, and load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.commands import COMMANDS, GROUPS, load_command
from psk.cli.output import without_secrets
from psk.errors import UnknownPluginError, UsageError
from psk.plugins import KINDS, installed, load, load_target
from psk.plugins.discovery import DUPLICATE, OK

if TYPE_CHECKING:
    from psk.plugins import InstalledPlugin


def all_plugins() -> list[InstalledPlugin]:
    """List the installed plug-ins; a command with the name of one of psk's own is a duplicate."""
    own = {name.replace(" ", ".") for name in COMMANDS} | set(GROUPS)
    records = []
    for record in installed():
        why = f"psk has a command {record.name!r} itself, so that of {record.origin} is never run"
        is_hidden = record.kind == "command" and record.name in own
        records.append(record._replace(status=DUPLICATE, why=why) if is_hidden else record)
    return records


def find_plugin(written: str) -> InstalledPlugin:
    """Return the plug-in that a word names: `connector.redis`, `redis`, `rediss+unix`, or a URI.

    Raises:
        UnknownPluginError: None is installed under that name.
        UsageError: Plug-ins of several kinds have it.
    """
    records = all_plugins()
    kind, name = _read(written)
    found = [record for record in records if record.name == name and (kind is None or record.kind == kind)]
    if not found:
        what = f"connector for {name!r:.80}" if "://" in written else f"plug-in {without_secrets(written)!r:.80}"
        raise UnknownPluginError(
            f"no {what} is installed",
            found=sorted({record.entry_point for record in records if kind in {None, record.kind}}),
            remedy=_remedy(kind, name),
        )
    if len({record.kind for record in found}) > 1:
        raise UsageError(
            f"plug-ins of several kinds are named {name!r}",
            found=[record.entry_point for record in found],
            remedy="give the kind as well",
        )
    # Of several that claim a name, psk uses its own.
    return next((record for record in found if record.status == OK), found[0])


def _remedy(kind: str | None, name: str) -> str:
    from psk.plugins.builtin import FIRST_PARTY

    if kind in {None, "connector"} and name in FIRST_PARTY:
        return f"pip install {FIRST_PARTY[name]}"
    return "use one of those found, or install the distribution that provides it"


def _read(written: str) -> tuple[str | None, str]:
    scheme, is_uri, _ = written.partition("://")
    if is_uri:
        return "connector", scheme.lower().partition("+")[0]
    kind, dot, name = written.partition(".")
    if dot and kind in KINDS:
        return kind, name
    return None, written.partition("+")[0]


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
        return load_command(name)
    return load(kind, name)[0] if kind == "observer" else load_target(kind, name)
