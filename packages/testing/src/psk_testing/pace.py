"""What if the machine is too busy for a test with short times? It is tried again, with longer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.errors import PskError

if TYPE_CHECKING:
    from collections.abc import Callable

PACES: Final = (1.0, 3.0, 10.0)
"""What the times of a test are multiplied with, one after the other, until it passes."""


def at_some_pace(attempt: Callable[[float], None]) -> None:
    """Try something whose times are short, and then at a slower pace: a bug shows at each, a busy machine not.

    Args:
        attempt: Called with the number by which it multiplies its times; raises if what it saw was wrong.

    Raises:
        AssertionError: It was wrong at every pace.
        PskError: As above.
    """
    for pace in PACES[:-1]:
        try:
            attempt(pace)
        except (AssertionError, PskError):
            continue
        return
    attempt(PACES[-1])
