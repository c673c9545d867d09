"""Listen to notices of a server in one thread, and wake the calls that wait for them."""

from __future__ import annotations

import select
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from psk.connectors.waiting import WakePipe
from psk.errors import PskError
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from psk.connectors.watching import Settable

IDLE_SECONDS: Final = 1.0
"""Seconds after which the thread and its connection end if nothing happens and nobody listens."""

SILENCE_SECONDS: Final = 2.0
"""After how long a silence the server is asked whether it is there; as long again, and the connection is dead."""

PAUSE_SECONDS: Final = 0.1
"""Seconds between a connection that broke and the next one."""


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

    def change(self, new: AbstractSet[bytes], old: AbstractSet[bytes]) -> None:
        """Subscribe to new topics, and end the subscription of old ones."""
        ...

    def receive(self) -> Iterable[Notice]:
        """Return the notices among all that has arrived, so that the descriptor tells of everything else."""
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
        subscriber: Listens for it.
        topics: What to listen to, one topic at least.
        wake: Set when it is time to look. It is held weakly: a wait that a signal handler cut short is known by its
            being gone.

    Attributes:
        wake: A weak reference to it.
        is_refused: Whether no notices will come: the server refuses, or the system has no thread to spare.
    """

    __slots__ = ("_subscriber", "is_refused", "topics", "wake")

    def __init__(self, subscriber: Subscriber, topics: Iterable[bytes], wake: Settable) -> None:
        self._subscriber = subscriber
        self.wake = weakref.ref(wake)
        self.topics = frozenset(topics)
        self.is_refused = False

    def __enter__(self) -> Self:
        self._subscriber.join(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._subscriber.leave(self)

    def tell(self) -> None:
        """Wake the call."""
        wake = self.wake()
        if wake is not None:
            wake.set()


class _Session:
    """One connected feed, the topics it is subscribed to, and whether it is alive."""

    def __init__(self, feed: Feed, pipe: WakePipe) -> None:
        self.feed = feed
        self.confirmed: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._heard_at = time.monotonic()
        self._is_pinged = False
        self._pipe = pipe
        self._poller = select.poll()
        self._poller.register(pipe, select.POLLIN)
        self._poller.register(feed.fileno(), select.POLLIN)

    def listen_to(self, topics: AbstractSet[bytes]) -> None:
        """Subscribe to exactly these topics."""
        new = topics - self._asked
        # One that is not confirmed yet stays: its confirmation must not be taken for that of a later subscription.
        old = self.confirmed - topics
        self._asked = (self._asked | new) - old
        self.confirmed -= old
        if new or old:
            self.feed.change(new, old)

    def receive(self, seconds: float) -> Iterable[Notice] | None:
        """Wait for notices; return none if the pipe is set, and None if nothing happens in time."""
        ready = {descriptor for descriptor, _ in self._poller.poll(1000 * seconds)}
        if self._pipe.fileno() in ready:
            self._pipe.clear()
        if self.feed.fileno() in ready:
            self._heard_at, self._is_pinged = time.monotonic(), False
            return self.feed.receive()
        silence = time.monotonic() - self._heard_at
        if self._is_pinged and silence > 2 * SILENCE_SECONDS:
            raise TimeoutError
        if not self._is_pinged and silence > SILENCE_SECONDS:
            self.feed.ping()
            self._is_pinged = True
        return () if ready else None


class Subscriber:
    """Listen to one server for all calls of a connector that wait: by one connection and one daemon thread.

    Both begin with the first listener, and end a second after the last one. A connection that breaks, or falls silent,
    is replaced; what was published meanwhile is lost, so a call that waits looks for itself from time to time, and
    whenever it is woken: its topics are subscribed, one was published, the listener is refused, or the connector was
    closed. A forked child listens for itself.

    Args:
        connect: Makes a feed; called with one of the topics, by which to find its server.
    """

    def __init__(self, connect: Callable[[bytes], Feed]) -> None:
        self._connect = connect
        self._is_closed = False
        self._begin()
        after_fork_in_child(self, Subscriber._continue_in_child)

    def _begin(self) -> None:
        # Never held for long. Re-entrant: a signal handler may wait while its thread has it.
        self._lock = threading.RLock()
        self._listeners: set[Listener] = set()
        self._by_topic: dict[bytes, set[Listener]] = {}
        self._has_changed = False
        self._session: _Session | None = None
        self._pipe: WakePipe | None = None  # of the thread, while there is one

    def join(self, listener: Listener) -> None:
        """Let a listener be told."""
        with self._lock:
            self._listeners.add(listener)
            for topic in listener.topics:
                self._by_topic.setdefault(topic, set()).add(listener)
            self._has_changed = True
            pipe = self._pipe
            if self._is_closed or (self._session is not None and listener.topics <= self._session.confirmed):
                listener.tell()
        if pipe is not None:
            pipe.set()
            return
        try:
            # Without the lock: `start` waits for the thread, in which the garbage collector may run finalisers.
            threading.Thread(target=self._run, args=(WakePipe(),), name="psk-subscriber", daemon=True).start()
        except (OSError, RuntimeError):  # no descriptor or no thread is available
            self._refuse()

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

    def close(self) -> None:
        """Wake all listeners, since their connector was closed; without listeners, end the connection at once."""
        # Without the lock: a finaliser may run this in any thread.
        self._is_closed = True
        for listener in list(self._listeners):
            listener.tell()
        pipe = self._pipe
        if pipe is not None:
            pipe.set()

    def _continue_in_child(self) -> None:
        session, pipe = self._session, self._pipe
        self._begin()
        if session is not None:
            session.feed.forget()
        if pipe is not None:
            pipe.close()

    def _run(self, pipe: WakePipe) -> None:
        """Tell the listeners, until there are none.

        An exception that nobody foresaw ends the thread and is reported by `threading.excepthook`. Then the calls that
        wait look for themselves, and the next one begins with a thread of its own.
        """
        with self._lock:
            if self._pipe is not None:
                return  # two calls started a thread at once
            self._pipe = pipe
        try:
            self._stay_connected(pipe)
        finally:
            with self._lock:
                if self._pipe is pipe:  # else the thread ended as it should, and another may have begun
                    self._pipe = None
                    self._refuse()
            pipe.close()

    def _stay_connected(self, pipe: WakePipe) -> None:
        while True:
            with self._lock:
                topic = next(iter(self._by_topic), None)
                if topic is None:
                    self._pipe = None  # the next listener starts another thread
                    return
            try:
                session = _Session(self._connect(topic), pipe)
                with self._lock:
                    self._session = session
                    self._has_changed = True
                self._serve(session)
            except SubscriptionRefusedError:
                self._refuse()
            except (OSError, PskError):
                # The calls that wait look for themselves now and then, and say what is wrong.
                time.sleep(PAUSE_SECONDS)
            finally:
                with self._lock:
                    ended, self._session = self._session, None
                if ended is not None:
                    ended.feed.close()

    def _serve(self, session: _Session) -> None:
        """Pass on what is heard; return when nobody listens any more."""
        while True:
            with self._lock:
                topics = set(self._by_topic) if self._has_changed else None
                self._has_changed = False
            if topics is not None:
                session.listen_to(topics)
            notices = session.receive(IDLE_SECONDS)
            with self._lock:
                for notice in notices or ():
                    self._pass_on(session, notice)
                if not notices:
                    # A call that a signal handler cut short has not come to say that it is over.
                    for listener in [each for each in self._listeners if each.wake() is None]:
                        self.leave(listener)
                if not self._listeners and (notices is None or self._is_closed):
                    return

    def _pass_on(self, session: _Session, notice: Notice) -> None:
        listeners = self._by_topic.get(notice.topic, ())
        if notice.is_confirmation:
            session.confirmed.add(notice.topic)
            self._has_changed = self._has_changed or not listeners
        for listener in listeners:
            if not notice.is_confirmation or listener.topics <= session.confirmed:
                listener.tell()

    def _refuse(self) -> None:
        with self._lock:
            for listener in list(self._listeners):
                self.leave(listener)
                listener.is_refused = True
                listener.tell()
