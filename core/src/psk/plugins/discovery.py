"""List the installed plug-ins and what is known of each, importing none."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from psk.plugins.builtin import DISTRIBUTION, TARGETS
from psk.plugins.entry_points import Source, sources
from psk.plugins.importing import on_demand
from psk.plugins.specs import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "psk"
VARIABLE = "PSK_PLUGINS"
LONGEST = 200
"""No name, version or entry point of interest is longer; messages must not grow with the contents of a file."""

OK = "ok"
NOT_LOADED = "not loaded yet"
DUPLICATE = "duplicate"
INCOMPATIBLE = "incompatible"
NOT_ALLOWED = "not allowed"
BROKEN = "broken"


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
        requires: The requirements of the distribution, from its METADATA.
    """

    kind: str
    name: str
    distribution: str
    version: str
    value: str
    status: str = NOT_LOADED
    why: str = ""
    requires: tuple[str, ...] = ()

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
        return {field: text for field, text in self._asdict().items() if field != "requires"}


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
    """Give a record the status that follows from what is installed and allowed."""
    if record.status != NOT_LOADED:
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
    for requirement in record.requires:
        if excludes(requirement, own_version()):
            why = f"{record.origin} requires {requirement:.80}, and {DISTRIBUTION} {own_version()} is installed"
            return record._replace(status=INCOMPATIBLE, why=why)
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
    for source in sources(GROUP.encode()):
        try:
            yield from _entries_of(source)
        except (OSError, ValueError) as error:  # of which UnicodeDecodeError is one
            name, version = _folder_name(source.place)
            if name.startswith(GROUP):
                why = f"{source.place} cannot be read: {error}"
                yield InstalledPlugin("", "", name, version, "", BROKEN, why)


def _entries_of(source: Source) -> Iterator[InstalledPlugin]:
    if isinstance(source.entry_points, OSError):
        raise source.entry_points
    entries = list(_group(source.entry_points.decode()))
    if not entries:
        return
    distribution, version = _folder_name(source.place)
    status, why = NOT_LOADED, ""
    requires: tuple[str, ...] = ()
    try:
        headers = list(_headers(source))
        named = dict(headers)
        distribution, version = named["name"][:LONGEST], named["version"][:LONGEST]
        requires = tuple(value for field, value in headers if field == "requires-dist")
    except (OSError, ValueError, KeyError) as error:
        status = BROKEN
        why = f"the METADATA in {source.place} cannot be read, or lacks name or version: {error}"
    for entry, value in entries:
        kind, _, name = entry.partition(".")
        yield InstalledPlugin(kind, name, distribution, version, value, status, why, requires)


def _group(text: str) -> Iterator[tuple[str, str]]:
    """Return names and values of our group of entry points, each pair once."""
    ours = False
    seen = set()
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            ours = line.strip("[] ") == GROUP
        elif ours and line and not line.startswith("#"):
            name, _, value = (part.strip() for part in line.partition("="))
            if (name, value) not in seen and len(line) <= LONGEST:
                seen.add((name, value))
                yield name, value.partition("[")[0].strip()


def _headers(source: Source) -> Iterator[tuple[str, str]]:
    """Return the fields of a distribution's METADATA, names in lower case."""
    text = source.read("METADATA") or source.read("PKG-INFO")
    if text is None:
        raise FileNotFoundError(source.place)
    for line in text.decode().splitlines():
        if not line:
            return
        field, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            yield field.lower(), value.strip()


def _folder_name(place: str) -> tuple[str, str]:
    name, _, version = place.rpartition("/")[2].rpartition(".")[0].partition("-")
    return name.replace("_", "-"), version or "of unknown version"
