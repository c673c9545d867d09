"""What does a class say about its arguments? Read from its signature and the `Args:` of its docstring."""

from __future__ import annotations

import inspect
from typing import Any

_LEFT_OUT = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def options_of(kind: type) -> list[dict[str, Any]]:
    """Describe what a class is made with: name, type, default, whether it is required, and what it means.

    What only the docstring mentions comes last: a class that passes its options on names them there.
    """
    described = described_arguments(inspect.getdoc(kind) or "")
    options = []
    for name, parameter in _parameters(kind).items():
        required = parameter.default is parameter.empty
        options.append(
            {
                "name": name,
                "type": None if parameter.annotation is parameter.empty else _type_text(parameter.annotation),
                "default": None if required else _plain_value(parameter.default),
                "required": required,
                "description": described.pop(name, ""),
            }
        )
    for name, description in described.items():
        if not name.startswith("*"):
            options.append({"name": name, "type": None, "default": None, "required": False, "description": description})
    return options


def first_sentence(kind: type) -> str:
    """Give the first line of a class's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def described_arguments(docstring: str) -> dict[str, str]:
    """Read the `Args:` of a docstring in Google style, each argument's text on one line."""
    arguments: dict[str, str] = {}
    name, inside, indent = "", False, 0
    for line in docstring.splitlines():
        text = line.strip()
        if text in {"Args:", "Arguments:"}:
            inside, indent = True, len(line) - len(line.lstrip())
            continue
        deeper = len(line) - len(line.lstrip()) - indent
        if not inside or not text:
            continue
        if deeper <= 0:
            break
        before, colon, after = text.partition(":")
        if colon and deeper == _STEP and " " not in before.partition("(")[0].strip():
            name = before.partition("(")[0].strip()
            arguments[name] = after.strip()
        elif name:
            arguments[name] += f" {text}"
    return arguments


def _parameters(kind: type) -> dict[str, inspect.Parameter]:
    try:
        found = inspect.signature(kind)
    except (ValueError, TypeError):  # a class of an extension module may have none
        return {}
    return {name: it for name, it in found.parameters.items() if it.kind not in _LEFT_OUT}


def _type_text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _plain_value(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) or value is None else repr(value)


_STEP = 4  # spaces by which an argument's name is indented below `Args:`
