"""Who tells this process what has been put? One subscribed connection to each server, read by a thread for all."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from redis.exceptions import RedisError

from psk.errors import PskError
from psk_connector_redis.alarm import Alarm
from psk_connector_redis.refusal import Refusal
from psk_connector_redis.subscription import Subscription

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from psk.connectors import Wake
    from psk_connector_redis.addresses import Address
    from psk_connector_redis.server import Server

IDLE_SECONDS: Final = 1.0
"""How long the thread and its connection outlive the last wait."""

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5

# One for all, never held for long. Re-entrant: a signal handler may wait while its thread has it.
_lock = threading.RLock()
_subscribers: weakref.WeakValueDictionary[tuple[Hashable, Address], Subscriber] = weakref.WeakValueDictionary()


class Waiter:
    """What one wait listens to at one server, a context manager.

    Args:
        server: The servers of the waiting connector.
        name: A Redis name that the one in question holds: where it is put, there it is published first.
        address: Which one that is; who waits at the same address shares a connection.
        channels: What to listen to.
        wake: Set when it is time to look: the channels are subscribed, something was published, or it is over. Only
            who waits holds it: a wait that a signal handler cut short is known by its being gone.

    Attributes:
        is_refused: Whether nobody will tell: looking again and again is all that is left.
    """

    __slots__ = ("_address", "_subscriber", "_wake", "channels", "is_refused", "name", "server")

    def __init__(self, server: Server, name: bytes, *, address: Address, channels: Iterable[bytes], wake: Wake) -> None:
        self.server = server
        self.name = name
        self._address = address
        self.channels = frozenset(channels)
        self._wake = weakref.ref(wake)
        self.is_refused = False

    def __enter__(self) -> Self:
        place = (self.server.identity, self._address)
        with _lock:
            subscriber = _subscribers.get(place)
            if subscriber is None:
                subscriber = _subscribers[place] = Subscriber()
            self._subscriber = subscriber
            subscriber.join(self)
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            self._subscriber.leave(self)

    @property
    def is_gone(self) -> bool:
        """Whether the wait is over, also where it did not come to say so."""
        return self._wake() is None

    def tell(self) -> None:
        """Let who waits look."""
        wake = self._wake()
        if wake is not None:
            wake.set()


class Subscriber:
    """Everybody in this process who waits at one server. Called with the lock held, but for `run`."""

    __slots__ = (
        "__weakref__",
        "_alarm",
        "_by_channel",
        "_has_changed",
        "_idle_since",
        "_lingers",
        "_subscription",
        "_thread",
        "_waiters",
    )

    def __init__(self) -> None:
        self._waiters: set[Waiter] = set()
        self._by_channel: dict[bytes, set[Waiter]] = {}
        self._has_changed = False
        self._idle_since = 0.0
        self._lingers = True
        self._subscription: Subscription | None = None
        self._thread: threading.Thread | None = None
        self._alarm: Alarm | None = None

    def join(self, waiter: Waiter) -> None:
        """Let a waiter be told."""
        self._waiters.add(waiter)
        self._has_changed = self._lingers = True
        for channel in waiter.channels:
            self._by_channel.setdefault(channel, set()).add(waiter)
        if self._subscription is not None and waiter.channels <= self._subscription.heard:
            waiter.tell()
        elif self._alarm is not None and self._thread is not None and self._thread.is_alive():
            self._alarm.ring()
        else:
            try:
                self._start()
            except (OSError, RuntimeError):  # no descriptor or no thread is to be had
                self._refuse()

    def leave(self, waiter: Waiter) -> None:
        """Forget a waiter; the thread ends its subscriptions when it wakes next."""
        self._has_changed = True
        for channel in waiter.channels:
            waiters = self._by_channel.get(channel, set())
            waiters.discard(waiter)
            if not waiters:
                self._by_channel.pop(channel, None)
        self._waiters.discard(waiter)
        if not self._waiters:
            self._idle_since = time.monotonic()
            if self._alarm is not None and not self._lingers:
                self._alarm.ring()

    def dismiss(self, server: Server) -> None:
        """Wake those who wait at a server that was closed, and do not linger for anybody."""
        for waiter in self._waiters:
            if waiter.server is server:
                waiter.tell()
        self._lingers = False
        if self._alarm is not None:
            self._alarm.ring()

    def forget(self) -> None:
        """In a forked child: close this process's copies of what the parent's thread uses."""
        if self._subscription is not None:
            self._subscription.link.close()
        if self._alarm is not None:
            self._alarm.close()

    def run(self, alarm: Alarm) -> None:
        """Tell those who wait, until nobody does.

        An exception that nobody foresaw ends the thread and is reported by `threading.excepthook`. Then those who
        wait look for themselves, and the next wait begins with a thread of its own.
        """
        try:
            self._stay_connected(alarm)
        finally:
            with _lock:
                if self._alarm is alarm:  # else the thread ended as it should, and another may have begun
                    self._refuse()
                    self._end()

    def _stay_connected(self, alarm: Alarm) -> None:
        """Keep a subscribed connection as long as somebody waits, or has waited just now."""
        pause = _FIRST_PAUSE
        while (waiter := self._somebody()) is not None:
            try:
                link = waiter.server.connect(waiter.name, time.monotonic() + waiter.server.settings.connect_timeout)
                del waiter  # so that this thread keeps no closed connector alive
                with _lock:
                    self._subscription = subscription = Subscription(link, alarm)
                    self._has_changed = True
                self._serve(subscription)
                pause = _FIRST_PAUSE
            except Refusal:
                with _lock:
                    self._refuse()
            except (OSError, RedisError, PskError):
                # Those who wait look for themselves now and then, and say what is wrong.
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                self._hang_up()

    def _serve(self, subscription: Subscription) -> None:
        """Pass on what is heard; return when nobody has waited for a while."""
        while True:
            with _lock:
                if not subscription.is_possible:
                    self._refuse()
                if not self._waiters and not self._is_worth_keeping():
                    return
                orders = subscription.orders(self._by_channel.keys()) if self._has_changed else []
                self._has_changed = False
            subscription.send(orders)
            message = subscription.listen(IDLE_SECONDS)
            with _lock:
                if message is not None:
                    self._pass_on(subscription, *message)
                else:
                    self._forget_the_gone()

    def _pass_on(self, subscription: Subscription, kind: bytes, channel: bytes) -> None:
        waiters = self._by_channel.get(channel, ())
        if kind == b"message":
            for waiter in waiters:
                waiter.tell()
        elif kind == b"subscribe":
            subscription.heard.add(channel)
            self._has_changed = self._has_changed or not waiters
            for waiter in waiters:
                if waiter.channels <= subscription.heard:
                    waiter.tell()

    def _forget_the_gone(self) -> None:
        for waiter in [one for one in self._waiters if one.is_gone]:
            self.leave(waiter)

    def _is_worth_keeping(self) -> bool:
        return self._lingers and time.monotonic() - self._idle_since < IDLE_SECONDS

    def _refuse(self) -> None:
        """Leave everybody to himself."""
        for waiter in list(self._waiters):
            self.leave(waiter)
            waiter.is_refused = True
            waiter.tell()

    def _start(self) -> None:
        self._alarm = alarm = Alarm()
        self._thread = threading.Thread(target=self.run, args=(alarm,), name="psk-redis-subscriber", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._end()
            raise

    def _end(self) -> None:
        alarm, self._alarm, self._thread = self._alarm, None, None
        if alarm is not None:
            alarm.close()

    def _somebody(self) -> Waiter | None:
        """Give one who waits, to connect for; None if the thread ends now, because nobody does."""
        with _lock:
            for waiter in self._waiters:
                return waiter
            self._end()
            return None

    def _hang_up(self) -> None:
        with _lock:
            subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(OSError, RedisError):
                subscription.link.close()


def dismiss(server: Server) -> None:
    """End the waits at servers that were closed, and connections that linger for their sake."""
    with _lock:
        for (identity, _), subscriber in list(_subscribers.items()):
            if identity == server.identity:
                subscriber.dismiss(server)


def _continue_in_child() -> None:
    global _lock  # noqa: PLW0603  another thread may have held it at the fork
    _lock = threading.RLock()
    for subscriber in list(_subscribers.values()):
        subscriber.forget()
    _subscribers.clear()


os.register_at_fork(after_in_child=_continue_in_child)
