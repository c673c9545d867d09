"""`psk plugins list`: the installed plug-ins, and what is wrong with them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from psk.cli.output import Exit, answer, plain, table
from psk.cli.plugin_lookup import all_plugins, load_plugin
from psk.errors import PskError
from psk.plugins import KINDS
from psk.plugins.discovery import BROKEN, DUPLICATE, INCOMPATIBLE, NOT_LOADED

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk.plugins import InstalledPlugin

SUMMARY = "List the plug-ins that are installed, importing none."
EXAMPLE = "psk plugins list --load"
WRONG = frozenset({BROKEN, DUPLICATE, INCOMPATIBLE})


def add_arguments(parser: ArgumentParser) -> None:
    """Add what to list, and whether to load it."""
    parser.description = f"{SUMMARY}\nWith --load the exit code is 1 if one is broken, duplicate or incompatible."
    parser.add_argument("--load", action="store_true", help="import each of them, and show what is broken")
    parser.add_argument("--kind", choices=KINDS, help="list those of one kind only")


def run(arguments: Namespace) -> int:
    """List them."""
    records = _listed(arguments)
    if arguments.load:
        for record in records:
            if record.status == NOT_LOADED:
                with suppress(PskError):  # `installed` keeps why
                    load_plugin(record.kind, record.name)
        records = _listed(arguments)
    answer(arguments, [record.as_dict() for record in records], _lines(records))
    return Exit.NO if arguments.load and any(record.status in WRONG for record in records) else Exit.DONE


def _listed(arguments: Namespace) -> list[InstalledPlugin]:
    return [record for record in all_plugins() if arguments.kind in {None, record.kind}]


def _lines(records: list[InstalledPlugin]) -> Iterator[str]:
    columns = ("kind", "name", "distribution", "version", "status")
    yield table(columns, [[getattr(record, column) for column in columns] for record in records])
    reasons = [f"{record.entry_point}: {record.why}" for record in records if record.why]
    if reasons:
        yield ""
    yield from map(plain, reasons)
