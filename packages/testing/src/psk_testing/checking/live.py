"""How are all checks run on a live channel, so that a call that hangs ends the check and not the patience?"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.connectors import open_connector
from psk_testing.checking.channel import Channel
from psk_testing.checking.duties import DUTIES
from psk_testing.checking.outcome import BROKEN, HELD, SKIPPED, Outcome
from psk_testing.checking.powers import POWERS
from psk_testing.checking.rebuilding import REBUILDING
from psk_testing.checking.speed import measure_speed

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 6
"""A check makes several calls: it may take so many times what one of them may."""


class Live:
    """Run the checks on a channel.

    Args:
        uri: Opened here, and closed by `close`.
        timeout: Seconds one call may take.

    Raises:
        ConnectorError: It cannot be opened.
        TimeoutError: Opening it hangs.
    """

    def __init__(self, uri: str, timeout: float) -> None:
        self.hangs = False
        self._patience = CALLS * timeout
        self._stopped = threading.Event()
        self.channel = Channel(self._within_patience(open_connector, uri), timeout, self._stopped)

    def checks(self) -> list[Outcome]:
        """Run every check; after one that hangs the others are skipped."""
        found = []
        for check in (*DUTIES, *REBUILDING, *POWERS):
            if self.hangs:
                found.append(Outcome(check.rule, check.what, SKIPPED, "not looked at, since a call before it hangs"))
                continue
            try:
                found.append(self._within_patience(check.run, self.channel))
            except TimeoutError:
                self.hangs = True
                found.append(check.broken(f"a call did not end: {self._patience:.0f} s are over (C5)"))
        return found

    def speed(self) -> dict[str, Any] | None:
        """Time it, unless it hangs or returns something wrong, of which the checks tell."""
        if self.hangs:
            return None
        try:
            measured: dict[str, Any] = self._within_patience(measure_speed, self.channel)
        except Exception:  # noqa: BLE001  # a connector under test raises anything
            return None
        return measured

    def tidy(self) -> Outcome:
        """Evict everything that the checks put, and look whether something is left."""
        what, fix = "nothing of this check is left", "see why evict does not remove what put placed"
        left: list[str] = []
        try:
            self._within_patience(self.channel.tidy)
            left = self._within_patience(lambda: list(self.channel.leftovers()))
        except TimeoutError:
            return Outcome("C28", what, BROKEN, "not known, since a call hangs", fix)
        except Exception as error:  # noqa: BLE001  # a connector under test raises anything
            return Outcome("C28", what, BROKEN, f"not known: {type(error).__name__}: {error}", fix)
        return Outcome("C28", what, BROKEN if left else HELD, ", ".join(left[:5]), fix if left else "")

    def close(self) -> None:
        """Close the connector, however long it takes."""
        with suppress(Exception):
            self._within_patience(self.channel.connector.close)

    def _within_patience(self, function: Callable[..., Any], *arguments: Any) -> Any:
        # In a thread of its own: what hangs there keeps neither us nor the end of this process waiting.
        ended: list[tuple[Any, BaseException | None]] = []
        # Not `join`: one that is interrupted takes the thread for ended (CPython 3.11, Thread._wait_for_tstate_lock).
        has_ended = threading.Event()

        def call() -> None:
            try:
                ended.append((function(*arguments), None))
            except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
                ended.append((None, error))
            has_ended.set()

        thread = threading.Thread(target=call, name="psk-check", daemon=True)
        try:
            thread.start()
            has_ended.wait(self._patience)
        except BaseException:  # Ctrl-C, in this thread alone: what the other one puts after the tidying would stay
            self._stopped.set()
            if thread.ident is not None:  # one that has not begun yet will find that it is to stop
                has_ended.wait(self._patience / CALLS)
            raise
        if not ended:
            raise TimeoutError
        result, error = ended.pop()
        if error is not None:
            raise error
        return result
