"""Describe what a check finds, and hold what the checks put into a live channel."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.errors import CapabilityError, PskError
from psk.wire import Payload, encode
from psk_testing.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Event

    from psk.connectors import Connector
    from psk.wire import Frames


HELD, BROKEN, SKIPPED = "ok", "failed", "skipped"


class RuleBrokenError(Exception):
    """A check saw something that the contract forbids; its text says what."""


class NotOfferedError(Exception):
    """There is nothing to check: the connector does not have this power."""


class CheckStoppedError(Exception):
    """The check was interrupted by Ctrl-C."""


class Outcome:
    """The result of one check.

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
        """Return everything as plain texts."""
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
            return self.broken(f"{type(error).__name__}, which is not an error of psk.errors (C5): {error}")
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


SMALL_BYTES = 1000


class Channel:
    """One connector on a live channel, with everything that the checks put there.

    Args:
        connector: Open; the caller closes it.
        timeout: Seconds that one call may take.
        stopped: Set when nothing may be put any more, whichever thread is at it.
    """

    def __init__(self, connector: Connector, timeout: float, stopped: Event) -> None:
        self.connector: Any = connector  # its powers differ from connector to connector
        self.timeout = timeout
        self.wake_seconds: list[float] = []
        self._stopped = stopped
        self._keys: dict[str, None] = {}

    def payload(self, nbytes: int = SMALL_BYTES, **options: Any) -> Payload:
        """Encode random bytes as a new object; options as of `psk.wire.encode`."""
        return self.remembered(encode(os.urandom(nbytes), **options))

    def remembered(self, payload: Payload) -> Payload:
        """Have an object evicted in the end, whatever becomes of its put.

        Raises:
            CheckStoppedError: This is the end.
        """
        if self._stopped.is_set():
            raise CheckStoppedError
        self._keys.setdefault(payload.key)
        return payload

    def put(self, payload: Payload, **options: Any) -> str:
        """Put a payload."""
        key: str = self.connector.put(self.remembered(payload), timeout=self.timeout, **options)
        if isinstance(key, str):
            self._keys[key] = None
        return key

    def get(self, key: str) -> bytes | None:
        """Get an object as the bytes of its whole payload, verified."""
        frames = self.connector.get(key, timeout=self.timeout)
        return None if frames is None else bytes_of(frames)

    def evict(self, key: str) -> None:
        """Evict an object."""
        self.connector.evict(key, timeout=self.timeout)

    def offering(self, power: type) -> Any:
        """Return the connector if it has a power.

        Raises:
            NotOfferedError: It does not.
        """
        if not isinstance(self.connector, power):
            raise NotOfferedError(f"the connector has no {power.__name__}")
        return self.connector

    def tidy(self) -> None:
        """Evict what was put; what cannot be evicted is left to `leftovers`."""
        for key in list(self._keys):
            with suppress(PskError):
                self.evict(key)

    def leftovers(self) -> Iterator[str]:
        """Return the keys that are still there after all."""
        for key in self._keys:
            with suppress(PskError):
                if self.connector.exists(key, timeout=self.timeout):
                    yield key


def bytes_of(frames: Frames) -> bytes:
    """Return the whole payload that a connector returned.

    Raises:
        PayloadError: It is damaged.
        RuleBrokenError: It is not a payload.
    """
    require(hasattr(frames, "buffers"), f"{type(frames).__name__} was returned instead of psk.connectors.Frames")
    payload = Payload.parse(frames)
    payload.verify()
    return payload.tobytes()
