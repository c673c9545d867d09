"""Who calls the factory, and who waits for it? One thread calls, every other one waits for that call."""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident
from typing import TYPE_CHECKING, Any

from psk.errors import ProxyResolveError
from psk.proxy.layout import read_factory, read_target, write_target

if TYPE_CHECKING:
    from collections.abc import Callable


class Resolution:
    """One call of one factory: who makes it, whether it has ended, and how it failed."""

    __slots__ = ("ended", "error", "owner")

    def __init__(self) -> None:
        self.owner = get_ident()
        self.ended = allocate_lock()
        self.ended.acquire()
        self.error: ProxyResolveError | None = None


# Both are changed by single dictionary operations only, which are atomic: no lock here that a finaliser, a signal
# handler or a fork could find held.
_in_flight: dict[int, Resolution] = {}  # id of the proxy -> the resolution under way
_waits: dict[int, Resolution] = {}  # thread -> what it waits for


def _forget_other_threads() -> None:
    _in_flight.clear()
    _waits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def target_of(proxy: Any) -> Any:
    """Return the target of a proxy, calling its factory if it has none yet.

    However many threads ask, the factory is called once; they all get its result, or its failure. A failure is
    not kept: whoever asks after it calls the factory again.

    Raises:
        ProxyResolveError: If the factory fails, or needs its own proxy to make its target.
    """
    try:
        return read_target(proxy)
    except AttributeError:
        pass
    while True:
        mine = Resolution()
        current = _in_flight.setdefault(id(proxy), mine)
        if current is mine:
            return _resolve(proxy, mine)
        _wait(proxy, current)
        try:
            return read_target(proxy)
        except AttributeError:
            if current.error is not None:
                raise current.error from current.error.__cause__


def _resolve(proxy: Any, mine: Resolution) -> Any:
    try:
        try:
            # Another thread may have ended between our caller's look and our turn.
            return read_target(proxy)
        except AttributeError:
            target = _call(proxy, read_factory(proxy), mine)
        write_target(proxy, target)
        return target
    finally:
        _in_flight.pop(id(proxy), None)
        mine.ended.release()


def _call(proxy: Any, factory: Callable[[], Any], mine: Resolution) -> Any:
    try:
        return factory()
    except ProxyResolveError as error:
        mine.error = error
        raise
    except Exception as error:
        detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        mine.error = ProxyResolveError(
            f"cannot resolve {proxy!r}: its factory raised {detail}",
            remedy="see `cause` for the original error; the next use of the proxy calls the factory again",
        )
        raise mine.error from error


def _wait(proxy: Any, current: Resolution) -> None:
    me = get_ident()
    _waits[me] = current
    try:
        # Follow who waits for whom; if that leads back here, waiting would never end.
        ahead: Resolution | None = current
        while ahead is not None:
            if ahead.owner == me:
                raise ProxyResolveError(
                    f"cannot resolve {proxy!r}: its factory uses the proxy that it is asked to resolve",
                    remedy="let the factory build the target without its own proxy",
                )
            ahead = _waits.get(ahead.owner)
        with current.ended:
            pass
    finally:
        _waits.pop(me, None)
