"""`psk plugins show`: what a plug-in declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.output import Exit, answer, answer_no, plain
from psk.cli.plugin_lookup import find_plugin, load_plugin
from psk.errors import PskError, UnknownPluginError
from psk.plugins.discovery import BROKEN, NOT_LOADED, OK

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk.plugins import InstalledPlugin

SUMMARY = "Show what a plug-in declares: schemes, form of the URI, capabilities, arguments."
EXAMPLE = "psk plugins show file"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the plug-in's name."""
    parser.description = f"{SUMMARY}\nImports that plug-in and no other; opens nothing."
    parser.add_argument("name", metavar="NAME", help="as in `psk plugins list`: redis or connector.redis; or a URI")


def run(arguments: Namespace) -> int:
    """Show it; the exit code is 1 if it does not exist or cannot be loaded."""
    try:
        record = find_plugin(arguments.name)
    except UnknownPluginError as error:
        return answer_no(arguments, error)
    document: dict[str, Any] = record.as_dict()
    try:
        document |= _described(record)
    except PskError as error:
        document["problem"] = str(error)
        if document["status"] in {NOT_LOADED, OK}:
            document["status"] = BROKEN
    answer(arguments, document, _lines(document))
    return Exit.NO if document.get("problem") else Exit.DONE


def _described(record: InstalledPlugin) -> dict[str, Any]:
    """Load the plug-in and return what it declares."""
    from psk.plugins import find

    thing = load_plugin(record.kind, record.name)
    if record.kind == "observer":
        from psk.plugins.specs import OBSERVER_HOOKS

        return {"status": OK, "hooks": [hook for hook in OBSERVER_HOOKS if getattr(thing, hook).get_hookimpls()]}
    described = find(record.kind, record.name)
    facts: dict[str, Any] = {"status": record.status if record.why else OK}
    for name in ("summary", "target", "schemes", "uri", "types", "example"):
        value = getattr(described, name, None)
        if value is not None:
            facts[name] = list(value) if isinstance(value, tuple) else value
    if record.kind == "connector":
        from psk.connectors import CAPABILITIES

        facts["capabilities"] = [each.__name__ for each in CAPABILITIES if issubclass(thing, each)]
        facts["options"] = options_of(thing)
    return facts


def options_of(kind: type) -> list[dict[str, Any]]:
    """Describe the arguments of a class by its signature: name, type, default, and whether it is required."""
    import inspect

    try:
        parameters = inspect.signature(kind).parameters.values()
    except (ValueError, TypeError):  # a class of an extension module may have none
        return []
    options = []
    for parameter in parameters:
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        annotation = None if parameter.annotation is parameter.empty else parameter.annotation
        options.append(
            {
                "name": parameter.name,
                "type": annotation if isinstance(annotation, str | None) else inspect.formatannotation(annotation),
                "default": default if isinstance(default, str | int | float | None) else repr(default),
                "required": required,
            }
        )
    return options


def _lines(document: dict[str, Any]) -> Iterator[str]:
    capabilities = [name.removeprefix("Supports").lower() for name in document.get("capabilities", ())]
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
        "target": document.get("target"),
        "supports": ", ".join(capabilities),
        "example": document.get("example"),
        "problem": document.get("problem"),
    }
    for name, value in shown.items():
        if value:
            yield f"{name:<9} {plain(str(value))}"
    for option in document.get("options", ()):
        annotation = f": {option['type']}" if option["type"] else ""
        default = "" if option["required"] else f" = {option['default']!r}"
        yield plain(f"argument  {option['name']}{annotation}{default}")
