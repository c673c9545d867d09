"""Does a connector's class look as the contract says? Seen without opening anything."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from psk.connectors import CAPABILITIES, Connector
from psk.connectors.catalog import METHODS
from psk_testing.checking.outcome import BROKEN, HELD, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Which rule asks for an argument.
RULES = {"timeout": "C6", "ttl": "C18", "hints": "C19", "size": "C25", "claim": "C47", "lease": "C49"}


def check_shape(kind: type[Connector]) -> Iterator[Outcome]:
    """Compare a class with the contract, and with the capabilities whose methods it has."""
    yield _compared("the methods of a connector take what the contract says", kind, Connector, METHODS)
    for power in CAPABILITIES:
        names = [name for name in vars(power) if not name.startswith("_")]
        present = [name for name in names if callable(getattr(kind, name, None))]
        if present:
            yield _compared(f"the methods of {power.__name__} are all there", kind, power, names, rule="C39")


def _compared(what: str, kind: type, protocol: type, names: Any, *, rule: str = "") -> Outcome:
    for name in names:
        method = getattr(kind, name, None)
        if not callable(method):
            return Outcome(
                rule, what, BROKEN, f"{kind.__name__} has no {name}", f"add {name}, as in {protocol.__name__}"
            )
        for parameter in _parameters(getattr(protocol, name)):
            if not _accepts(method, parameter):
                detail = f"{kind.__name__}.{name} takes no {parameter.name!r}"
                fix = f"give it the parameters of {protocol.__name__}.{name}"
                return Outcome(rule or RULES.get(parameter.name, ""), what, BROKEN, detail, fix)
    return Outcome(rule, what, HELD)


def _parameters(method: Any) -> list[inspect.Parameter]:
    return [it for it in inspect.signature(method).parameters.values() if it.name not in {"self", "cls"}]


def _accepts(method: Any, wanted: inspect.Parameter) -> bool:
    try:
        parameters = _parameters(method)
    except (ValueError, TypeError):  # a method of an extension module may say nothing
        return True
    if wanted.kind is not wanted.KEYWORD_ONLY:
        return any(it.kind in {it.POSITIONAL_ONLY, it.POSITIONAL_OR_KEYWORD, it.VAR_POSITIONAL} for it in parameters)
    by_name = {wanted.KEYWORD_ONLY, wanted.POSITIONAL_OR_KEYWORD}
    return any(it.kind is it.VAR_KEYWORD or (it.name == wanted.name and it.kind in by_name) for it in parameters)
