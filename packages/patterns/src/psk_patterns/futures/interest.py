"""Who wants to hear the end of a future, and how is he told?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.errors import PskError
    from psk_patterns.futures.promise import Future


class Interest:
    """Somebody who wants to hear the end of a future.

    Args:
        future: The future.
        tell: Called in the watching thread, once: with None when the future has its outcome, else with the error for
            which nobody watches it any more. It must be quick and not raise.
        timeout: Seconds for which to watch.

    Attributes:
        is_dropped: Set when nobody wants to hear of it any more.
    """

    __slots__ = ("deadline", "future", "is_dropped", "tell", "timeout", "vigil")

    def __init__(self, future: Future[Any], tell: Callable[[PskError | None], None], timeout: float) -> None:
        self.future = future
        self.tell = tell
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self.vigil = future.vigil
        self.is_dropped = False
