"""A channel with the bare contract and the capabilities it is given, for testing patterns on it.

with known():                                     # proxies and stores of `plain://` open, here and in forked children
    store = psk.Store("plain", PlainConnector("file:///some/folder", "reserve", "wait"), register=True)
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, ClassVar

from psk.connectors import format_uri, open_connector
from psk.connectors.catalog import BUILT_IN
from psk.errors import CapabilityError

#: The methods of each power, by the name that `PlainConnector` takes.
POWERS = {
    "reserve": ("reserve", "fulfil"),
    "wait": ("wait",),
    "batch": ("put_batch", "get_batch", "exists_batch", "evict_batch"),
    "expiry": ("renew",),
    "take": ("take",),
    "swap": ("swap",),
    "range": ("get_range",),
    "list": ("keys", "clear"),
}
BARE = ("get", "exists", "evict", "close")
#: What takes a `ttl`, which a channel without expiry must refuse.
TIMED = ("put", "reserve", "fulfil", "put_batch", "swap")


class PlainConnector:
    """Keep objects in another channel, and hide what that can do beyond the contract.

    Args:
        channel: The URI of the other channel: `file://` for several processes, `local://name` (the only one that can
            swap) for one.
        *powers: Which of its powers to show: names in `POWERS`.
    """

    scheme: ClassVar[str] = "plain"
    leaves_host: bool = True

    def __init__(self, channel: str, *powers: str) -> None:
        self.channel = channel
        self.powers = tuple(sorted(powers))
        self.inner: Any = open_connector(channel)
        # On the instance: what a protocol asks for is there, or it is not.
        for name in ("put", *BARE, *(method for power in powers for method in POWERS[power])):
            setattr(self, name, self._refusing_ttl(name) if name in TIMED else getattr(self.inner, name))

    def _refusing_ttl(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def call(*args: Any, ttl: float | None = None, **options: Any) -> Any:
            if ttl is not None and "expiry" not in self.powers:
                raise CapabilityError("channel 'plain' keeps no expiry times", remedy="put without ttl=")
            return method(*args, ttl=ttl, **options)

        return call

    @property
    def durabilities(self) -> tuple[str, ...]:
        return self.inner.durabilities

    def config(self) -> dict[str, object]:
        return {"scheme": self.scheme, "channel": self.channel, "powers": ",".join(self.powers)}

    def uri(self) -> str:
        return format_uri(self.config())

    @classmethod
    def from_config(cls, config: Any) -> PlainConnector:
        return cls(config["channel"], *filter(None, config["powers"].split(",")))

    # For the catalogue, which asks the class; instances have their own.
    def put(self, *_args: Any, **_options: Any) -> Any:
        raise NotImplementedError

    get = exists = evict = close = put


@contextmanager
def known() -> Any:
    """Let `plain://` URIs open for the time of a block, so that proxies of such a store resolve."""
    BUILT_IN["plain"] = f"{__name__}:PlainConnector"
    try:
        yield
    finally:
        del BUILT_IN["plain"]
