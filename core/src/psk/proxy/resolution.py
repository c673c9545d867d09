"""Resolution: one thread calls a proxy's factory, and every other one that wants the target waits for that call."""

from __future__ import annotations

import sys
from _thread import TIMEOUT_MAX, get_ident
from typing import TYPE_CHECKING, Any

from psk.errors import ProxyResolveError
from psk.proxy.forms import adopt_target
from psk.proxy.layout import UNRESOLVED, read_factory, read_target
from psk.singleflight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.singleflight import Flight

# A signal handler or a finaliser may use the proxy that its thread is resolving, and another may come in between.
_DEEPEST = 8


class _Resolutions(SingleFlight):
    __slots__ = ()

    patience = TIMEOUT_MAX  # a factory may wait for whatever it likes

    def reenter(self, flight: Flight, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call the factory anew, unless that has been so deep that it must be the factory itself that wants it."""
        is_ring = flight.leader != get_ident() and not sys.is_finalizing()
        if is_ring or flight.reentered >= _DEEPEST:
            raise ProxyResolveError(
                f"cannot resolve {arguments[0]!r}: its factory uses the proxy that it is asked to resolve",
                remedy="let the factory build the target without its own proxy",
            )
        flight.reentered += 1
        try:
            return work(*arguments)
        finally:
            flight.reentered -= 1


_resolutions = _Resolutions()


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
    return _resolutions.run(id(proxy), _make_target, (proxy,))


def _make_target(proxy: Any) -> Any:
    # Another thread may have ended between our caller's look and our turn.
    target = read_target(proxy)
    if target is not UNRESOLVED:
        return target
    try:
        made = read_factory(proxy)()
    except Exception as error:
        target = read_target(proxy)
        if target is not UNRESOLVED:  # what came in between has taken it, and with `evict` it was the last
            return target
        if isinstance(error, ProxyResolveError):
            raise
        raise _failure(proxy, error) from error
    # What came in between, and resolved it too, goes on using what it got.
    target = read_target(proxy)
    if target is UNRESOLVED:
        adopt_target(proxy, made)
        return made
    return target


def _failure(proxy: Any, error: Exception) -> ProxyResolveError:
    detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ProxyResolveError(
        f"cannot resolve {proxy!r}: its factory raised {detail}",
        remedy="see `cause` for the original error; the next use of the proxy calls the factory again",
    )
