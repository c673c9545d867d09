"""What happens between a key and its object: cache, one fetch for all who ask, checks, decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import PayloadError
from psk.singleflight import SingleFlight
from psk.store.cache import Cache
from psk.store.checking import Checker, check_agreement
from psk.store.limits import Limit, handing_on
from psk.store.pristine import Pristine
from psk.wire import Payload, decode, find_codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors import Connector, SupportsBatch
    from psk.store.config import StoreConfig
    from psk.store.limits import Limits
    from psk.wire import Frames, Reference

#: Stands for "no such object", since None is an object.
MISSING = object()


class Reader:
    """Turn keys into objects for one store.

    Args:
        connector: Where the bytes are.
        config: The store's options; `cache*`, `verify`, `signing*`, `codecs`, `trusted` and `deserializer` matter here.
    """

    def __init__(self, connector: Connector, config: StoreConfig) -> None:
        # Where fetching costs nothing there is nothing to save by keeping payloads or by sharing a fetch.
        self._in_memory: bool = getattr(connector, "in_memory", False)
        self.cache = Cache(
            config.cache_size, config.cache_bytes, payloads=not self._in_memory, objects=config.cache == "objects"
        )
        self._connector = connector
        self._checker = Checker(config)
        self._flights = SingleFlight()
        self._deserializer = config.deserializer
        self._codecs = config.codecs
        self._limits: Limits = () if config.trusted is None else (Limit(config),)
        self._shares_objects = config.cache == "objects"

    def read(self, key: str, *, deserializer: Any = None, timeout: float | None = None) -> Any:
        """Give the object of a key, or `MISSING`.

        Args:
            key: The object's key.
            deserializer: Codec name or callable to use instead of the one that the payload names.
            timeout: Seconds for the connector's call.

        Raises:
            PayloadError: What is found is damaged, or not the object asked for.
            SigningError: A signature is missing or wrong.
            ConnectorError: The channel failed.
        """
        if deserializer is None:
            deserializer = self._deserializer
        source = self.cache.get(key) if deserializer is None else None
        if source is None:
            fetch = self.fetch if self._in_memory else self._fetch_once
            source = fetch(key, None, timeout)
        return self._open(key, source, deserializer)

    def read_reference(
        self, reference: Reference, *, deserializer: Any = None, codecs: str | None = None, limits: Limits = ()
    ) -> Any:
        """Give the object that a proxy refers to, or `MISSING`; arguments and errors as of `read`.

        Args:
            reference: What the proxy knows of the object; it must agree with what is found.
            deserializer: As of `read`.
            codecs: `"raw"` narrows what may be decoded; None leaves it to the store.
            limits: What proxies found in the object must keep to, beside this store's own limit.
        """
        key = reference.key
        if deserializer is None:
            deserializer = self._deserializer
        # Where unsigned objects are believed too, one of them may be in the cache: a signed proxy wants better.
        believed = self._checker.signature_required or not reference.signed_by
        # The proxies in an object that is kept for all its users know nothing of these limits.
        usable = believed and not (limits and self._shares_objects)
        source = self.cache.get(key) if deserializer is None and usable else None
        if source is None:
            source = self._fetch_once(key, reference.nbytes, None)
        return self._open(key, source, deserializer, reference, codecs, limits)

    def read_batch(
        self, connector: SupportsBatch, keys: Sequence[str], *, default: Any, timeout: float | None
    ) -> list[Any]:
        """Give the objects of several keys, fetching together those that are not at hand."""
        kept = {key: self.cache.get(key) for key in keys}
        absent = [key for key, entry in kept.items() if entry is None]
        frames = dict(zip(absent, self.fetch_batch(connector, absent, timeout) if absent else (), strict=True))
        return [
            self.accept(key, frames[key], default)
            if kept[key] is None
            else self._open(key, kept[key], self._deserializer)
            for key in keys
        ]

    def fetch_batch(
        self, connector: SupportsBatch, keys: Sequence[str], timeout: float | None
    ) -> Sequence[Frames | None]:
        """Fetch payloads together; give them as they came, unchecked."""
        return connector.get_batch(keys, timeout=timeout)

    def accept(self, key: str, frames: Frames | None, default: Any, deserializer: Any = None) -> Any:
        """Check and decode what somebody else fetched for a key."""
        if frames is None:
            return default
        return self._open(key, self._checked(key, frames), deserializer or self._deserializer)

    def fetch(self, key: str, size: int | None, timeout: float | None) -> Any:
        """Fetch and check a payload; give it, the cache's entry made of it, or `MISSING`."""
        frames = self._connector.get(key, size=size, timeout=timeout)
        return MISSING if frames is None else self._checked(key, frames)

    def decode(self, key: str, payload: Payload, deserializer: Any, codecs: str) -> Any:
        """Decode a checked payload, and keep the object where sharing it can do no harm."""
        if deserializer is None:
            target = decode(payload, allowed=codecs)
            self.cache.keep_object(key, target, payload)
            return target
        if not callable(deserializer):
            return decode(payload, allowed=codecs, codec=find_codec(deserializer))
        encoded = b"".join(payload.frame_views())
        try:
            return deserializer(encoded)
        except Exception as error:
            raise PayloadError(
                f"deserializer {deserializer!r} failed on object {key!r}: {error!r}",
                remedy="use the deserializer that matches the serializer",
            ) from error

    def _fetch_once(self, key: str, size: int | None, timeout: float | None) -> Any:
        if self._in_memory:
            return self.fetch(key, size, timeout)
        return self._flights.run(key, self.fetch, (key, size, timeout), share=_shareable, timeout=timeout)

    def _checked(self, key: str, frames: Frames) -> Payload | Pristine:
        payload = Payload.parse(frames)
        self._checker.check(key, payload)
        return self.cache.keep_payload(key, payload) or payload

    def _open(  # noqa: PLR0917  a keyword would cost every get 40 ns
        self,
        key: str,
        source: Any,
        deserializer: Any = None,
        reference: Reference | None = None,
        codecs: str | None = None,
        limits: Limits = (),
    ) -> Any:
        if type(source) is Pristine:
            source = source.payload()
        if type(source) is not Payload:
            return source
        if reference is not None:
            check_agreement(source, reference)
        if limits or self._limits:
            return self._open_limited(key, source, deserializer, codecs or self._codecs, limits)
        return self.decode(key, source, deserializer, codecs or self._codecs)

    def _open_limited(self, key: str, payload: Payload, deserializer: Any, codecs: str, limits: Limits) -> Any:
        with handing_on((*limits, *self._limits)):
            if limits and self._shares_objects and deserializer is None:
                # Not to be kept: others may ask for it, too, whom nobody limits.
                return decode(payload, allowed=codecs)
            return self.decode(key, payload, deserializer, codecs)


def _shareable(source: Any) -> Any:
    return Pristine(source) if type(source) is Payload else source
