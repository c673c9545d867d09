"""How is something imported by its name? Here and nowhere else, and never by a name that came from outside."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_target(target: str) -> Any:
    """Import `module:attribute`, or a whole `module`, named by psk itself or by an entry point.

    Raises:
        ImportError: There is no such module or attribute.
        Exception: Whatever the module raises.
    """
    module, _, attribute = target.partition(":")
    found: Any = import_module(module)
    try:
        for name in attribute.split(".") if attribute else ():
            found = getattr(found, name)
    except AttributeError as error:
        raise ImportError(f"module {module!r} has no {attribute!r}") from error
    return found
