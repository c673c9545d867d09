"""How does a process watch many futures at once? In one daemon thread per channel, however many there are."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk.errors import (
    ChannelUnavailableError,
    ConnectorClosedError,
    DeadlineError,
    PskError,
    SigningError,
    StoreClosedError,
    UntrustedChannelError,
)
from psk.unraisable import report_ignored
from psk_patterns.errors import FutureError
from psk_patterns.futures.bell import Bell
from psk_patterns.futures.vigil import LOOK_SECONDS
from psk_patterns.futures.waiting import PAUSE_SECONDS, glance, timeout_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psk import Store
    from psk_patterns.futures.interest import Interest
    from psk_patterns.futures.promise import Future

IDLE_SECONDS: Final = 1.0
"""How long the thread waits for more futures before it ends."""

SETTLE_SECONDS: Final = 0.001
"""How long it waits for more of them once one was added, since they come in swarms."""

PASSING = (ChannelUnavailableError, ConnectorClosedError, DeadlineError, StoreClosedError)
"""What a channel that is out of reach raises, and a store that its user has closed: the next look may succeed."""


class Watcher:
    """All who are interested in futures of one channel, and the thread that watches these."""

    def __init__(self) -> None:
        # Re-entrant, since a finaliser or a signal handler may come in between. And entered by itself: an interrupt may
        # leave what Condition's own methods have entered locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._interests: set[Interest] = set()
        self._thread: threading.Thread | None = None
        self._bell = Bell()

    def add(self, interests: Iterable[Interest]) -> None:
        """Begin to watch."""
        with self._lock:
            self._interests.update(interest for interest in interests if not interest.is_dropped)
            if self._thread is None or not self._thread.is_alive():
                self._start()
            self._changed.notify()
            bell = self._bell
        bell.ring()

    def _start(self) -> None:
        self._bell = Bell()
        thread = threading.Thread(target=self._run, args=(self._bell,), name="psk-futures", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._interests.clear()
            raise FutureError(
                "no future can be watched: there is no thread to be had",
                remedy="raise the limit of threads; at the interpreter's end nobody can wait any more",
            ) from error
        self._thread = thread

    def remove(self, interests: Iterable[Interest]) -> None:
        """Watch no more; unknown ones are no error."""
        with self._lock:
            for interest in interests:
                interest.is_dropped = True
                self._interests.discard(interest)

    def end(self, future: Future[Any], error: PskError | None) -> None:
        """Tell all who are interested in a future, which is about to be released."""
        with self._lock:
            concerned = [interest for interest in self._interests if interest.future == future]
        for interest in concerned:
            self._tell(interest, error)

    def _run(self, bell: Bell) -> None:
        try:
            self._watch(bell)
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _watch(self, bell: Bell) -> None:
        looked = time.monotonic()
        while interests := self._next(bell):
            try:
                store = self._store_of(interests)
                if store is None:
                    continue
                self._listen(store, bell, interests)
                if time.monotonic() - looked >= LOOK_SECONDS:
                    looked = time.monotonic()
                    self._look_for_claims(store, interests)
            except BaseException:  # noqa: BLE001  a channel out of reach, or a connector that exits; waits have deadlines
                time.sleep(PAUSE_SECONDS)
            self._drop_late(interests)
            del interests

    def _next(self, bell: Bell) -> list[Interest]:
        """Give all interests; wait a little where there is none, and give none when it is time to end."""
        with self._lock:
            interests = list(self._interests)
        if interests:
            return interests
        bell.remove()
        with self._lock:
            if not self._interests and not self._changed.wait_for(lambda: self._interests, IDLE_SECONDS):
                self._thread = None
            return list(self._interests)

    def _store_of(self, interests: list[Interest]) -> Store | None:
        """Give a store of the channel; None where no interest may use it."""
        for interest in interests:
            try:
                return interest.future.store
            except (SigningError, UntrustedChannelError) as error:
                self._tell(interest, error)
        return None

    def _listen(self, store: Store, bell: Bell, interests: list[Interest]) -> None:
        """Wait until something happens, and tell those whom it concerns."""
        key = bell.hang(store)
        with self._lock:
            fresh = self._interests.difference(interests)
        if fresh:  # came before the bell hung, so that it did not ring for them
            bell.silence(())
            return
        left = min(interest.deadline for interest in interests) - time.monotonic()
        keys = dict.fromkeys(key for interest in interests for key in interest.vigil.keys)
        try:
            present = set(store.wait([*keys, key], timeout=max(min(left, LOOK_SECONDS), 0.0)))
        except DeadlineError:
            present = set()
        if bell.silence(present):
            time.sleep(SETTLE_SECONDS)
        for interest in interests:
            self._judge(interest, partial(interest.vigil.sees, present))

    def _look_for_claims(self, store: Store, interests: list[Interest]) -> None:
        """Find out which producers have died."""
        claimed = [interest for interest in interests if interest.vigil.claim is not None]
        if not claimed:
            return
        keys = list(dict.fromkeys(interest.future.slots.claim_key for interest in claimed))
        present = set(glance(store, keys))
        for interest in claimed:
            if interest.future.slots.claim_key not in present and interest in self._interests:
                self._judge(interest, interest.vigil.misses_claim)

    def _judge(self, interest: Interest, look: Callable[[], bool]) -> None:
        try:
            ended = look()
        except PASSING:
            raise
        except PskError as error:
            self._tell(interest, error)
        else:
            if ended:
                self._tell(interest, None)

    def _drop_late(self, interests: list[Interest]) -> None:
        now = time.monotonic()
        for interest in interests:
            if now >= interest.deadline:
                self._tell(interest, timeout_error(interest.vigil, interest.timeout))

    def _tell(self, interest: Interest, error: PskError | None) -> None:
        with self._lock:
            if interest not in self._interests:
                return
            self._interests.discard(interest)
        try:
            interest.tell(error)
        except BaseException:  # noqa: BLE001  the thread serves others, also when a callback exits
            report_ignored(interest.tell, "psk_patterns: ignored an exception of who waits for a future")
