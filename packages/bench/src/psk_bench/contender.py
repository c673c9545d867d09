"""Put, get, compare and evict one object on a channel; time the first two."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.connectors import open_connector
from psk.errors import PskError, SerializationError
from psk.wire import Payload, decode, encode

if TYPE_CHECKING:
    from psk.connectors import Frames


class WrongDataError(PskError):
    """A channel returned something else than was put."""


class Contender:
    """Use one channel as a store does that keeps nothing at hand.

    Args:
        label: What it is called in tables.
        uri: Opened here, and closed by `close`.
        timeout: Seconds one call may take; None for the channel's own.

    Raises:
        ConnectorError: It cannot be opened.
    """

    def __init__(self, label: str, uri: str, timeout: float | None) -> None:
        self.label = label
        self.uri = uri
        self._timeout = timeout
        self._placed: str | None = None
        self._connector = open_connector(uri)

    def round(self, data: bytearray) -> tuple[float, float]:
        """Put, get and evict an object; return the seconds of put and get.

        Raises:
            WrongDataError: What came back is not what was put.
            ChannelFullError: There is no room for it.
            ConnectorError: The channel failed.
        """
        connector, timeout = self._connector, self._timeout
        begin = time.perf_counter()
        payload = encode(memoryview(data), checksum=connector.leaves_host)
        self._placed = payload.key  # Ctrl-C in the middle of the put may leave it
        try:
            self._placed = key = connector.put(payload, timeout=timeout)
            put = time.perf_counter() - begin
            del payload
            begin = time.perf_counter()
            value = self._opened(connector.get(key, timeout=timeout))
            get = time.perf_counter() - begin
            if data != value:
                raise self._wrong("other bytes than were put")
        finally:
            self._evict()
        return put, get

    def close(self) -> None:
        """Close the channel, where nothing of a round stays that Ctrl-C ended, not even of its evict."""
        with suppress(PskError):
            self._evict()
        self._connector.close()

    def _evict(self) -> None:
        if self._placed is not None:
            self._connector.evict(self._placed, timeout=self._timeout)
            self._placed = None

    def _opened(self, frames: Frames | None) -> Any:
        """Do what a store does with what it fetched."""
        if frames is None:
            raise self._wrong("nothing of what was put")
        try:
            payload = Payload.parse(frames)
            payload.verify()
            return decode(payload)
        except SerializationError as error:
            raise self._wrong(str(error)) from error

    def _wrong(self, what: str) -> WrongDataError:
        return WrongDataError(f"{self.label} returned {what}", remedy=f"psk plugins check {self.uri}")
