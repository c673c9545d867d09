"""What happens between a key and its object: cache, one fetch for all who ask, checks, decoding."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from psk.errors import PayloadError, UnsignedError
from psk.store.cache import Cache
from psk.store.flight import SingleFlight
from psk.store.pristine import Pristine
from psk.wire import Payload, decode, find_codec, find_signing_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors import Connector, SupportsBatch
    from psk.store.config import StoreConfig
    from psk.wire import Frames, Reference

#: Stands for "no such object", since None is an object.
MISSING = object()


class Reader:
    """Turn keys into objects for one store.

    Args:
        connector: Where the bytes are.
        config: The store's options; `cache*`, `verify`, `signing*`, `codecs` and `deserializer` matter here.
    """

    def __init__(self, connector: Connector, config: StoreConfig) -> None:
        self.cache = Cache(config.cache_size, config.cache_bytes, objects=config.cache == "objects")
        self._connector = connector
        self._flights = SingleFlight()
        self._deserializer = config.deserializer
        self._verify = config.verify
        self._codecs = config.codecs
        self._signature_required = config.signing == "required" or bool(config.signing_key)
        _readers.add(self)

    def read(
        self,
        key: str,
        *,
        reference: Reference | None = None,
        deserializer: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """Give the object of a key, or `MISSING`.

        Args:
            key: The object's key.
            reference: What a proxy knows of the object; it must agree with what is found.
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
            source = self._flights.run(key, self.fetch, (key, reference, timeout), share=_shareable, timeout=timeout)
            if source is MISSING:
                return MISSING
        return self._opened(key, source, deserializer)

    def _opened(self, key: str, source: Any, deserializer: Any = None) -> Any:
        if type(source) is Pristine:
            source = source.payload()
        return self.decode(key, source, deserializer) if type(source) is Payload else source

    def read_batch(
        self, connector: SupportsBatch, keys: Sequence[str], *, default: Any, timeout: float | None
    ) -> list[Any]:
        """Give the objects of several keys, fetching together those that are not at hand."""
        kept = {key: self.cache.get(key) for key in keys}
        absent = [key for key, entry in kept.items() if entry is None]
        frames = dict(zip(absent, connector.get_batch(absent, timeout=timeout) if absent else (), strict=True))
        return [
            self.open(key, frames[key], default) if kept[key] is None else self._opened(key, kept[key]) for key in keys
        ]

    def check(self, key: str, payload: Payload, reference: Reference | None) -> None:
        """Refuse a payload that is damaged, swapped or not signed as it must be."""
        if payload.object_id.hex() != key[:32]:
            raise PayloadError(
                f"under key {key!r} stands another object, {payload.key!r}",
                remedy="the channel was tampered with; put again",
            )
        if self._verify is not False:
            if self._verify and payload.checksum is None:
                raise PayloadError(
                    f"object {key!r} has no checksum",
                    remedy="put it with verify=True, or read with verify=None",
                )
            payload.verify()
        if payload.signed_by:
            payload.verify_signature(find_signing_key(payload.signed_by))
        elif self._signature_required:
            raise UnsignedError(f"object {key!r} is not signed", remedy="put it through a store with signing_key=...")
        if reference is not None:
            _check_reference(payload, reference)

    def fetch(self, key: str, reference: Reference | None, timeout: float | None) -> Any:
        """Fetch and check a payload; give it, the cache's entry made of it, or `MISSING`."""
        size = None if reference is None else reference.nbytes
        frames = self._connector.get(key, size=size, timeout=timeout)
        return MISSING if frames is None else self._accept(key, frames, reference)

    def _accept(self, key: str, frames: Frames, reference: Reference | None = None) -> Payload | Pristine:
        payload = Payload.parse(frames)
        self.check(key, payload, reference)
        return self.cache.keep_payload(key, payload) or payload

    def open(self, key: str, frames: Frames | None, default: Any = MISSING) -> Any:
        """Check and decode what somebody else fetched."""
        if frames is None:
            return default
        return self._opened(key, self._accept(key, frames))

    def decode(self, key: str, payload: Payload, deserializer: Any) -> Any:
        """Decode a checked payload, and keep the object where sharing it can do no harm."""
        if deserializer is None:
            target = decode(payload, allowed=self._codecs)
            self.cache.keep_object(key, target, payload)
            return target
        if callable(deserializer):
            encoded = b"".join(payload.frame_views())
            try:
                return deserializer(encoded)
            except Exception as error:
                raise PayloadError(
                    f"deserializer {deserializer!r} failed on object {key!r}: {error!r}",
                    remedy="use the deserializer that matches the serializer",
                ) from error
        return decode(payload, allowed=self._codecs, codec=find_codec(deserializer))

    def renew_locks(self) -> None:
        """Start afresh in a forked child: threads that held locks or led flights are not there."""
        self._flights = SingleFlight()
        self.cache.renew_lock()


def _shareable(source: Any) -> Any:
    return Pristine(source) if type(source) is Payload else source


def _check_reference(payload: Payload, reference: Reference) -> None:
    # An updated object has its own checksum: the reference knew the first revision.
    if reference.checksum is not None and payload.revision == 0 and payload.checksum != reference.checksum:
        raise PayloadError(
            f"object {reference.key!r} is not the one that the proxy was made for (checksums differ)",
            remedy="the channel was tampered with; put the object again",
        )
    if reference.signed_by and payload.signed_by != reference.signed_by:
        raise UnsignedError(
            f"the proxy is signed with key {reference.signed_by!r} but object {reference.key!r} is not",
            remedy="refuse it: somebody replaced the object",
        )


_readers: weakref.WeakSet[Reader] = weakref.WeakSet()


def _renew_locks_after_fork() -> None:
    for reader in list(_readers):
        reader.renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks_after_fork)
