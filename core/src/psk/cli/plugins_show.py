"""What does one plug-in bring, and how is it set up?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli import exits
from psk.cli.output import answer, plain
from psk.errors import PskError
from psk.plugins.discovery import BROKEN, NOT_LOADED, OK

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk.plugins import InstalledPlugin

SUMMARY = "Show what a plug-in brings: schemes, options with types and defaults, capabilities."
EXAMPLE = "psk plugins show file"
WIDTH = 100


def add_arguments(parser: ArgumentParser) -> None:
    """Take the plug-in's name."""
    parser.description = f"{SUMMARY}\nImports that plug-in, and no other; opens nothing."
    parser.add_argument("name", metavar="NAME", help="as in `psk plugins list`: redis or connector.redis; or a URI")


def run(arguments: Namespace) -> int:
    """Show it; the answer is no if there is none, or it cannot be loaded."""
    from psk.cli.subject import asked_plugin

    record = asked_plugin(arguments)
    if record is None:
        return exits.NO
    document: dict[str, Any] = record.as_dict()
    try:
        document |= _described(record)
    except PskError as error:
        document["problem"] = str(error)
        if document["status"] in {NOT_LOADED, OK}:
            document["status"] = BROKEN
    answer(arguments, document, _lines(document))
    return exits.NO if document.get("problem") else exits.DONE


def _described(record: InstalledPlugin) -> dict[str, Any]:
    """Load the plug-in and say what it brings."""
    from psk.cli.targets import load_thing
    from psk.plugins import find

    thing = load_thing(record.kind, record.name)
    if record.kind == "observer":
        from psk.plugins.specs import OBSERVER_HOOKS

        return {"status": "ok", "hooks": [hook for hook in OBSERVER_HOOKS if getattr(thing, hook).get_hookimpls()]}
    described = find(record.kind, record.name)
    facts: dict[str, Any] = {
        "status": record.status if record.why else "ok",
        "summary": described.summary,
        "target": described.target,
    }
    for name in ("schemes", "types", "example", "uri"):
        if hasattr(described, name):
            value = getattr(described, name)
            facts[name] = list(value) if isinstance(value, tuple) else value
    return facts | _connector_facts(thing) if record.kind == "connector" else facts


def _connector_facts(kind: Any) -> dict[str, Any]:
    from psk.cli.documented import first_sentence, options_of
    from psk.connectors import CAPABILITIES

    durabilities, leaves_host = (getattr(kind, name, None) for name in ("durabilities", "leaves_host"))
    return {
        "description": first_sentence(kind),
        "options": options_of(kind),
        "capabilities": [power.__name__ for power in CAPABILITIES if issubclass(kind, power)],
        # Many a connector finds out where it is opened: then the class has a property or a slot.
        "durabilities": list(durabilities) if isinstance(durabilities, tuple) else None,
        "leaves_host": leaves_host if isinstance(leaves_host, bool) else None,
    }


def _lines(document: dict[str, Any]) -> Iterator[str]:
    shown = {
        "plug-in": f"{document['kind']}.{document['name']}",
        "from": f"{document['distribution']} {document['version']}",
        "status": document["status"],
        "why": document["why"],
        "summary": document.get("summary"),
        "schemes": ", ".join(document.get("schemes", ())),
        "uri": document.get("uri"),
        "types": ", ".join(document.get("types", ())),
        "hooks": ", ".join(document.get("hooks", ())),
        "class" if document["kind"] == "connector" else "target": document.get("target"),
        "example": document.get("example"),
        "problem": document.get("problem"),
    }
    if "options" in document:
        shown |= {
            "able to": ", ".join(name.removeprefix("Supports").lower() for name in document["capabilities"]) or "-",
            "promises": ", ".join(document["durabilities"] or ("depends on where it is opened",)),
            "bytes": {
                True: "leave this host's memory",
                False: "stay in this host's memory",
                None: "depends on where it is opened",
            }[document["leaves_host"]],
        }
    for name, value in shown.items():
        if value:
            yield f"{name:<9} {plain(str(value))}"
    if document.get("options"):
        yield ""
        yield "options"
        form = document.get("uri")
        in_uris = names_in(form) if form else {option["name"] for option in document["options"]}
        for option in document["options"]:
            yield from _option_lines(option, in_uris)


def names_in(form: str) -> set[str]:
    """Give the names of what stands in a URI, by its template as of RFC 6570."""
    import re

    return {name for names in re.findall(r"\{[+?]?([\w,]+)\}", form) for name in names.split(",")}


def _option_lines(option: dict[str, Any], in_uris: set[str]) -> Iterator[str]:
    from textwrap import wrap

    head = f"  {option['name']}"
    if option["type"]:
        head += f": {option['type']}" + (" (required)" if option["required"] else f" = {option['default']!r}")
    if option["name"] not in in_uris:
        head += " (not in a URI)"
    yield plain(head)
    yield from wrap(plain(option["description"]), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
