"""Listen to notices of a server in one thread for the whole process, and wake the calls that wait for them."""

from __future__ import annotations

import select
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from psk.connectors.toolkit.foreign import PerProcess
from psk.connectors.waiting import WakePipe
from psk.errors import PskError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from collections.abc import Set as AbstractSet

    from psk.connectors.watching import Settable

IDLE_SECONDS: Final = 1.0
"""Seconds that the thread and its connection outlive the last listener."""

SILENCE_SECONDS: Final = 2.0
"""After how long a silence the server is asked whether it is there; as long again, and the connection is dead."""

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5


class Notice(NamedTuple):
    """Something that a `Feed` heard: the publication of a topic, or that the topic is subscribed from now on."""

    topic: bytes
    is_confirmation: bool


class SubscriptionRefusedError(Exception):
    """The server does not let this client subscribe, so that repeated looks are all that is left."""


class Feed(Protocol):
    """A connection of its own that is subscribed to topics; used by one thread.

    Every method may raise OSError or PskError, after which the feed is closed and another one connected, and
    SubscriptionRefusedError.
    """

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something arrives."""
        ...

    def has_received(self) -> bool:
        """Tell whether something has arrived of which the descriptor says nothing any more."""
        ...

    def change(self, new: AbstractSet[bytes], old: AbstractSet[bytes]) -> None:
        """Subscribe to new topics, and end the subscription of old ones."""
        ...

    def receive(self) -> Notice | None:
        """Return the next notice; None if what arrived is something else, such as the answer to `ping`."""
        ...

    def ping(self) -> None:
        """Ask the server for a sign of life."""
        ...

    def close(self) -> None:
        """Close the connection; never raises."""
        ...

    def forget(self) -> None:
        """Give up a forked child's copy of the connection, of which the server must not notice anything."""
        ...


class Listener:
    """What one call listens to, for the length of a `with` block.

    Args:
        subscriber: Listens at the place, as `Subscriber.at` returned it.
        topics: What to listen to.
        wake: Set when it is time to look. It is held weakly: a wait that a signal handler cut short is known by its
            being gone.
        connect: Makes a feed, if this listener is the first at the place.
        owner: The connector that listens, for `dismiss`.

    Attributes:
        is_refused: Whether no notices will come: the server refuses, or the system has no thread to spare.
    """

    __slots__ = ("_subscriber", "_wake", "connect", "is_refused", "owner", "topics")

    def __init__(
        self,
        subscriber: Subscriber,
        topics: Iterable[bytes],
        wake: Settable,
        *,
        connect: Callable[[], Feed],
        owner: object,
    ) -> None:
        self._subscriber = subscriber
        self._wake = weakref.ref(wake)
        self.topics = frozenset(topics)
        self.connect = connect
        self.owner = owner
        self.is_refused = False

    def __enter__(self) -> Self:
        self._subscriber.join(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._subscriber.leave(self)

    @property
    def is_gone(self) -> bool:
        """Whether the call is over, also where it did not come to say so."""
        return self._wake() is None

    def tell(self) -> None:
        """Wake the call."""
        wake = self._wake()
        if wake is not None:
            wake.set()


class _Session:
    """One connected feed, the topics it is subscribed to, and whether it is alive."""

    __slots__ = ("_asked", "_heard_at", "_is_asked", "_pipe", "_poller", "confirmed", "feed")

    def __init__(self, feed: Feed, pipe: WakePipe) -> None:
        self.feed = feed
        self.confirmed: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._heard_at, self._is_asked = time.monotonic(), False
        self._pipe = pipe
        self._poller = select.poll()
        self._poller.register(pipe, select.POLLIN)
        self._poller.register(feed.fileno(), select.POLLIN)

    def difference(self, wanted: AbstractSet[bytes]) -> tuple[AbstractSet[bytes], AbstractSet[bytes]]:
        """Return the topics to subscribe to and those to give up, and take them as asked for."""
        new = wanted - self._asked
        # One that is not confirmed yet stays: its confirmation must not be taken for that of a later subscription.
        old = self.confirmed - wanted
        self._asked = (self._asked | new) - old
        self.confirmed -= old
        return new, old

    def receive(self, seconds: float) -> Notice | None:
        """Wait for the next notice; None if there is none in time, or the pipe is set."""
        if not self.feed.has_received():
            ready = {descriptor for descriptor, _ in self._poller.poll(1000 * seconds)}
            if self._pipe.fileno() in ready:
                self._pipe.clear()
            if self.feed.fileno() not in ready:
                self._break_silence()
                return None
        notice = self.feed.receive()
        self._heard_at, self._is_asked = time.monotonic(), False
        return notice

    def _break_silence(self) -> None:
        silence = time.monotonic() - self._heard_at
        if silence > 2 * SILENCE_SECONDS and self._is_asked:
            raise TimeoutError
        if silence > SILENCE_SECONDS and not self._is_asked:
            self.feed.ping()
            self._is_asked = True


class Subscriber:
    """Listen at one place for every call of this process that waits there: one connection and one daemon thread.

    Both begin with the first listener and outlive the last one by a second. A connection that breaks, or falls silent,
    is replaced; what was published meanwhile is lost, so a call that waits looks for itself from time to time, and
    whenever it is woken: its topics are subscribed, one was published, or the listener is refused.
    """

    __slots__ = (
        "__weakref__",
        "_by_topic",
        "_has_changed",
        "_idle_since",
        "_lingers",
        "_listeners",
        "_lock",
        "_pipe",
        "_session",
        "_thread",
    )

    def __init__(self) -> None:
        # Never held for long. Re-entrant: a signal handler may wait while its thread has it.
        self._lock = threading.RLock()
        self._listeners: set[Listener] = set()
        self._by_topic: dict[bytes, set[Listener]] = {}
        self._has_changed = False
        self._idle_since = 0.0
        self._lingers = True
        self._session: _Session | None = None
        self._thread: threading.Thread | None = None
        self._pipe: WakePipe | None = None

    @classmethod
    def at(cls, place: Hashable) -> Subscriber:
        """Return this process's subscriber at a place, whose connection all who give an equal place share."""
        known = _KNOWN.get()
        with known.lock:
            found = known.by_place.get(place)
            if found is None:
                found = known.by_place[place] = cls()
            return found

    def join(self, listener: Listener) -> None:
        """Let a listener be told."""
        thread = None
        try:
            with self._lock:
                self._listeners.add(listener)
                self._has_changed = self._lingers = True
                for topic in listener.topics:
                    self._by_topic.setdefault(topic, set()).add(listener)
                if self._session is not None and listener.topics <= self._session.confirmed:
                    listener.tell()
                elif self._thread is not None and self._pipe is not None:
                    self._pipe.set()
                else:
                    self._pipe = pipe = WakePipe()
                    thread = threading.Thread(target=self._run, args=(pipe,), name="psk-subscriber", daemon=True)
                    self._thread = thread
            # Without the lock: `start` waits for the thread, in which the garbage collector may run finalisers.
            if thread is not None:
                thread.start()
        except BaseException as error:  # an interrupt too: listeners must not rely on a thread that never starts
            with self._lock:
                if thread is None or not thread.is_alive():
                    if self._thread is thread:
                        self._end()
                    if isinstance(error, OSError | RuntimeError):  # no descriptor or no thread is available
                        self._refuse()
                        return
            raise

    def leave(self, listener: Listener) -> None:
        """Forget a listener; the thread ends its subscriptions when it wakes next."""
        with self._lock:
            self._has_changed = True
            for topic in listener.topics:
                listeners = self._by_topic.get(topic, set())
                listeners.discard(listener)
                if not listeners:
                    self._by_topic.pop(topic, None)
            self._listeners.discard(listener)
            if not self._listeners:
                self._idle_since = time.monotonic()
                if self._pipe is not None and not self._lingers:
                    self._pipe.set()

    def dismiss(self, owner: object) -> None:
        """Wake the listeners of a connector that was closed, and do not outlive the last listener."""
        # Without the lock: a finaliser may run this in any thread.
        for listener in list(self._listeners):
            if listener.owner is owner:
                listener.tell()
        self._lingers = False
        pipe = self._pipe
        if pipe is not None:
            pipe.set()

    def forget(self) -> None:
        """In a forked child: give up this process's copies of what the parent's thread uses."""
        if self._session is not None:
            self._session.feed.forget()
        if self._pipe is not None:
            self._pipe.close()

    def _end(self) -> None:
        pipe, self._pipe, self._thread = self._pipe, None, None
        if pipe is not None:
            pipe.close()

    def _run(self, pipe: WakePipe) -> None:
        """Tell the listeners, until there are none.

        An exception that nobody foresaw ends the thread and is reported by `threading.excepthook`. Then the calls that
        wait look for themselves, and the next one begins with a thread of its own.
        """
        try:
            self._stay_connected(pipe)
        finally:
            with self._lock:
                if self._pipe is pipe:  # else the thread ended as it should, and another may have begun
                    self._refuse()
                    self._end()

    def _stay_connected(self, pipe: WakePipe) -> None:
        pause = _FIRST_PAUSE
        while (listener := self._any_listener(pipe)) is not None:
            try:
                feed = listener.connect()
                del listener  # so that this thread keeps no closed connector alive
                with self._lock:
                    self._session = session = _Session(feed, pipe)
                    self._has_changed = True
                self._serve(session)
                pause = _FIRST_PAUSE
            except SubscriptionRefusedError:
                with self._lock:
                    self._refuse()
            except (OSError, PskError):
                # The calls that wait look for themselves now and then, and say what is wrong.
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                with self._lock:
                    ended, self._session = self._session, None
                if ended is not None:
                    ended.feed.close()

    def _serve(self, session: _Session) -> None:
        """Pass on what is heard; return when nobody has listened for a while."""
        new: AbstractSet[bytes]
        old: AbstractSet[bytes]
        while True:
            with self._lock:
                if not self._listeners and not self._is_worth_keeping():
                    return
                new, old = session.difference(self._by_topic.keys()) if self._has_changed else (set(), set())
                self._has_changed = False
            if new or old:
                session.feed.change(new, old)
            notice = session.receive(IDLE_SECONDS)
            with self._lock:
                if notice is not None:
                    self._pass_on(session, notice)
                else:
                    for listener in [one for one in self._listeners if one.is_gone]:
                        self.leave(listener)

    def _pass_on(self, session: _Session, notice: Notice) -> None:
        listeners = self._by_topic.get(notice.topic, ())
        if notice.is_confirmation:
            session.confirmed.add(notice.topic)
            self._has_changed = self._has_changed or not listeners
        for listener in listeners:
            if not notice.is_confirmation or listener.topics <= session.confirmed:
                listener.tell()

    def _is_worth_keeping(self) -> bool:
        return self._lingers and time.monotonic() - self._idle_since < IDLE_SECONDS

    def _refuse(self) -> None:
        for listener in list(self._listeners):
            self.leave(listener)
            listener.is_refused = True
            listener.tell()

    def _any_listener(self, pipe: WakePipe) -> Listener | None:
        """Return a listener to connect for; None if the thread ends now, because there is none, or another thread."""
        with self._lock:
            if self._pipe is pipe:
                for listener in self._listeners:
                    return listener
                self._end()
            return None


class _Known:
    """The subscribers of one process."""

    __slots__ = ("by_place", "lock")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.by_place: weakref.WeakValueDictionary[Hashable, Subscriber] = weakref.WeakValueDictionary()

    def forget(self) -> None:
        for subscriber in list(self.by_place.values()):
            subscriber.forget()


_KNOWN = PerProcess(_Known, forget=_Known.forget)


def dismiss(owner: object) -> None:
    """End the waits of a connector that was closed, and connections that outlive their last listener."""
    known = _KNOWN.get()
    with known.lock:
        subscribers = list(known.by_place.values())
    for subscriber in subscribers:
        subscriber.dismiss(owner)
