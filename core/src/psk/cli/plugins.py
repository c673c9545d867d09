"""`psk plugins list` and `psk plugins show`: the installed plug-ins, what is wrong with them, and what one declares."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.cli.commands import find_plugin, load_plugin
from psk.cli.output import Exit, answer, answer_no, fact_lines, plain, table
from psk.errors import PskError, UnknownPluginError
from psk.plugins import KINDS, find, installed
from psk.plugins.discovery import BROKEN, DUPLICATE, INCOMPATIBLE, NOT_LOADED, OK

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk.plugins import InstalledPlugin

WRONG = frozenset({BROKEN, DUPLICATE, INCOMPATIBLE})


class List:
    """List the plug-ins that are installed, importing none.

    With --load the exit code is 1 if one is broken, duplicate or incompatible.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add what to list, and whether to load it."""
        parser.add_argument("--load", action="store_true", help="import each of them, and show what is broken")
        parser.add_argument("--kind", choices=KINDS, help="list those of one kind only")

    def run(self, arguments: Namespace) -> int:
        """List them."""
        records = _of_kind(arguments.kind)
        if arguments.load:
            for record in records:
                if record.status == NOT_LOADED:
                    with suppress(PskError):  # `installed` keeps why
                        load_plugin(record.kind, record.name)
            records = _of_kind(arguments.kind)
        answer(arguments, [record.as_dict() for record in records], _table_lines(records))
        return Exit.NO if arguments.load and any(record.status in WRONG for record in records) else Exit.DONE


def _of_kind(kind: str | None) -> list[InstalledPlugin]:
    return [record for record in installed() if kind in {None, record.kind}]


def _table_lines(records: list[InstalledPlugin]) -> Iterator[str]:
    columns = ("kind", "name", "distribution", "version", "status")
    yield table(columns, [[getattr(record, column) for column in columns] for record in records])
    reasons = [f"{record.entry_point}: {record.why}" for record in records if record.why]
    if reasons:
        yield ""
    yield from map(plain, reasons)


class Show:
    """Show what a plug-in declares: schemes, form of the URI, capabilities, arguments.

    Imports that plug-in and no other; opens nothing.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the plug-in's name."""
        parser.add_argument("name", metavar="NAME", help="as in `psk plugins list`: redis or connector.redis; or a URI")

    def run(self, arguments: Namespace) -> int:
        """Show it; the exit code is 1 if it does not exist or cannot be loaded."""
        try:
            record = find_plugin(arguments.name)
        except UnknownPluginError as error:
            return answer_no(arguments, error)
        try:
            facts = _declared(record)
        except PskError as error:
            facts = {"problem": str(error)}
        failed = "problem" in facts
        if not record.why:
            facts["status"] = BROKEN if failed else OK
        document = record.as_dict() | facts
        answer(arguments, document, _fact_lines(record, document))
        return Exit.NO if failed else Exit.DONE


def _declared(record: InstalledPlugin) -> dict[str, Any]:
    """Load the plug-in and return what it declares."""
    thing = load_plugin(record.kind, record.name)
    if record.kind == "observer":
        from psk.plugins.specs import OBSERVER_HOOKS

        return {"hooks": [hook for hook in OBSERVER_HOOKS if getattr(thing, hook).get_hookimpls()]}
    described = find(record.kind, record.name)
    names = ("summary", "target", "schemes", "uri", "types", "example")
    facts = {name: getattr(described, name) for name in names if hasattr(described, name)}
    if record.kind == "connector":
        from psk.connectors import CAPABILITIES

        facts["capabilities"] = [each.__name__ for each in CAPABILITIES if issubclass(thing, each)]
        facts["options"] = options_of(thing)
    return facts


def options_of(kind: type) -> list[dict[str, Any]]:
    """Describe the arguments of a class by its signature: name, type, default, and whether it is required."""
    from inspect import formatannotation, signature

    try:
        parameters = signature(kind).parameters.values()
    except (ValueError, TypeError):  # a class of an extension module may have none
        return []
    options = []
    for it in parameters:
        if it.kind in {it.VAR_POSITIONAL, it.VAR_KEYWORD}:
            continue
        kind_text = it.annotation if isinstance(it.annotation, str) else formatannotation(it.annotation)
        default = it.default if isinstance(it.default, str | int | float | None) else repr(it.default)
        options.append(
            {
                "name": it.name,
                "type": None if it.annotation is it.empty else kind_text,
                "default": None if it.default is it.empty else default,
                "required": it.default is it.empty,
            }
        )
    return options


def _fact_lines(record: InstalledPlugin, document: dict[str, Any]) -> Iterator[str]:
    supports = [name.removeprefix("Supports").lower() for name in document.get("capabilities", ())]
    facts = document | {"plug-in": record.entry_point, "from": record.origin, "supports": supports}
    names = ("plug-in", "from", "status", "why", "summary", "schemes", "uri", "types", "hooks", "target", "supports")
    yield from fact_lines({name: facts.get(name) for name in (*names, "example", "problem")})
    for option in document.get("options", ()):
        annotation = f": {option['type']}" if option["type"] else ""
        default = "" if option["required"] else f" = {option['default']!r}"
        yield plain(f"argument  {option['name']}{annotation}{default}")
