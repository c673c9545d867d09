"""What has one connection subscribed to, and is it still alive? Orders that bring it up to date, and what it hears."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Final

from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from psk_connector_redis.alarm import Alarm
    from psk_connector_redis.link import Link

SILENCE_SECONDS: Final = 2.0
"""After how long a silence the server is asked whether it is there; as long again, and the connection is dead."""

ANSWER_SECONDS: Final = 5.0
"""How long sending may take, and receiving the rest of a message."""


class Subscription:
    """A connection of its own, used by one thread.

    Args:
        link: The connection; one whose `fileno` is None cannot be listened to.
        alarm: What else ends the wait for a message.

    Attributes:
        heard: Channels of which the server has confirmed that they are subscribed.
    """

    __slots__ = ("_alarm", "_asked", "_descriptor", "_has_asked", "_heard_at", "_poller", "heard", "link")

    def __init__(self, link: Link, alarm: Alarm) -> None:
        self.link = link
        self.heard: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._alarm = alarm
        self._descriptor = link.fileno()
        self._heard_at, self._has_asked = time.monotonic(), False
        self._poller = select.poll()
        self._poller.register(alarm.descriptor, select.POLLIN)
        if self._descriptor is not None:
            self._poller.register(self._descriptor, select.POLLIN)

    @property
    def is_possible(self) -> bool:
        """Whether this connection can be listened to."""
        return self._descriptor is not None

    def orders(self, wanted: AbstractSet[bytes]) -> list[bytes]:
        """Write the commands after which exactly these channels are subscribed, and take them as sent."""
        new = wanted - self._asked
        # One that is not confirmed yet stays: its confirmation must not be taken for that of a later subscription.
        old = self.heard - wanted
        self._asked |= new
        self._asked -= old
        self.heard -= old
        orders = []
        if old:
            orders.append(pack(b"UNSUBSCRIBE", *old))
        if new:
            orders.append(pack(b"SUBSCRIBE", *new))
        return orders

    def send(self, orders: list[bytes]) -> None:
        """Send commands."""
        if orders:
            self.link.send(orders, time.monotonic() + ANSWER_SECONDS)

    def listen(self, seconds: float) -> tuple[bytes, bytes] | None:
        """Wait for the next message: its kind and its channel; None if there is none in time, or the alarm rings.

        Raises:
            TimeoutError: The server is silent and does not answer.
            Refusal: It does not let this user subscribe.
            GarbledError: What it says is no message.
        """
        if not self.link.has_received():
            ready = {number for number, _ in self._poller.poll(1000 * seconds)}
            if self._alarm.descriptor in ready:
                self._alarm.silence()
            if self._descriptor not in ready:
                self._break_silence()
                return None
        answer = self.link.reply(time.monotonic() + ANSWER_SECONDS)
        self._heard_at, self._has_asked = time.monotonic(), False
        if isinstance(answer, Refusal):
            raise answer
        if not isinstance(answer, list) or len(answer) <= 2:  # noqa: PLR2004  kind, channel and more; a pong has less
            return None
        kind, channel = answer[:2]
        if isinstance(kind, bytes) and isinstance(channel, bytes | None):
            return kind, channel or b""  # None when the last one is no longer subscribed
        raise GarbledError("a message of no channel")

    def _break_silence(self) -> None:
        silence = time.monotonic() - self._heard_at
        if silence > 2 * SILENCE_SECONDS and self._has_asked:
            raise TimeoutError
        if silence > SILENCE_SECONDS and not self._has_asked:
            self.send([pack(b"PING")])
            self._has_asked = True
