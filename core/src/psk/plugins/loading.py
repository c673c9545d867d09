"""How does a plug-in come into this process? By its kind and name, one at a time, every failure in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import (
    BrokenPluginError,
    DuplicatePluginError,
    IncompatiblePluginError,
    PluginError,
    PluginNotAllowedError,
    UnknownPluginError,
)
from psk.plugins.builtin import find_built_in
from psk.plugins.describing import describe, import_part
from psk.plugins.discovery import others
from psk.plugins.importing import import_target
from psk.plugins.outcomes import failures, loaded
from psk.plugins.record import BROKEN, DUPLICATE, INCOMPATIBLE, NOT_ALLOWED, InstalledPlugin

if TYPE_CHECKING:
    from psk.plugins.descriptions import Description


def load(kind: str, name: str) -> tuple[Any, ...]:
    """Load the plug-in of a kind and name, and no other; once per process.

    Args:
        kind: `connector`, `codec`, `command` or `observer`.
        name: As in the entry point; of a scheme with a plus, what stands before the plus counts.

    Returns:
        All that it describes: `ConnectorPlugin`, `CodecPlugin`, `CommandPlugin`; for an observer, what calls its hooks.

    Raises:
        UnknownPluginError: None is installed.
        DuplicatePluginError: Several are.
        IncompatiblePluginError: It requires another version of psk-core.
        PluginNotAllowedError: PSK_PLUGINS does not list it.
        PluginDependencyError: It needs a module that is not installed.
        BrokenPluginError: It cannot be imported, or does not have the hook of its kind.
    """
    built_in = find_built_in(kind, name)
    return (built_in,) if built_in is not None else _loaded(kind, name)[1]


def find(kind: str, name: str) -> Description:
    """Give the description of what a plug-in brings under a name; errors as of `load`."""
    described: Description
    for described in load(kind, name):
        if described.serves(name):
            return described
    raise broken(kind, name, f"describes no {kind} {name!r}", remedy="its author must add it, or drop the entry point")


def load_target(kind: str, name: str) -> Any:
    """Import what a plug-in brings under a name: a connector's class, a codec, a command; errors as of `load`."""
    described = find(kind, name)
    if find_built_in(kind, name) is not None:
        return import_target(described.target)
    record = _loaded(kind, name)[0]
    try:
        target = import_part(record, described.target)
    except PluginError as error:
        failures[_key(kind, name)] = str(error)
        raise
    failures.pop(_key(kind, name), None)
    return target


def broken(kind: str, name: str, what: str, *, remedy: str = "") -> BrokenPluginError:
    """Make the error for a plug-in that was loaded and is not what it should be, and keep it for `installed()`.

    Args:
        kind: As of `load`.
        name: As of `load`.
        what: The clause that follows the plug-in's name: `has a target that is no class`.
        remedy: What to do, if not to upgrade or remove the distribution.
    """
    record = _loaded(kind, name)[0]
    error = BrokenPluginError(
        f"{record.title} {what}", remedy=remedy or f"upgrade or remove {record.distribution}, or tell its author"
    )
    failures[_key(kind, name)] = str(error)
    return error


def _key(kind: str, name: str) -> tuple[str, str]:
    return kind, name.partition("+")[0] if kind == "connector" else name


def _loaded(kind: str, name: str) -> tuple[InstalledPlugin, tuple[Any, ...]]:
    key = _key(kind, name)
    found: tuple[InstalledPlugin, tuple[Any, ...]] | None = loaded.get(key)
    if found is None:
        record = _only(*key)
        try:
            described = describe(record)
        except PluginError as error:
            failures[key] = str(error)
            raise
        # No lock: importing is the import system's to do once, and of two threads that come here one wins.
        found = loaded.setdefault(key, (record, described))
        failures.pop(key, None)
    return found


def _only(kind: str, name: str) -> InstalledPlugin:
    """Give the one plug-in of a kind and name that may be loaded."""
    same = [record for record in others() if record.kind == kind]
    claims = [record for record in same if record.name == name]
    if not claims:
        raise UnknownPluginError(
            f"no plug-in brings a {kind} {name!r:.80}",
            found=sorted({record.name for record in same}),
            remedy="use one of those found, or install the distribution that provides it",
        )
    record = claims[0]
    if record.status == NOT_ALLOWED:
        raise PluginNotAllowedError(
            f"{record.title} may not load here: {record.why}", remedy="add it there if you trust it"
        )
    if record.status == DUPLICATE:
        raise DuplicatePluginError(
            f"there is more than one {record.entry_point}: {record.why}", remedy="uninstall all of them but one"
        )
    if record.status == INCOMPATIBLE:
        raise IncompatiblePluginError(
            f"{record.title} does not go with this psk: {record.why}",
            remedy=f"pip install --upgrade {record.distribution} psk-core",
        )
    if record.status == BROKEN:
        raise BrokenPluginError(f"{record.title} is broken: {record.why}", remedy=f"reinstall {record.distribution}")
    return record
