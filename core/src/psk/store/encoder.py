"""Encode objects as payloads, with the serializer, checksum and signature of a store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from psk.errors import SerializationError, SigningError
from psk.store.config import check_coder
from psk.wire import PRIVATE_CODEC, Codec, encode, find_codec, find_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.store.channel import Channel
    from psk.store.config import StoreConfig
    from psk.wire import Payload


class Encoder:
    """Encode objects for one store.

    Args:
        channel: Payloads whose bytes leave this host's memory get a checksum unless the store says otherwise.
        config: The store's options; `serializer`, `verify` and `signing*` matter here.

    Attributes:
        signing_key: What signs payloads and references, or None.

    Raises:
        CodecError: The serializer names a codec that is not registered.
        SigningKeyMissingError: This process does not have the store's signing key.
        SigningError: The store has a signing key, and believes unsigned objects nevertheless.
    """

    def __init__(self, channel: Channel, config: StoreConfig) -> None:
        self._events = channel.events
        self._codec = codec_of(config.serializer)
        self._checksum: bool = channel.connector.leaves_host if config.verify is None else config.verify
        self.signing_key = find_signing_key(config.signing_key) if config.signing_key else None
        self._signature_required = config.signing == "required" and self.signing_key is None
        if config.signing == "optional" and config.signing_key:
            raise SigningError(
                f"store {config.name!r} signs with key {config.signing_key!r}, but accepts forgeries",
                found=["signing='optional'"],
                remedy="omit signing, or set it to 'required'",
            )

    def encode(
        self,
        obj: Any,
        serializer: str | Callable[[Any], Any] | None = None,
        *,
        expires: bool = False,
        key: str | None = None,
        revision: int = 0,
    ) -> Payload:
        """Encode one object.

        Args:
            obj: The object.
            serializer: Codec name or callable for this object; None takes the store's.
            expires: The object may expire, so that receivers must not cache it.
            key: The key that was reserved for it, or whose object it replaces; None makes a new object.
            revision: 0 for a new object; one more for each version that replaces it.

        Raises:
            SerializationError: The object cannot be encoded.
            StoreConfigError: The serializer is neither a name nor a callable.
            SigningError: The store requires signatures and has no key.
        """
        if self._signature_required:
            raise SigningError(
                "this store accepts only signed objects, and has no key to sign with",
                remedy="open it with signing_key=..., or only read through it",
            )
        call = encode if self._events is None else partial(self._events.step, "store.serialize", encode)
        return call(
            obj,
            codec=self._codec if serializer is None else codec_of(serializer),
            object_id=None if key is None else bytes.fromhex(key[:32]),
            revision=revision,
            checksum=self._checksum,
            expires=expires,
            signing_key=self.signing_key,
        )


def codec_of(serializer: Any) -> Codec | None:
    """Return the codec that a serializer names, or one that encodes with it; None for None.

    Raises:
        CodecError: No codec of that name is registered.
        StoreConfigError: The serializer is neither a name nor a callable.
    """
    if serializer is None:
        return None
    if isinstance(serializer, str):
        return find_codec(serializer)
    check_coder("serializer", serializer)

    def encode_privately(obj: Any) -> tuple[memoryview]:
        try:
            return (memoryview(serializer(obj)),)
        except Exception as error:
            raise SerializationError(
                f"serializer {serializer!r} failed on an object of type {type(obj).__qualname__}: {error!r}",
                remedy="it must return bytes, bytearray or memoryview",
            ) from error

    return Codec(PRIVATE_CODEC, encode_privately, tuple)  # nobody decodes with it
