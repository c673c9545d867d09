"""When is a payload believed? If it is whole, the one asked for, and signed as it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.errors import PayloadError, SignatureError, UnsignedError
from psk.wire import find_signing_key

if TYPE_CHECKING:
    from psk.store.config import StoreConfig
    from psk.wire import Payload, Reference


class Checker:
    """Refuse what a store must not decode.

    Args:
        config: The store's options; `verify` and `signing*` matter here.
    """

    __slots__ = ("_key_name", "_verify", "signature_required")

    def __init__(self, config: StoreConfig) -> None:
        self._verify = config.verify
        self._key_name = config.signing_key
        #: Whether this store believes only what is signed.
        self.signature_required = config.signature_required

    def check(self, key: str, payload: Payload) -> None:
        """Check what a channel returned for a key, before anybody looks inside.

        Raises:
            PayloadError: It is damaged, another object, or has no checksum where one is demanded.
            UnsignedError: It is not signed where it must be.
            SignatureError: It is signed with another key than the store's, or forged.
            SigningKeyMissingError: It is signed with a key that this process does not have.
        """
        if payload.object_id.hex() != key[:32]:
            raise PayloadError(
                f"under key {key!r} stands another object, {payload.key!r}",
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
                f"object {key!r} is signed with key {payload.signed_by!r}, and this store believes {self._key_name!r}",
                remedy="open a store with that signing_key, if you trust its holders",
            )
        else:
            payload.verify_signature(find_signing_key(payload.signed_by))


def check_agreement(payload: Payload, reference: Reference) -> None:
    """Check that a payload is the one that a proxy was made for.

    Raises:
        PayloadError: The checksums differ.
        UnsignedError: The proxy is signed, and the payload is not signed with the same key.
    """
    # An updated object has its own checksum: the reference knew the first revision.
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
