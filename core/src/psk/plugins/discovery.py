"""Which plug-ins are installed, and which of them may be loaded? Found out without importing any."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from psk.plugins.allowed import VARIABLE, is_allowed
from psk.plugins.builtin import DISTRIBUTION, TARGETS
from psk.plugins.outcomes import failures, loaded
from psk.plugins.record import BROKEN, DUPLICATE, INCOMPATIBLE, NOT_ALLOWED, NOT_LOADED, OK, InstalledPlugin
from psk.plugins.scanning import Source, sources
from psk.plugins.versions import is_within, required_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "psk"
LONGEST = 200
"""No name, version or entry point of interest is longer; messages must not grow with what stands in a file."""

KINDS = ("connector", "codec", "command", "observer")


def installed() -> list[InstalledPlugin]:
    """List what psk-core brings and what other distributions add, importing none of it.

    Returns:
        One record for each kind and name of each distribution, those of psk-core first; see `InstalledPlugin.status`.
    """
    records = built_in()
    for record in others():
        if record.status == NOT_LOADED:
            key = record.kind, record.name
            if key in failures:
                record.status, record.why = BROKEN, failures[key]
            elif key in loaded:
                record.status = OK
        records.append(record)
    return records


def built_in() -> list[InstalledPlugin]:
    """List what psk-core brings itself."""
    version = own_version()
    return [
        InstalledPlugin(kind, name, distribution=DISTRIBUTION, version=version, value=target, status=OK)
        for kind, targets in TARGETS.items()
        for name, target in targets.items()
    ]


def others() -> list[InstalledPlugin]:
    """List the entry points of other distributions, sorted, whatever became of those that were loaded."""
    records = sorted(_entries(), key=lambda record: (record.kind, record.name, record.distribution, record.value))
    claims: dict[str, list[InstalledPlugin]] = {}
    for record in records:
        claims.setdefault(record.entry_point, []).append(record)
    for record in records:
        if record.status == NOT_LOADED:
            _judge(record, claims[record.entry_point])
    return records


def own_version() -> str:
    """Give the version of psk-core that runs here."""
    # Looked up where it is: an import would make the lowest layers depend on the highest.
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def _judge(record: InstalledPlugin, claims: list[InstalledPlugin]) -> None:
    if not is_allowed(record.entry_point):
        record.status, record.why = NOT_ALLOWED, f"{VARIABLE} is set and does not list {record.entry_point}"
        return
    if record.kind not in KINDS or not record.name:
        record.status = BROKEN
        record.why = f"the entry point is named {record.entry_point!r}, not after one of the kinds {', '.join(KINDS)}"
        return
    owners = [claim.origin for claim in claims]
    if record.name in TARGETS.get(record.kind, {}):
        owners.insert(0, f"{DISTRIBUTION} {own_version()}")
    if len(owners) > 1:
        record.status = DUPLICATE
        record.why = f"{', '.join(owners[:-1])} and {owners[-1]} {'all' if owners[2:] else 'both'} claim it"
        return
    for requirement in record.requires:
        ranges = required_ranges(requirement, DISTRIBUTION)
        try:
            fits = ranges is None or is_within(own_version(), ranges)
        except ValueError:
            record.status, record.why = BROKEN, f"its METADATA says {requirement!r:.80}, which names no version range"
            return
        if not fits:
            record.status = INCOMPATIBLE
            record.why = f"{record.origin} requires {DISTRIBUTION} {ranges:.80}, and {own_version()} is here"
            return


def _entries() -> Iterator[InstalledPlugin]:
    for source in sources(GROUP.encode()):
        try:
            yield from _entries_of(source)
        except (OSError, ValueError) as error:  # of which UnicodeDecodeError is one
            name, version = _folder_name(source.place)
            if name.startswith(GROUP):
                why = f"{source.place} cannot be read: {error}"
                yield InstalledPlugin("", "", distribution=name, version=version, value="", status=BROKEN, why=why)


def _entries_of(source: Source) -> Iterator[InstalledPlugin]:
    if isinstance(source.entry_points, OSError):
        raise source.entry_points
    entries = list(_group(source.entry_points.decode()))
    if not entries:
        return
    distribution, version = _folder_name(source.place)
    status, why, requires = NOT_LOADED, "", []
    try:
        headers = list(_headers(source))
        named = dict(headers)
        distribution, version = named["name"][:LONGEST], named["version"][:LONGEST]
        requires = [value for field, value in headers if field == "requires-dist"]
    except (OSError, ValueError, KeyError) as error:
        status = BROKEN
        why = f"the METADATA in {source.place} cannot be read, or lacks name or version: {error}"
    for entry, value in entries:
        kind, _, name = entry.partition(".")
        yield InstalledPlugin(
            kind,
            name,
            distribution=distribution,
            version=version,
            value=value,
            status=status,
            why=why,
            requires=tuple(requires),
        )


def _group(text: str) -> Iterator[tuple[str, str]]:
    """Give names and values of our group of entry points, each pair once."""
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
    """Give the fields of a distribution's METADATA, names in lower case."""
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
