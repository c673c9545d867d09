"""How does a file connector wait for objects? Told by the kernel on local file systems; by looking elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.connectors.file.objects import is_present
from psk.errors import ChannelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.file.channel import Channel
    from psk.connectors.file.directory import Directory
    from psk.connectors.file.expiry import Clock

GRACE_SECONDS: Final = 1.0
"""How long the directory may be missing during a wait: who cleared it by removing it makes it again."""


def await_objects(channel: Channel, names: Sequence[str], deadline: float) -> list[str]:
    """Wait until at least one of several objects is there.

    Args:
        channel: The directory.
        names: The objects.
        deadline: When to look for the last time, by `time.monotonic`.

    Returns:
        Those that are there, in their order; empty if none was in time.

    Raises:
        ChannelUnavailableError: The directory was removed and not made again.
        ConnectorClosedError: The connector was closed.
    """
    look = _Look(channel, deadline)
    if not channel.directory().is_local:
        # Another host's changes are told to nobody here.
        from psk.connectors.waiting import poll

        return poll(lambda: look(names), deadline)
    from psk.connectors.arrivals import await_names

    return await_names(channel, names, look=look, place=channel.directory, deadline=deadline)


class _Look:
    """Look which objects are there, for one wait."""

    __slots__ = ("_channel", "_deadline", "_missing_since")

    def __init__(self, channel: Channel, deadline: float) -> None:
        self._channel = channel
        self._deadline = deadline
        self._missing_since: float | None = None

    def __call__(self, names: Sequence[str]) -> list[str]:
        try:
            found = self._channel.run("look into", _present, names, self._channel.clock)
        except ChannelUnavailableError as error:
            now = time.monotonic()
            if self._missing_since is None:
                self._missing_since = now
            over = min(self._missing_since + GRACE_SECONDS, self._deadline)
            if now >= over or not isinstance(error.__cause__, FileNotFoundError):
                raise
            return []
        self._missing_since = None
        return found


def _present(directory: Directory, names: Sequence[str], clock: Clock) -> list[str]:
    return [name for name in names if is_present(directory, name, clock)]
