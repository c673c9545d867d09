"""Load plug-ins by kind and name, one at a time, and say in words why one cannot be loaded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from psk.errors import (
    BrokenPluginError,
    DuplicatePluginError,
    IncompatiblePluginError,
    PluginDependencyError,
    PluginError,
    PluginNotAllowedError,
    UnknownPluginError,
)
from psk.plugins.builtin import CODEC_TYPES, CODECS, COMMANDS, CONNECTORS, REDUCERS, TARGETS
from psk.plugins.discovery import (
    BROKEN,
    DUPLICATE,
    INCOMPATIBLE,
    NOT_ALLOWED,
    InstalledPlugin,
    failures,
    loaded,
    others,
)
from psk.plugins.entry_points import normalized
from psk.plugins.importing import import_target
from psk.plugins.specs import HOOKS, OBSERVER_HOOKS, CodecPlugin, CommandPlugin, ConnectorPlugin

if TYPE_CHECKING:
    from psk.plugins.specs import Description

LONGEST_CAUSE = 200
_REFUSALS: dict[str, tuple[type[PluginError], str, str]] = {
    NOT_ALLOWED: (PluginNotAllowedError, "may not load here", "add it there if you trust it"),
    DUPLICATE: (DuplicatePluginError, "is not the only one of its name", "uninstall all of them but one"),
    INCOMPATIBLE: (
        IncompatiblePluginError,
        "does not work with this version of psk",
        "pip install --upgrade {distribution} psk-core",
    ),
    BROKEN: (BrokenPluginError, "is broken", "reinstall {distribution}"),
}
_WITH_SCHEMES = frozenset({"connector", "broker", "transport"})


def load(kind: str, name: str) -> tuple[Any, ...]:
    """Load the plug-in of a kind and name, and no other; once per process.

    Args:
        kind: One of `psk.plugins.KINDS`.
        name: As in the entry point; of a scheme with a plus, the part before the plus counts.

    Returns:
        Its descriptions: `ConnectorPlugin`, `CodecPlugin`, ...; for an observer, the caller of its hooks.

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
    """Return the description of what a plug-in adds under a name; errors as of `load`."""
    described: Description
    for described in load(kind, name):
        if described.serves(name):
            return described
    raise broken(
        kind, name, f"describes no {kind} {name!r}", remedy="its author must describe it or remove the entry point"
    )


def load_target(kind: str, name: str) -> Any:
    """Import what a plug-in adds under a name: a connector's class, a codec, a command; errors as of `load`."""
    described = find(kind, name)
    if find_built_in(kind, name) is not None:
        return import_target(described.target)
    record = _loaded(kind, name)[0]
    try:
        target = _import_part(record, described.target)
    except PluginError as error:
        failures[_key(kind, name)] = str(error)
        raise
    failures.pop(_key(kind, name), None)
    return target


def broken(kind: str, name: str, what: str, *, remedy: str = "") -> BrokenPluginError:
    """Make the error for a plug-in that was loaded and has a fault, and keep it for `installed()`.

    Args:
        kind: As of `load`.
        name: As of `load`.
        what: The clause that follows the plug-in's name: `has a target that is not a class`.
        remedy: What to do; by default, to upgrade or remove the distribution.
    """
    error = _fault(_loaded(kind, name)[0], what, remedy)
    failures[_key(kind, name)] = str(error)
    return error


def find_built_in(kind: str, name: str) -> Description | None:
    """Describe the plug-in of psk-core under a name, if there is one; scans nothing."""
    if kind == "connector" and name in CONNECTORS:
        target, summary, uri = CONNECTORS[name]
        return ConnectorPlugin(schemes=[name], target=target, summary=summary, uri=uri)
    if kind == "codec" and name in CODECS:
        target, summary = CODECS[name]
        reducers = REDUCERS if name == "pickle" else None
        return CodecPlugin(name, target=target, summary=summary, types=CODEC_TYPES.get(name, ()), reducers=reducers)
    if kind == "command" and name in COMMANDS:
        target, summary, example = COMMANDS[name]
        return CommandPlugin(name, target=target, summary=summary, example=example)
    return None


def _key(kind: str, name: str) -> tuple[str, str]:
    return kind, name.partition("+")[0] if kind in _WITH_SCHEMES else name


def _loaded(kind: str, name: str) -> tuple[InstalledPlugin, tuple[Any, ...]]:
    key = _key(kind, name)
    found: tuple[InstalledPlugin, tuple[Any, ...]] | None = loaded.get(key)
    if found is None:
        record = _only(*key)
        try:
            described = _describe(record)
        except PluginError as error:
            failures[key] = str(error)
            raise
        # No lock: the import system imports once, and of two threads that come here one wins.
        found = loaded.setdefault(key, (record, described))
        failures.pop(key, None)
    return found


def _only(kind: str, name: str) -> InstalledPlugin:
    """Return the one plug-in of a kind and name that may be loaded."""
    same = [record for record in others() if record.kind == kind]
    claims = [record for record in same if record.name == name]
    if not claims:
        raise UnknownPluginError(
            f"no plug-in {kind}.{name:.80} is installed",
            found=sorted({record.name for record in same} | TARGETS.get(kind, {}).keys()),
            remedy="use one of those found, or install the distribution that provides it",
        )
    record = claims[0]
    if record.status in _REFUSALS:
        error, what, remedy = _REFUSALS[record.status]
        raise error(f"{record.title} {what}: {record.why}", remedy=remedy.format(distribution=record.distribution))
    return record


def _look_anew() -> None:
    """Let imports find what was installed since the last one."""
    from importlib import invalidate_caches

    while True:
        try:
            invalidate_caches()
        except KeyError:  # CPython removes entries of a dictionary: another thread has removed the same one
            continue
        return


def _describe(record: InstalledPlugin) -> tuple[Any, ...]:
    """Import a plug-in's module and ask the hook of its kind.

    Returns:
        Its descriptions; for an observer, the caller of its hooks.
    """
    _look_anew()
    module = _import_part(record, record.value)
    try:
        from psk.plugins.pluggy_adapter import hooks_of, is_implemented
    except ModuleNotFoundError as error:
        if error.name != "pluggy":
            raise
        raise PluginDependencyError(
            f"{record.title} needs pluggy, which is not installed",
            remedy=f"pip install pluggy; {record.distribution} should depend on it",
        ) from error
    hooks = hooks_of(module, record)
    needed = OBSERVER_HOOKS if record.kind == "observer" else HOOKS[record.kind][:1]
    if not any(is_implemented(hooks, hook) for hook in needed):
        raise BrokenPluginError(
            f"{record.title} implements none of the hooks of its kind in {record.value}",
            found=needed,
            remedy="write a function of that name and mark it with psk.hookimpl",
        )
    if record.kind == "observer":
        return (hooks,)
    hook, expected = HOOKS[record.kind]
    try:
        described = tuple(one for answer in getattr(hooks, hook)() for one in answer)
    except (Exception, SystemExit) as error:
        raise _fault(record, f"cannot be used: its hook {hook} raised {_cause(error)}") from error
    for one in described:
        if not isinstance(one, expected):
            what = f"gave {type(one).__qualname__} where its hook {hook} gives {expected.__name__}"
            raise _fault(record, what)
    return described


def _import_part(record: InstalledPlugin, target: str) -> Any:
    """Import something that a plug-in names as `module:attribute`."""
    try:
        return import_target(target)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        own = target.partition(":")[0]
        if own.partition(".")[0] == missing.partition(".")[0] or not missing:
            raise _fault(record, f"has no module {missing or own!r}", f"reinstall {record.distribution}") from error
        raise PluginDependencyError(
            f"{record.title} needs the module {missing!r}, which is not installed",
            remedy=f"{_provider(record, missing)}; {record.distribution} should depend on it",
        ) from error
    except (Exception, SystemExit) as error:
        what = f"cannot be imported: {target.partition(':')[0]} raised {_cause(error)}"
        raise _fault(record, what, f"repair, upgrade or remove {record.distribution}") from error


def _provider(record: InstalledPlugin, module: str) -> str:
    wanted = normalized(module.partition(".")[0])
    for requirement in record.requires:
        name = re.match(r"[\w.-]*", requirement)
        if name is not None and normalized(name[0]) == wanted:
            return f"pip install {name[0]}"
    return "install what provides it"


def _fault(record: InstalledPlugin, what: str, remedy: str = "") -> BrokenPluginError:
    return BrokenPluginError(
        f"{record.title} {what}", remedy=remedy or f"upgrade or remove {record.distribution}, or tell its author"
    )


def _cause(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  the __str__ of a plug-in's own error may fail
        text = "which cannot be shown"
    return f"{type(error).__name__}: {text if len(text) <= LONGEST_CAUSE else text[:LONGEST_CAUSE] + '...'}"
