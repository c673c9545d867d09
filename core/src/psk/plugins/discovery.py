"""List the installed plug-ins, importing none; load one by kind and name, and say why one cannot be loaded."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from psk.errors import (
    BrokenPluginError,
    DuplicatePluginError,
    IncompatiblePluginError,
    PluginDependencyError,
    PluginError,
    PluginNotAllowedError,
    UnknownPluginError,
)
from psk.plugins.builtin import CODEC_TYPES, CODECS, COMMANDS, CONNECTORS, DISTRIBUTION, REDUCERS, TARGETS
from psk.plugins.entry_points import sources
from psk.plugins.importing import import_target, on_demand
from psk.plugins.specs import HOOKS, KINDS, OBSERVER_HOOKS, CodecPlugin, CommandPlugin, ConnectorPlugin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk.plugins.entry_points import Reader
    from psk.plugins.specs import Description

GROUP = "psk"
VARIABLE = "PSK_PLUGINS"
LONGEST = 200
"""No name, version or entry point of interest is longer; messages must not grow with a file, or another's error."""

OK = "ok"
NOT_LOADED = "not loaded yet"
DUPLICATE = "duplicate"
INCOMPATIBLE = "incompatible"
NOT_ALLOWED = "not allowed"
BROKEN = "broken"

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


loaded: dict[tuple[str, str], tuple[InstalledPlugin, tuple[Any, ...]]] = {}
"""By kind and name: the record of each plug-in that was loaded in this process, and its descriptions."""

failures: dict[tuple[str, str], str] = {}
"""By kind and name: why the latest attempt to load it failed. Only reported: the next attempt tries again."""

# The form of the requirement on psk-core that docs/plugins.md asks for, condition and URL excluded.
_read_requirement = re.compile(r"psk[-_.]core\s*(?:\[[^]]*\])?\s*\(?([^;@]*?)\)?\s*", re.IGNORECASE).fullmatch
_read_bound = re.compile(r"\s*(>=|<)\s*([0-9]+(?:\.[0-9]+)*)\s*").fullmatch


class InstalledPlugin(NamedTuple):
    """One entry point of an installed distribution, or something of psk-core's own.

    Attributes:
        kind: One of `KINDS`; a plug-in of another kind is broken.
        name: The part of the entry point's name after the kind: a scheme, or the name of a codec, a command, ...
        distribution: The distribution that adds it.
        version: The version of the distribution.
        value: The plug-in's module, as `module` or `module:attribute`; of psk-core's own, the target.
        status: `ok` (built in, or loaded in this process), `not loaded yet`, `duplicate`, `incompatible`,
            `not allowed` or `broken`.
        why: What is wrong, in one sentence; empty if nothing is known to be wrong.
    """

    kind: str
    name: str
    distribution: str
    version: str
    value: str
    status: str = NOT_LOADED
    why: str = ""

    @property
    def entry_point(self) -> str:
        """The entry point's name, as in `connector.redis`: what PSK_PLUGINS lists."""
        return f"{self.kind}.{self.name}"

    @property
    def origin(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def title(self) -> str:
        """The plug-in and its distribution: the beginning of each message about it."""
        return f"plug-in {self.entry_point} of {self.origin}"

    def as_dict(self) -> dict[str, str]:
        """Return kind, name, distribution, version, value, status and why as strings."""
        return self._asdict()


def installed() -> list[InstalledPlugin]:
    """List the plug-ins of psk-core and those of other distributions, importing none.

    Returns:
        One record for each kind and name of each distribution, those of psk-core first; see `InstalledPlugin.status`.
    """
    return [*built_in(), *map(_with_outcome, others())]


def built_in() -> list[InstalledPlugin]:
    """List the plug-ins of psk-core."""
    return [
        InstalledPlugin(kind, name, DISTRIBUTION, own_version(), target, OK)
        for kind, targets in TARGETS.items()
        for name, target in targets.items()
    ]


def others() -> list[InstalledPlugin]:
    """List the plug-ins of other distributions, sorted; their status does not say what has been loaded."""
    records = sorted(_entries())
    claims: dict[str, list[str]] = {}
    for record in records:
        claims.setdefault(record.entry_point, []).append(record.origin)
    return [_judged(record, claims[record.entry_point]) for record in records]


def own_version() -> str:
    """Return the version of psk-core that runs here."""
    # Looked up where it is: an import would make the lowest layers depend on the highest.
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def _judged(record: InstalledPlugin, claims: list[str]) -> InstalledPlugin:
    """Give a record the status that follows from what else is installed, and from what is allowed."""
    if record.status == BROKEN:
        return record
    if not is_allowed(record.entry_point):
        return record._replace(status=NOT_ALLOWED, why=f"{VARIABLE} is set and does not list {record.entry_point}")
    if record.kind not in KINDS or not record.name:
        why = f"the entry point is named {record.entry_point!r}, not after one of the kinds {', '.join(KINDS)}"
        return record._replace(status=BROKEN, why=why)
    built_in = record.name in TARGETS.get(record.kind, {})
    owners = [f"{DISTRIBUTION} {own_version()}", *claims] if built_in else claims
    if len(owners) > 1:
        why = f"{', '.join(owners[:-1])} and {owners[-1]} {'all' if owners[2:] else 'both'} claim it"
        return record._replace(status=DUPLICATE, why=why)
    return record


def _with_outcome(record: InstalledPlugin) -> InstalledPlugin:
    key = record.kind, record.name
    if record.status == NOT_LOADED and key in failures:
        return record._replace(status=BROKEN, why=failures[key])
    return record._replace(status=OK) if record.status == NOT_LOADED and key in loaded else record


def is_allowed(entry_point: str) -> bool:
    """Tell whether the plug-in of an entry point, as in `connector.redis`, may load.

    PSK_PLUGINS lists entry points, separated by commas, with `*` for any text: `connector.redis,observer.*`. If it is
    unset, all may load; if it is empty, none. The plug-ins of psk-core always may.
    """
    listed = os.environ.get(VARIABLE)
    if listed is None:
        return True
    with on_demand:
        from fnmatch import fnmatchcase

    return any(fnmatchcase(entry_point, pattern.strip()) for pattern in listed.split(","))


def excludes(requirement: str, version: str) -> bool:
    """Tell whether a requirement on psk-core excludes a version by a bound `>=X` or `<Y`.

    Installers enforce requirements; this catches those that were told not to. Other forms are left to them.
    """
    found = _read_requirement(requirement) if len(requirement) <= LONGEST else None
    release = _release(re.match(r"[0-9.]*", version)[0])  # type: ignore[index]  # it matches anything
    for bound in map(_read_bound, found[1].split(",") if found else ()):
        if bound is not None and (release >= _release(bound[2])) != (bound[1] == ">="):
            return True
    return False


def _release(text: str) -> tuple[int, ...]:
    # Without trailing zeros: 0.2 and 0.2.0 are one version.
    return tuple(map(int, re.sub(r"(\.0*)+$", "", text).split(".")))


def _entries() -> Iterator[InstalledPlugin]:
    for place, contents, read in sources(GROUP.encode()):
        try:
            yield from _entries_of(place, contents, read)
        except (OSError, ValueError) as error:  # of which UnicodeDecodeError is one
            name, version = _folder_name(place)
            if name.startswith(GROUP):
                why = f"{place} cannot be read: {error}"
                yield InstalledPlugin("", "", name, version, "", BROKEN, why)


def _entries_of(place: str, contents: bytes | OSError, read: Reader) -> Iterator[InstalledPlugin]:
    if isinstance(contents, OSError):
        raise contents
    entries = list(_group(contents.decode()))
    if not entries:
        return
    distribution, version = _folder_name(place)
    status, why = NOT_LOADED, ""
    try:
        headers = list(_headers(place, read))
        named = dict(headers)
        distribution, version = named["name"][:LONGEST], named["version"][:LONGEST]
        for field, value in headers:
            if field == "requires-dist" and excludes(value, own_version()):
                status = INCOMPATIBLE
                why = f"{distribution} {version} requires {value:.80}, and {DISTRIBUTION} {own_version()} is installed"
    except (OSError, ValueError, KeyError) as error:
        status = BROKEN
        why = f"the METADATA in {place} cannot be read, or lacks name or version: {error}"
    for entry, value in entries:
        kind, _, name = entry.partition(".")
        yield InstalledPlugin(kind, name, distribution, version, value, status, why)


def _group(text: str) -> Iterator[tuple[str, str]]:
    """Return names and values of our group of entry points."""
    ours = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            ours = line.strip("[] ") == GROUP
        elif ours and line and not line.startswith("#"):
            name, _, value = (part.strip() for part in line.partition("="))
            if len(line) <= LONGEST:
                yield name, value.partition("[")[0].strip()


def _headers(place: str, read: Reader) -> Iterator[tuple[str, str]]:
    """Return the fields of a distribution's METADATA, names in lower case."""
    text = read("METADATA") or read("PKG-INFO")
    if text is None:
        raise FileNotFoundError(place)
    for line in text.decode().splitlines():
        if not line:
            return
        field, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            yield field.lower(), value.strip()


def _folder_name(place: str) -> tuple[str, str]:
    name, _, version = place.rpartition("/")[2].rpartition(".")[0].partition("-")
    return name.replace("_", "-"), version or "of unknown version"


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
        if name in described.names:
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
            return invalidate_caches()
        except KeyError:  # CPython removes entries of a dictionary: another thread has removed the same one
            continue


def _describe(record: InstalledPlugin) -> tuple[Any, ...]:
    """Import a plug-in's module and ask the hook of its kind.

    Returns:
        Its descriptions; for an observer, the caller of its hooks.
    """
    _look_anew()
    module = _import_part(record, record.value)
    # As a part of the plug-in, whose distribution has to depend on pluggy: psk-core depends on nothing.
    hooks = _import_part(record, "psk.plugins.pluggy_adapter:hooks_of")(module, record.title)
    needed = OBSERVER_HOOKS if record.kind == "observer" else HOOKS[record.kind][:1]
    if not any(getattr(hooks, hook).get_hookimpls() for hook in needed):
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
            remedy=f"reinstall {record.distribution}, which should depend on what provides it",
        ) from error
    except (Exception, SystemExit) as error:
        what = f"cannot be imported: {target.partition(':')[0]} raised {_cause(error)}"
        raise _fault(record, what, f"repair, upgrade or remove {record.distribution}") from error


def _fault(record: InstalledPlugin, what: str, remedy: str = "") -> BrokenPluginError:
    return BrokenPluginError(
        f"{record.title} {what}", remedy=remedy or f"upgrade or remove {record.distribution}, or tell its author"
    )


def _cause(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  the __str__ of a plug-in's own error may fail
        text = "which cannot be shown"
    return f"{type(error).__name__}: {text if len(text) <= LONGEST else text[:LONGEST] + '...'}"
