"""What did one check find? Held, broken with the rule and the likely fix, or not applicable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import CapabilityError, PskError
from psk_testing.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

HELD, BROKEN, SKIPPED = "ok", "failed", "skipped"


class RuleBrokenError(Exception):
    """A check saw something that the contract forbids; its text says what."""


class NotOfferedError(Exception):
    """There is nothing to check: the connector does not have this power."""


class CheckStoppedError(Exception):
    """The check goes no further: somebody pressed Ctrl-C."""


class Outcome:
    """What one check found.

    Args:
        rule: Its number in psk_testing.rules; empty for what the contract takes for granted.
        what: What was checked, as a sentence that is true if it held.
        outcome: `HELD`, `BROKEN` or `SKIPPED`.
        detail: What was seen, or why it was skipped.
        fix: What the connector's author probably has to do.
    """

    __slots__ = ("detail", "fix", "outcome", "rule", "what")

    def __init__(self, rule: str, what: str, outcome: str, detail: str = "", fix: str = "") -> None:
        self.rule = rule
        self.what = what
        self.outcome = outcome
        self.detail = detail
        self.fix = fix

    def as_dict(self) -> dict[str, str]:
        """Give everything as plain texts."""
        return {name: getattr(self, name) for name in self.__slots__} | {"rule_text": RULES.get(self.rule, "")}


class Check:
    """One rule and how to see whether a connector keeps it.

    Args:
        rule: Its number.
        what: As of `Outcome`.
        fix: As of `Outcome`.
        look: Raises `RuleBrokenError` if the rule is broken, `NotOfferedError` if there is nothing to look at.
    """

    __slots__ = ("fix", "look", "rule", "what")

    def __init__(self, rule: str, what: str, fix: str, look: Callable[[Any], object]) -> None:
        self.rule = rule
        self.what = what
        self.fix = fix
        self.look = look

    def run(self, subject: Any) -> Outcome:
        """Look, and put into words what was seen."""
        try:
            self.look(subject)
        except NotOfferedError as reason:
            return Outcome(self.rule, self.what, SKIPPED, str(reason))
        except CapabilityError as error:  # C39: the place it was opened on does not allow it
            return Outcome(self.rule, self.what, SKIPPED, str(error))
        except RuleBrokenError as error:
            return self.broken(str(error))
        except PskError as error:
            return self.broken(f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001  # a connector under test raises anything
            return self.broken(f"{type(error).__name__}, which is no error of psk.errors (C5): {error}")
        return Outcome(self.rule, self.what, HELD)

    def broken(self, detail: str) -> Outcome:
        """Say that the rule is broken."""
        return Outcome(self.rule, self.what, BROKEN, detail, self.fix)


def checks(into: list[Check], rule: str, what: str, *, fix: str) -> Callable[[Callable[[Any], object]], Any]:
    """Add the decorated function to a list of checks."""

    def add(look: Callable[[Any], object]) -> Callable[[Any], object]:
        into.append(Check(rule, what, fix, look))
        return look

    return add


def require(condition: object, otherwise: str) -> None:
    """Make sure of something that a rule demands.

    Raises:
        RuleBrokenError: It is not so.
    """
    if not condition:
        raise RuleBrokenError(otherwise)


def require_error(expected: type[Exception], action: Callable[[], object], doing: str) -> None:
    """Make sure that a call is refused with the error that the contract names.

    Raises:
        RuleBrokenError: It was not refused, or with another error.
    """
    try:
        action()
    except expected:
        return
    except Exception as error:
        raise RuleBrokenError(
            f"{doing} raised {type(error).__name__} instead of {expected.__name__}: {error}"
        ) from error
    raise RuleBrokenError(f"{doing} was not refused with {expected.__name__}")
