"""Which threads watch futures in this process, and for whom?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors import shown
from psk.errors import InvalidArgumentError
from psk.fork import after_fork_in_child
from psk.unraisable import report_ignored
from psk_patterns.errors import FutureError
from psk_patterns.futures.interest import Interest
from psk_patterns.futures.waiting import glance
from psk_patterns.futures.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psk.errors import PskError
    from psk_patterns.futures.promise import Future

_watchers: dict[str, Watcher] = {}


def watch(interests: Iterable[Interest]) -> None:
    """Begin to watch futures, of whatever channels.

    Raises:
        PskError: This process does not trust, or cannot reach, one of the channels; then none is watched.
    """
    grouped = _by_channel(interests)
    for several in grouped.values():
        for interest in several:
            _ = interest.future.store  # which checks that it may be used
    for uri, several in grouped.items():
        _watcher_of(uri).add(several)


def ended_now(interests: Iterable[Interest]) -> set[Future[Any]]:
    """Give the futures that have an outcome now, in one exchange per channel where those can.

    Raises:
        PskError: As `watch`.
    """
    ended: set[Future[Any]] = set()
    for several in _by_channel(interests).values():
        stores = [interest.future.store for interest in several]
        present = set(glance(stores[0], [key for interest in several for key in interest.future.keys]))
        ended.update(interest.future for interest in several if interest.vigil.sees(present))
    return ended


def forget(interests: Iterable[Interest]) -> None:
    """Watch no more."""
    for uri, several in _by_channel(interests).items():
        _watcher_of(uri).remove(several)


def end(future: Future[Any], error: PskError | None) -> None:
    """Tell all in this process who are interested in a future that is about to be released.

    Args:
        future: The future.
        error: Why it has no outcome; None where it has one.
    """
    watcher = _watchers.get(future.uri)
    if watcher is not None:
        watcher.end(future, error)


def call_when_done(future: Future[Any], function: Callable[[Future[Any]], object]) -> None:
    """Call a function with a future when that has its outcome; see `Future.add_done_callback`."""
    if not callable(function):
        raise InvalidArgumentError(f"{shown(function)} cannot be called", remedy="give a function of one argument")

    def tell(error: PskError | None) -> None:
        if type(error) is FutureError:  # it was released, by somebody who does not wait for it any more
            return
        if error is not None:
            report_ignored(function, f"psk_patterns: not called, as {future!r} had no outcome", error)
            return
        try:
            function(future)
        except KeyboardInterrupt:  # the user's, where it is the caller's thread; the watching one reports it
            raise
        except BaseException:  # noqa: BLE001  a result that is SystemExit, asked for here, ends nobody else's thread
            report_ignored(function, f"psk_patterns: ignored an exception of a callback of {future!r}")

    if future.done():
        tell(None)
    else:
        watch([Interest(future, tell, future.timeout)])


def _by_channel(interests: Iterable[Interest]) -> dict[str, list[Interest]]:
    grouped: dict[str, list[Interest]] = {}
    for interest in interests:
        grouped.setdefault(interest.future.uri, []).append(interest)
    return grouped


def _watcher_of(uri: str) -> Watcher:
    # Atomic: there is no lock that a finaliser or a signal handler could find held.
    return _watchers.setdefault(uri, Watcher())


@after_fork_in_child
def _begin_anew() -> None:
    _watchers.clear()  # the threads do not exist in the child, and the callbacks are the parent's
