"""Which rule does a test check, and what is the likely fix? Its failure says both."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

from psk_testing.rules import RULES, rule_text

if TYPE_CHECKING:
    from collections.abc import Callable

Test = TypeVar("Test", bound="Callable[..., None]")


def rule(*numbers: str, fix: str, needs: tuple[Any, ...] = ()) -> Callable[[Test], Test]:
    """Make a function the test of some rules.

    Args:
        numbers: The rules that it checks, such as "C13".
        fix: What is most likely wrong in a connector that fails it.
        needs: Capabilities without which it is skipped; the test then has an argument `connector`.

    Raises:
        ValueError: There is no such rule.
    """
    unknown = set(numbers) - set(RULES)
    if unknown or not numbers:
        message = f"a test cites rules of docs/contract.md, {min(RULES)} to C{len(RULES)}, not {sorted(unknown)}"
        raise ValueError(message)

    def cite(test: Test) -> Test:
        @functools.wraps(test)
        def cited(*positional: object, **arguments: Any) -> None:
            __tracebackhide__ = True
            for power in needs:
                skip_without(power, arguments["connector"])
            try:
                test(*positional, **arguments)
            except (Exception, pytest.fail.Exception) as error:
                error.add_note(explained(numbers, fix))
                raise

        cited.psk_rules = numbers  # type: ignore[attr-defined]  # says that the suite knows this test
        return cast("Test", cited)

    return cite


def explained(numbers: tuple[str, ...], fix: str) -> str:
    """Write the note that goes with a failure."""
    return "\n".join(["", *map(rule_text, numbers), f"likely fix: {fix}"])


def skip_without(power: Any, connector: Any) -> None:
    """Skip the test that runs if a connector lacks a capability, and say so."""
    if not isinstance(connector, power):
        pytest.skip(f"{connector.scheme} has no {power.__name__}, an optional capability")
