"""Which connections to one server are open, and who may use them? A bounded pool, own to each process."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from psk.connectors import deadline_error
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from psk_connector_redis.link import Link

_ASKING: Final = pack(b"ASKING")


class Pool:
    """Links to one server: at most so many, the one used last is used next.

    Args:
        dial: Makes a new link before a deadline.
        size: Most links at a time.
    """

    __slots__ = ("_dial", "_free", "_idle", "_is_closed", "_links", "_size")

    def __init__(self, dial: Callable[[float], Link], size: int) -> None:
        self._dial = dial
        self._size = size
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        self._free = threading.BoundedSemaphore(self._size)
        self._idle: list[Link] = []
        self._links: set[Link] = set()

    def borrow(self, deadline: float) -> Link:
        """Hand out a link that is alive as far as can be seen without asking; give it back with `put_back`.

        Raises:
            DeadlineError: All are in use, and time is up.
        """
        if not self._free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise deadline_error(f"waiting for one of {self._size} connections")
        try:
            while self._idle:
                try:
                    link = self._idle.pop()
                except IndexError:  # another thread was faster
                    break
                if link.is_usable():
                    return link
                self._links.discard(link)
                link.close()
            link = self._dial(deadline)
            self._links.add(link)
        except BaseException:
            self._free.release()
            raise
        return link

    def put_back(self, link: Link, *, is_sound: bool) -> None:
        """Take a link back; one that an error may have left in mid-sentence is closed."""
        if link not in self._links:
            return  # from before a fork
        if is_sound and not self._is_closed:
            self._idle.append(link)
        else:
            self._links.discard(link)
            link.close()
        self._free.release()
        if self._is_closed:
            self.close()

    def drop_idle(self) -> None:
        """Close the links that nobody uses: their server went away."""
        while self._idle:
            try:
                link = self._idle.pop()
            except IndexError:
                return
            self._links.discard(link)
            link.close()

    def close(self) -> None:
        """Close the idle links now and those in use when they come back."""
        self._is_closed = True
        self.drop_idle()

    def forget(self) -> None:
        """In a forked child: close this process's copies of the parent's descriptors, and begin anew."""
        for link in self._links:
            link.close()
        self._begin()


class Borrowed:
    """A link for the length of a `with` block. An error in it closes the connection: an answer may be due still.

    Args:
        pool: Whose link.
        deadline: When one must be there, by `time.monotonic`.
        is_asking: Whether the server is to answer for a name that is on its way to it (the next command only).
    """

    __slots__ = ("_deadline", "_is_asking", "_link", "_pool")

    def __init__(self, pool: Pool, deadline: float, *, is_asking: bool = False) -> None:
        self._pool = pool
        self._deadline = deadline
        self._is_asking = is_asking

    def __enter__(self) -> Link:
        self._link = link = self._pool.borrow(self._deadline)
        if self._is_asking:
            try:
                link.send((_ASKING,), self._deadline)
                link.reply(self._deadline)  # if it is a refusal, the next command is refused too
            except BaseException:
                self._pool.put_back(link, is_sound=False)
                raise
        return link

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.put_back(self._link, is_sound=kind is None)
        if isinstance(error, OSError | RedisError):
            # The others lead to the same server, and would each cost a call its deadline.
            self._pool.drop_idle()
