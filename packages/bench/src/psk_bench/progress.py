"""How does somebody who waits see that the work goes on? On stderr, once it takes longer than a moment."""

from __future__ import annotations

import sys
import time
from typing import Self

QUIET_SECONDS = 1.0
TERMINAL_PAUSE, LOG_PAUSE = 0.1, 10.0
_BACK = "\r\x1b[K"


class Progress:
    """Tell how far the work is: in one line of a terminal, or now and then in a log."""

    def __init__(self) -> None:
        self._in_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._next = self._begin + (QUIET_SECONDS if self._in_terminal else LOG_PAUSE)
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write(_BACK)

    def tell(self, what: str) -> None:
        """Say what is done now, if the last word was said a while ago."""
        now = time.monotonic()
        if now < self._next or sys.stderr is None:
            return
        text = f"psk bench, {now - self._begin:.0f} s: {what}"
        self._next = now + (TERMINAL_PAUSE if self._in_terminal else LOG_PAUSE)
        self._shown = self._in_terminal
        self._write(f"{_BACK}{text}" if self._in_terminal else f"{text}\n")

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody listens there: no reason to fail
            return
