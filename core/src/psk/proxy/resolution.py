"""Who calls the factory, and who waits for it? One thread calls, every other one waits for that call."""

from __future__ import annotations

import os
from _thread import LockType, allocate_lock, get_ident
from typing import Any

from psk.errors import ProxyResolveError
from psk.proxy.forms import adopt_target
from psk.proxy.layout import UNRESOLVED, read_factory, read_target


class Resolution:
    """One call of one factory: who makes it, whether it has ended, and how it failed."""

    __slots__ = ("ended", "error", "owner")
    ended: LockType  # held until it has
    error: ProxyResolveError | None
    owner: int


# Both are changed by single dictionary operations only, which are atomic: there is no lock here that a
# finaliser, a signal handler or a fork could find held.
_in_flight: dict[int, Resolution] = {}  # id of the proxy -> the resolution under way
_waits: dict[int, Resolution] = {}  # thread -> what it waits for


def _forget_other_threads() -> None:
    _in_flight.clear()
    _waits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def target_of(proxy: Any) -> Any:
    """Return the target of a proxy, calling its factory if it has none yet.

    However many threads ask, the factory is called once; they all get its result, or its failure. A
    failure is not kept: whoever asks after it calls the factory again.

    Raises:
        ProxyResolveError: If the factory fails, or needs its own proxy to make its target.
    """
    target = read_target(proxy)
    return resolve_target(proxy) if target is UNRESOLVED else target


def resolve_target(proxy: Any) -> Any:
    """Do what `target_of` does, for a proxy that was found unresolved a moment ago."""
    while True:
        mine = Resolution()
        mine.error = None
        mine.owner = get_ident()
        mine.ended = allocate_lock()
        mine.ended.acquire()
        current = _in_flight.setdefault(id(proxy), mine)
        if current is not mine:
            _wait(proxy, current)
            target = read_target(proxy)
            if target is UNRESOLVED:
                continue
            return target
        try:
            # Another thread may have ended between our caller's look and our turn.
            target = read_target(proxy)
            if target is UNRESOLVED:
                target = read_factory(proxy)()
                adopt_target(proxy, target)
        except ProxyResolveError as error:
            mine.error = error
            raise
        except Exception as error:
            mine.error = _failure(proxy, error)
            raise mine.error from error
        else:
            return target
        finally:
            _in_flight.pop(id(proxy), None)
            mine.ended.release()
            # The error's traceback holds this frame: without this, a cycle.
            del mine, current


def _failure(proxy: Any, error: Exception) -> ProxyResolveError:
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ProxyResolveError(
        f"cannot resolve {proxy!r}: its factory raised {detail}",
        remedy="see `cause` for the original error; the next use of the proxy calls the factory again",
    )


def _wait(proxy: Any, current: Resolution) -> None:
    me = get_ident()
    ahead: Resolution | None = current
    _waits[me] = current
    try:
        # Follow who waits for whom; if that leads back here, waiting would never end.
        while ahead is not None:
            if ahead.owner == me:
                raise ProxyResolveError(
                    f"cannot resolve {proxy!r}: its factory uses the proxy that it is asked to resolve",
                    remedy="let the factory build the target without its own proxy",
                )
            ahead = _waits.get(ahead.owner)
        with current.ended:
            error = current.error
    finally:
        del current, ahead
        _waits.pop(me, None)
    if error is not None:
        try:
            raise error
        finally:
            del error
