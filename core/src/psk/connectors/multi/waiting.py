"""How are objects of several channels waited for? Each channel waits for its own, and the first ends it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from psk.connectors.arguments import deadline_after, deadline_error
from psk.connectors.capabilities import SupportsWait
from psk.connectors.contract import DEFAULT_TIMEOUT
from psk.connectors.multi.routes import able
from psk.errors import DeadlineError, PskError, ShortageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.multi.child import Child
    from psk.connectors.multi.routes import Routes

LONGEST_SLICE = 0.25
"""Seconds after which a thread looks whether its wait is still wanted, and so the longest that it outlives it."""


class Waiting:
    """Serve SupportsWait."""

    __slots__ = ()
    _routes: Routes

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one."""
        deadline = deadline_after(timeout, DEFAULT_TIMEOUT)
        asked: dict[Child, dict[Key, list[Key]]] = {}
        for key in keys:
            for child, inner in self._routes.locate(key):
                asked.setdefault(child, {}).setdefault(inner, []).append(key)
        if not asked:
            asked[self._routes.children[0]] = {}
        vigils = [_Vigil(child, outers) for child, outers in asked.items()]
        found = vigils[0].watch(deadline) if len(vigils) == 1 else _present(vigils) or _watch_all(vigils, deadline)
        return [key for key in keys if key in found]


class _Vigil:
    """One channel's share of a wait: its keys there, and what they stand for."""

    __slots__ = ("child", "outers")

    def __init__(self, child: Child, outers: dict[Key, list[Key]]) -> None:
        self.child = child
        self.outers = outers

    def watch(self, deadline: float) -> set[Key]:
        connector: SupportsWait = able(self.child.connector(), SupportsWait)
        found = connector.wait([*self.outers], timeout=max(deadline - time.monotonic(), 0.0))
        return {outer for inner in found for outer in self.outers[inner]}


def _watch_all(vigils: list[_Vigil], deadline: float) -> set[Key]:
    answers: SimpleQueue[set[Key] | PskError] = SimpleQueue()
    over = threading.Event()

    def watch(vigil: _Vigil) -> None:
        # In slices, because a channel's own wait cannot be called off when another channel has the answer.
        while not over.is_set():
            try:
                answers.put(vigil.watch(min(deadline, time.monotonic() + LONGEST_SLICE)))
            except DeadlineError:
                if time.monotonic() < deadline:
                    continue
            except PskError as error:
                answers.put(error)
            return

    doing = f"waiting for objects of {len(vigils)} channels of a multi connector"
    try:
        for vigil in vigils:
            threading.Thread(target=watch, args=(vigil,), name="psk-multi-wait", daemon=True).start()
        answer = answers.get(timeout=max(deadline - time.monotonic(), 0.0))
    except Empty:
        raise deadline_error(doing) from None
    except RuntimeError as error:
        raise ShortageError(f"no thread can be started for {doing}", remedy="raise the limit of threads") from error
    finally:
        over.set()
    if isinstance(answer, PskError):
        raise answer
    return answer | _present(vigils)


def _present(vigils: list[_Vigil]) -> set[Key]:
    """Give what is there already; why a channel cannot tell is said by the wait itself."""
    found: set[Key] = set()
    for vigil in vigils:
        with suppress(PskError):
            found |= vigil.watch(0.0)
    return found
