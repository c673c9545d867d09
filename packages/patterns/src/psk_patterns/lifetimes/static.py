"""How do objects end with the program?"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from psk.errors import ChannelUnavailableError
from psk_patterns.arguments import check_lifetime
from psk_patterns.errors import LifetimeCloseError
from psk_patterns.finishing import flush_at_exit, later
from psk_patterns.lifetimes.exiting import call_at_exit, call_earlier
from psk_patterns.lifetimes.lifetime import EvictingLifetime

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from psk.store import Lifetime

_only: dict[type, StaticLifetime] = {}


class StaticLifetime(EvictingLifetime):
    """Evict objects when the program ends; there is one per process, and each call gives it.

    It works on every channel. The interpreter's exit waits at most 0.8 s for all that is to be evicted then; what could
    not be, and everything when the process is killed or ends by `os._exit`, stays. Children of `multiprocessing` end
    theirs too. Each object needs its store: `add_key(key, store=store)`.
    """

    _owner = 0

    def __new__(cls) -> Self:
        """Give the one there is."""
        made = super().__new__(cls)
        only = _only.setdefault(cls, made)
        if only is made:
            EvictingLifetime.__init__(made, None, None)
            made._members.on_new_store.append(made._call_at_exit)
            made._call_at_exit()
        return only  # type: ignore[return-value]  # by class

    def _call_at_exit(self) -> None:
        if self._owner == os.getpid():
            call_earlier(self._finish)
        else:  # a forked child's exit handlers may be gone
            self._owner = os.getpid()
            call_at_exit(self._finish)

    def _finish(self) -> None:
        later(_close, self, self.close)
        flush_at_exit()

    def __init__(self) -> None:
        """Change nothing: it has begun."""


def register_lifetime_atexit(lifetime: Lifetime, close_stores: bool = False) -> Callable[[], None]:
    """Let a lifetime end when the program does, if it has not ended before.

    The interpreter's exit waits at most 0.8 s for all that is to be evicted then. A forked child does not end it.

    Args:
        lifetime: Any lifetime.
        close_stores: Passed to its `close`.

    Returns:
        What will be called; `atexit.unregister` takes it back.

    Raises:
        InvalidArgumentError: It is no lifetime.
    """
    owner = os.getpid()
    check_lifetime(lifetime)
    close: Callable[..., None] = lifetime.close  # which knows `close_stores` if it is one of ours

    def end() -> None:
        if os.getpid() == owner:
            later(_close, lifetime, partial(close, close_stores=True) if close_stores else close)
            flush_at_exit()

    call_at_exit(end)
    if isinstance(lifetime, EvictingLifetime):
        lifetime._members.on_new_store.append(partial(call_earlier, end))  # noqa: SLF001  they share it
    return end


def _close(lifetime: Lifetime, close: Callable[[], object]) -> None:
    """Close a lifetime as the program ends; what went with its session before needs no mention."""
    stores = lifetime._members.by_store() if isinstance(lifetime, EvictingLifetime) else {}  # noqa: SLF001  they share it
    mortal = {key for store, keys in stores.items() if store.uri.startswith("shm:") for key in keys}
    try:
        close()
    except LifetimeCloseError as error:
        if not all(key in mortal and isinstance(failure, ChannelUnavailableError) for key, failure in error.failures):
            raise
