"""What does a proxy carry to another process? A URI, a key and a few facts, in some thirty bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from psk.errors import InvalidReferenceError, SignatureError, UnsignedError
from psk.plugins.importing import on_demand
from psk.wire.reference_body import MAC_SIZE, check_uri, crc_of, read_body, write_body

if TYPE_CHECKING:
    from psk.wire.signing import SigningKey

_MAC_CONTEXT = b"psk reference 1\0"


class Reference:
    """Say where an object is and what is known of it; treated as immutable.

    Args:
        uri: The channel's URI, printable, at most 2048 characters. It travels beside the body, so that many
            references in one pickle share it.
        key: Object id in 32 hexadecimal digits, and `@where` if the channel needs it.
        evict: Whether the object is evicted after its first resolve.
        nbytes: The payload's size in bytes, if known.
        checksum: The payload's CRC-32, if known.
        type_code: The object's type as `type_codes` numbers it; 0 if unknown.
        hash: The object's hash where it is the same in all processes.
        wait: Whether the object may not have been put yet, so that resolving waits for it.
        timeout: Seconds for which resolving waits, to the millisecond; None leaves it to the process that does.
        protocols: What the object's type can do, as `psk.proxy.protocols_of` numbers it; None if unknown.
        provider: The distribution that provides the producer's connector, if psk-core does not: for messages, and
            never used for anything else.
        signed_by: Name of the key that signed this reference; empty if nobody did.
        mac: The signature, 16 bytes.
    """

    __slots__ = (
        "checksum",
        "evict",
        "hash",
        "key",
        "mac",
        "nbytes",
        "protocols",
        "provider",
        "signed_by",
        "timeout",
        "type_code",
        "uri",
        "wait",
    )

    def __init__(
        self,
        uri: str,
        key: str,
        *,
        evict: bool = False,
        nbytes: int | None = None,
        checksum: int | None = None,
        type_code: int = 0,
        hash: int | None = None,  # noqa: A002  # the attribute's name
        wait: bool = False,
        timeout: float | None = None,
        protocols: int | None = None,
        provider: str = "",
        signed_by: str = "",
        mac: bytes = b"",
    ) -> None:
        self.uri = uri
        self.key = key
        self.evict = evict
        self.nbytes = nbytes
        self.checksum = checksum
        self.type_code = type_code
        self.hash = hash
        self.wait = wait
        self.timeout = timeout
        self.protocols = protocols
        self.provider = provider
        self.signed_by = signed_by
        self.mac = mac

    @property
    def shown_uri(self) -> str:
        """The URI for people to read: without what is, or may be, a password in it."""
        with on_demand:
            from psk.wire.masking import masked_uri

        return masked_uri(self.uri)

    def to_bytes(self) -> bytes:
        """Return the body: everything but the URI. The format is in docs/wire.md.

        Raises:
            InvalidReferenceError: A field does not fit the format.
        """
        if not self.signed_by:
            body = self._unsigned_bytes()
            return body + crc_of(self.uri, body)
        if len(self.mac) != MAC_SIZE:
            raise InvalidReferenceError(
                f"the reference to {self.key!r:.110} has no signature of {MAC_SIZE} bytes",
                remedy="use sign()",
            )
        return self._unsigned_bytes() + self.mac

    def _unsigned_bytes(self) -> bytes:
        try:
            check_uri(self.uri)
            return write_body(self)
        except (ValueError, TypeError, struct.error) as error:
            raise InvalidReferenceError(
                f"no reference can be made to key {self.key!r:.110}: {error}",
                remedy="use a key that the connector returned",
            ) from error

    @classmethod
    def from_bytes(cls, uri: str, body: bytes) -> Reference:
        """Read a reference; nothing in it is believed beyond its form.

        Args:
            uri: The URI that travelled beside the body.
            body: What `to_bytes` returned.

        Raises:
            InvalidReferenceError: Damaged, forged, of an unknown version, or longer than it should be.
        """
        try:
            check_uri(uri)
            reference = cls(uri, "")
            read_body(reference, body)
        except (ValueError, TypeError, IndexError, struct.error) as error:
            raise InvalidReferenceError(
                f"a proxy's reference cannot be read: {error}",
                remedy="it was damaged or forged, or made by a newer psk-core than is installed here",
            ) from error
        return reference

    def sign(self, key: SigningKey) -> Reference:
        """Return this reference signed: HMAC-SHA256 cut to 16 bytes (RFC 2104 section 5)."""
        signed = Reference(
            self.uri,
            self.key,
            evict=self.evict,
            nbytes=self.nbytes,
            checksum=self.checksum,
            type_code=self.type_code,
            hash=self.hash,
            wait=self.wait,
            timeout=self.timeout,
            protocols=self.protocols,
            provider=self.provider,
            signed_by=key.name,
        )
        signed.mac = key.authenticate(signed._signed_parts())[:MAC_SIZE]
        return signed

    def verify(self, key: SigningKey) -> None:
        """Check that the holder of a key made this reference, for this URI.

        Raises:
            UnsignedError: It carries no signature.
            SignatureError: Another key signed it, or it was changed since.
        """
        if not self.signed_by:
            raise UnsignedError(
                f"the reference to {self.key} is not signed", remedy="have its producer set a signing key"
            )
        if key.name != self.signed_by or len(self.mac) != MAC_SIZE or not key.matches(self.mac, self._signed_parts()):
            raise SignatureError(
                f"the reference to {self.key} does not carry a valid signature of key {key.name!r}",
                found=[f"signed by {self.signed_by!r}"],
                remedy="it was forged or changed, or producer and consumer hold different keys of that name",
            )

    def _signed_parts(self) -> tuple[bytes, ...]:
        return _MAC_CONTEXT, self.uri.encode(), b"\0", self._unsigned_bytes()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference):
            return NotImplemented
        return self.uri == other.uri and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash((self.uri, self.key))

    def __repr__(self) -> str:
        return f"Reference({self.shown_uri!r}, {self.key!r})"
