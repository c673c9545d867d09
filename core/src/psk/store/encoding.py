"""How does a store turn an object into a payload?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import SerializationError, SigningError
from psk.store.arguments import check_coder
from psk.wire import PRIVATE_CODEC, Payload, encode, find_codec, find_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors import Connector
    from psk.store.config import StoreConfig


class Encoder:
    """Encode objects with a store's serializer, checksum and signature.

    Args:
        connector: Payloads whose bytes leave this host's memory get a checksum unless the store says otherwise.
        config: The store's options; `serializer`, `verify` and `signing*` matter here.

    Raises:
        CodecError: The serializer names a codec that is not registered.
        SigningKeyMissingError: The store's signing key is not in this process's key sources.
        SigningError: Signatures are required of a store that has no key to sign with.
    """

    def __init__(self, connector: Connector, config: StoreConfig) -> None:
        self._serializer = config.serializer
        if isinstance(config.serializer, str):
            find_codec(config.serializer)  # an unknown one is an error now, not at the first put
        self._checksum = connector.leaves_host if config.verify is None else config.verify
        self.signing_key = find_signing_key(config.signing_key) if config.signing_key else None
        self._signature_required = config.signing == "required"
        if config.signing == "optional" and config.signing_key:
            raise SigningError(
                f"store {config.name!r} signs with key {config.signing_key!r}, but signing='optional' takes forgeries",
                remedy="leave signing away, or set it to 'required'",
            )

    def encode(
        self,
        obj: Any,
        serializer: str | Callable[[Any], Any] | None,
        *,
        expires: bool = False,
        object_id: bytes | None = None,
        revision: int = 0,
    ) -> Payload:
        """Encode one object.

        Args:
            obj: The object.
            serializer: Codec name or callable for this object; None takes the store's.
            expires: The object may vanish by itself, so receivers must not keep it in a cache.
            object_id: 16 bytes that were reserved for it; None makes new ones.
            revision: 0 for a new object; one more for each version that takes its place.

        Raises:
            SerializationError: The object cannot be encoded.
            StoreConfigError: The serializer is not one.
            SigningError: The store requires signatures and has no key.
        """
        if self._signature_required and self.signing_key is None:
            raise SigningError(
                "this store believes only what is signed, and has no key to sign with",
                remedy="open it with signing_key=..., or only read through it",
            )
        check_coder("serializer", serializer)
        chosen = self._serializer if serializer is None else serializer
        options: dict[str, Any] = {
            "checksum": self._checksum,
            "signing_key": self.signing_key,
            "expires": expires,
            "object_id": object_id,
            "revision": revision,
        }
        if chosen is None or isinstance(chosen, str):
            return encode(obj, codec=chosen, **options)
        try:
            frame = memoryview(chosen(obj))
        except Exception as error:
            raise SerializationError(
                f"serializer {chosen!r} failed on an object of type {type(obj).__qualname__}: {error!r}",
                remedy="it must return bytes, bytearray or memoryview",
            ) from error
        return Payload.build(PRIVATE_CODEC, [frame], **options)
