"""Turn keys into objects: check the cache, fetch once for all who ask, check, decode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import PayloadError, SignatureError, UnsignedError
from psk.singleflight import SingleFlight
from psk.store.cache import IMMUTABLE, Cache, Snapshot
from psk.store.trust import handing_on
from psk.wire import Payload, decode, find_codec, find_signing_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.store.channel import Channel
    from psk.store.config import StoreConfig
    from psk.store.trust import Limits
    from psk.wire import Frames, Reference

#: Marks a missing object, since None is an object.
MISSING = object()


class Checker:
    """Refuse payloads that a store must not decode.

    Args:
        config: The store's options; `verify` and `signing*` matter here.
    """

    def __init__(self, config: StoreConfig) -> None:
        self._verify = config.verify
        self._key_name = config.signing_key
        #: Whether this store accepts only signed objects.
        self.signature_required = config.signature_required

    def check(self, key: str, payload: Payload) -> None:
        """Check what a channel returned for a key, before its contents are read.

        Raises:
            PayloadError: It is damaged, is a different object, or has no checksum where one is required.
            UnsignedError: It is not signed where it must be.
            SignatureError: It is signed with another key than the store's, or forged.
            SigningKeyMissingError: It is signed with a key that this process does not have.
        """
        if payload.key != key[:32]:
            raise PayloadError(
                f"key {key!r} holds a different object, {payload.key!r}",
                remedy="the channel was tampered with; put the object again",
            )
        if payload.checksum is not None:
            if self._verify is not False:
                payload.verify()
        elif self._verify:
            raise PayloadError(
                f"object {key!r} has no checksum", remedy="put it with verify=True, or read with verify=None"
            )
        if not payload.signed_by:
            if self.signature_required:
                raise UnsignedError(
                    f"object {key!r} is not signed", remedy="put it through a store with signing_key=..."
                )
        elif self._key_name is not None and payload.signed_by != self._key_name:
            raise SignatureError(
                f"object {key!r} is signed with key {payload.signed_by!r}, and this store accepts {self._key_name!r}",
                remedy="open a store with that signing_key, if you trust its holders",
            )
        else:
            payload.verify_signature(find_signing_key(payload.signed_by))


class Reader:
    """Read objects for one store.

    Args:
        channel: Where the payloads are.
        config: The store's options; `cache*`, `verify`, `signing*`, `codecs`, `trusted` and `deserializer` matter here.

    Attributes:
        cache: What was read lately.
    """

    def __init__(self, channel: Channel, config: StoreConfig) -> None:
        self._channel = channel
        self._source = channel.shortest
        self._events = channel.events
        # Where a fetch costs nothing, there is nothing to save by caching payloads or sharing fetches.
        self._in_memory = channel.in_memory
        self._shares_objects = config.cache == "objects"
        self.cache = Cache(
            config.cache_size, config.cache_bytes, payloads=not (self._in_memory or self._shares_objects)
        )
        self._cached = self.cache.entries  # to be asked without a call
        self._checker = Checker(config)
        self._flights = SingleFlight()
        self._deserializer = config.deserializer
        self._codecs = config.codecs
        self._limits: Limits = ()
        if config.trusted is not None:
            self._limits = ((config.name, config.connector, config.trusted),)

    def read(
        self,
        key: str,
        default: Any = MISSING,
        deserializer: Any = None,
        timeout: float | None = None,
        *,
        reference: Reference | None = None,
        codecs: str | None = None,
        limits: Limits = (),
    ) -> Any:
        """Return the object of a key, or `default` if there is none.

        Args:
            key: The object's key.
            default: Returned if there is no such object.
            deserializer: Codec name or callable to use instead of the one that the payload names.
            timeout: Seconds for the connector's call.
            reference: What a proxy knows of the object, which must agree with what is found.
            codecs: `"raw"` narrows what may be decoded; None leaves it to the store.
            limits: What proxies found in the object must satisfy, in addition to this store's own limit.

        Raises:
            PayloadError: What is found is damaged, or not the object asked for.
            SigningError: A signature is missing or wrong.
            ConnectorError: The channel failed.
        """
        if deserializer is None:
            deserializer = self._deserializer
        source = None
        if deserializer is None and (reference is None or self._may_use_cache(reference, limits)):
            if key in self._cached:
                source = self.cache.get(key)
            else:
                self.cache.misses += 1
        if source is None:
            size = None if reference is None else reference.nbytes
            if self._in_memory:  # as `_fetch`, without its call
                frames = self._source.get(key, size=size, timeout=timeout)
                source = MISSING if frames is None else self._checked(key, frames)
            else:
                source = self._flights.run(key, self._fetch, (key, size, timeout), share=_shareable, timeout=timeout)
        if self._events is not None and (reference is None or source is not MISSING):
            self._events.about(key)  # it may have come from the cache, or another thread may have fetched it
        if source is MISSING:
            return default
        return self._open(key, source, deserializer, reference, codecs, limits)

    def read_batch(
        self, keys: Sequence[str], *, default: Any = None, deserializer: Any = None, timeout: float | None = None
    ) -> list[Any]:
        """Return the objects of several keys, fetching together those that are not cached; errors as of `read`."""
        if deserializer is None:
            deserializer = self._deserializer
        if self._events is not None:
            self._events.about(*keys)
        cached = [self.cache.get(key) if deserializer is None else None for key in keys]
        absent = [key for key, source in zip(keys, cached, strict=True) if source is None]
        fetched = iter(self._channel.get_batch(absent, timeout=timeout) if absent else ())
        return [
            self.accept(key, next(fetched), default, deserializer)
            if source is None
            else self._open(key, source, deserializer)
            for key, source in zip(keys, cached, strict=True)
        ]

    def accept(self, key: str, frames: Frames | None, default: Any, deserializer: Any = None) -> Any:
        """Check and decode what was fetched for a key elsewhere; return `default` if nothing was."""
        if self._events is not None:
            self._events.about(key)
        if frames is None:
            return default
        if deserializer is None:
            deserializer = self._deserializer
        return self._open(key, self._checked(key, frames), deserializer)

    def _may_use_cache(self, reference: Reference, limits: Limits) -> bool:
        # A store that also accepts unsigned objects may have cached one: a signed proxy requires a signed object.
        believed = self._checker.signature_required or not reference.signed_by
        # The proxies in an object that all its users share do not have these limits.
        return believed and not (limits and self._shares_objects)

    def _fetch(self, key: str, size: int | None, timeout: float | None) -> Any:
        """Fetch and check a payload; return it, the cache entry made of it, or `MISSING`."""
        frames = self._source.get(key, size=size, timeout=timeout)
        return MISSING if frames is None else self._checked(key, frames)

    def _checked(self, key: str, frames: Frames) -> Payload | Snapshot:
        payload = Payload.parse(frames)
        if self._events is not None and (payload.checksum is not None or payload.signed_by):
            self._events.step("store.verify", self._checker.check, key, payload)
        else:  # takes next to no time
            self._checker.check(key, payload)
        if self._in_memory:
            return payload
        return self.cache.keep_payload(key, payload) or payload

    def _open(  # noqa: PLR0917  keywords would cost every get 40 ns
        self,
        key: str,
        source: Any,
        deserializer: Any = None,
        reference: Reference | None = None,
        codecs: str | None = None,
        limits: Limits = (),
    ) -> Any:
        if type(source) is Snapshot:
            source = source.payload()
        if type(source) is not Payload:
            return source
        if reference is not None:
            check_agreement(source, reference)
        decoding = self._decode_limited if limits or self._limits else self._decode
        if self._events is None:
            return decoding(key, source, deserializer, codecs or self._codecs, limits)
        step = "store.deserialize"
        return self._events.step(step, decoding, key, source, deserializer, codecs or self._codecs, limits)

    def _decode_limited(self, key: str, payload: Payload, deserializer: Any, codecs: str, limits: Limits) -> Any:
        with handing_on((*limits, *self._limits)):
            return self._decode(key, payload, deserializer, codecs, limits)

    def _decode(self, key: str, payload: Payload, deserializer: Any, codecs: str, limits: Limits) -> Any:
        if deserializer is None:
            target = decode(payload, allowed=codecs)
            # An object whose proxies have limits is not for users whose proxies have none.
            if type(target) in IMMUTABLE or (self._shares_objects and not limits):
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


def check_agreement(payload: Payload, reference: Reference) -> None:
    """Check that a payload is the one that a proxy was made for.

    Raises:
        PayloadError: The checksums differ.
        UnsignedError: The proxy is signed, and the payload is not signed with the same key.
    """
    # An updated object has its own checksum: the reference knows the first revision.
    if reference.checksum is not None and payload.revision == 0 and payload.checksum != reference.checksum:
        raise PayloadError(
            f"object {reference.key!r} is not the one that the proxy was made for: their checksums differ",
            remedy="the channel was tampered with; put the object again",
        )
    if reference.signed_by and payload.signed_by != reference.signed_by:
        raise UnsignedError(
            f"the proxy is signed with key {reference.signed_by!r}, but object {reference.key!r} is not",
            remedy="refuse it: somebody replaced the object",
        )


def _shareable(source: Any) -> Any:
    return Snapshot(source) if type(source) is Payload else source
