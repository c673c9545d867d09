"""Write and read references: what a pickled proxy carries. docs/wire.md defines the bytes."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING
from zlib import crc32

from psk.errors import InvalidReferenceError
from psk.plugins.importing import on_demand
from psk.wire.signing import is_signing_key_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.wire.signing import SigningKey

_MAC_CONTEXT = b"psk reference 1\0"
_MAC_SIZE = 16
_VERSION = 1
_NBYTES, _CHECKSUM, _HASH, _WHERE, _SIGNED, _EVICT, _WAIT, _PROTOCOLS, _PROVIDER, _TIMEOUT = (
    1 << bit for bit in range(10)
)
_KNOWN_FLAGS = (1 << 10) - 1
_FIXED = struct.Struct("<BHB16s")
_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")
_MAXIMUM_URI = 2048
_ID_DIGITS = 32
_MAXIMUM_NBYTES = 1 << 63
_LONGEST_WAIT = 3_200_000_000_000
"""Milliseconds: about a century, as of every other time."""
_is_where = re.compile(r"[A-Za-z0-9._~@:+-]{1,63}").fullmatch
is_distribution_name = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?").fullmatch


class Reference:
    """Locate an object and state what is known of it; treated as immutable.

    Args:
        uri: The channel's URI, printable, at most 2048 characters. It is sent beside the body, so that many
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
        signed_by: Name of the key that signed this reference; empty if it is not signed.
        mac: The signature, 16 bytes.
    """

    __slots__ = (
        *("uri", "key", "evict", "nbytes", "checksum", "type_code", "hash", "wait", "timeout", "protocols"),
        *("provider", "signed_by", "mac"),
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
            from psk.credentials import masked_uri

        return masked_uri(self.uri)

    def to_bytes(self) -> bytes:
        """Return the body: everything but the URI.

        Raises:
            InvalidReferenceError: A field does not fit the format.
        """
        body = self._unsigned_bytes()
        if not self.signed_by:
            return body + _U32.pack(crc32(body, _crc_of_uri(self.uri)))
        if len(self.mac) != _MAC_SIZE:
            raise InvalidReferenceError(
                f"the reference to {self.key!r:.110} has no signature of {_MAC_SIZE} bytes",
                remedy="use sign()",
            )
        return body + self.mac

    def _unsigned_bytes(self) -> bytes:
        try:
            _crc_of_uri(self.uri)
            return _write(self)
        except (ValueError, TypeError, struct.error) as error:
            raise InvalidReferenceError(
                f"a reference cannot be made to key {self.key!r:.110}: {error}",
                remedy="use a key that the connector returned",
            ) from error

    @classmethod
    def from_bytes(cls, uri: str, body: bytes) -> Reference:
        """Read a reference and check its form; its contents are not trusted.

        Args:
            uri: The URI that was sent beside the body.
            body: What `to_bytes` returned.

        Raises:
            InvalidReferenceError: Damaged, forged, of an unknown version, or longer than it should be.
        """
        try:
            _crc_of_uri(uri)
            reference = cls(uri, "")
            _read(reference, body)
        except (ValueError, TypeError, IndexError, struct.error) as error:
            raise InvalidReferenceError(
                f"a proxy's reference cannot be read: {error}",
                remedy="it was damaged or forged, or made by a newer psk-core than is installed here",
            ) from error
        return reference

    def sign(self, key: SigningKey) -> Reference:
        """Return this reference signed: HMAC-SHA256 cut to 16 bytes (RFC 2104 section 5)."""
        signed = object.__new__(Reference)
        for name in Reference.__slots__:
            setattr(signed, name, getattr(self, name))
        signed.signed_by = key.name
        signed.mac = key.authenticate(signed._signed_parts())[:_MAC_SIZE]
        return signed

    def verify(self, key: SigningKey) -> None:
        """Check that the holder of a key made this reference, for this URI.

        Raises:
            UnsignedError: It carries no signature.
            SignatureError: Another key signed it, or it was changed since.
        """
        key.verify(f"the reference to {self.key}", self.signed_by, self.mac, _MAC_SIZE, self._signed_parts())

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


def _write(reference: Reference) -> bytes:
    """Return a reference's body without the signature or checksum that ends it."""
    flags, fields = _write_facts(reference)
    object_id, where = _split_key(reference.key)
    if where:
        flags |= _WHERE
        fields += _write_text(where)
    if reference.evict:
        flags |= _EVICT
    if reference.wait:
        flags |= _WAIT
        if reference.timeout is not None:
            flags |= _TIMEOUT
            milliseconds = round(reference.timeout * 1000)
            if milliseconds > _LONGEST_WAIT:
                raise ValueError(f"{reference.timeout} s is too long to wait")
            fields += _write_varint(milliseconds)
    if reference.signed_by:
        flags |= _SIGNED
        fields += _write_text(reference.signed_by)
    return _FIXED.pack(_VERSION, flags, reference.type_code, object_id) + fields


def _write_facts(reference: Reference) -> tuple[int, bytes]:
    flags = 0
    facts = b""
    if reference.nbytes is not None:
        flags = _NBYTES
        facts = _write_varint(reference.nbytes)
    if reference.checksum is not None:
        flags |= _CHECKSUM
        facts += _U32.pack(reference.checksum)
    if reference.hash is not None:
        flags |= _HASH
        facts += _I64.pack(reference.hash)
    if reference.protocols is not None:
        flags |= _PROTOCOLS
        facts += _write_varint(reference.protocols)
    if reference.provider:
        flags |= _PROVIDER
        if not is_distribution_name(reference.provider):
            raise ValueError(f"{reference.provider!r:.80} is not the name of a distribution")
        facts += _write_text(reference.provider)
    return flags, facts


def _split_key(key: str) -> tuple[bytes, str]:
    digits, where = key, ""
    if len(key) > _ID_DIGITS:
        digits, mark, where = key[:_ID_DIGITS], key[_ID_DIGITS], key[_ID_DIGITS + 1 :]
        if mark != "@" or not _is_where(where):
            raise ValueError("a key is <32 hexadecimal digits> or <32 hexadecimal digits>@<where>")
    object_id = bytes.fromhex(digits)
    if len(digits) != _ID_DIGITS or object_id.hex() != digits:  # fromhex also takes capitals and spaces
        raise ValueError("a key begins with 32 lower-case hexadecimal digits")
    return object_id, where


def _read(reference: Reference, body: bytes) -> None:
    """Fill in a reference from its body; every byte must be accounted for."""
    if type(body) is not bytes:
        raise TypeError(f"its body is {type(body).__name__}, not bytes")
    version, flags, reference.type_code, object_id = _FIXED.unpack_from(body)
    if version != _VERSION or flags & ~_KNOWN_FLAGS:
        raise ValueError(f"version {version} with flags {flags:#x} is not known here, where version is {_VERSION}")
    reference.key = object_id.hex()
    reference.evict = flags & _EVICT != 0
    reference.wait = flags & _WAIT != 0
    at = _read_facts(reference, flags, body)
    if flags & _WHERE:
        where, at = _read_text(body, at, _is_where)
        reference.key += f"@{where}"
    if flags & _TIMEOUT:
        milliseconds, at = _read_varint(body, at)
        if not (reference.wait and milliseconds <= _LONGEST_WAIT):
            raise ValueError(f"its time to wait of {milliseconds} ms is out of range, or there is nothing to wait for")
        reference.timeout = milliseconds / 1000
    at = (_read_signature if flags & _SIGNED else _check_crc)(reference, body, at)
    if at != len(body):
        raise ValueError(f"it is cut off, or {len(body) - at} bytes follow its end")


def _read_facts(reference: Reference, flags: int, body: bytes) -> int:
    at = _FIXED.size
    if flags & _NBYTES:
        reference.nbytes, at = _read_varint(body, at)
    if flags & _CHECKSUM:
        (reference.checksum,) = _U32.unpack_from(body, at)
        at += 4
    if flags & _HASH:
        (reference.hash,) = _I64.unpack_from(body, at)
        at += 8
    if flags & _PROTOCOLS:
        reference.protocols, at = _read_varint(body, at)
    if flags & _PROVIDER:
        reference.provider, at = _read_text(body, at, is_distribution_name)
    return at


def _read_signature(reference: Reference, body: bytes, at: int) -> int:
    reference.signed_by, at = _read_text(body, at, is_signing_key_name)
    reference.mac = body[at : at + _MAC_SIZE]
    return at + _MAC_SIZE


def _check_crc(reference: Reference, body: bytes, at: int) -> int:
    if _U32.unpack_from(body, at)[0] != crc32(body[:at], _crc_of_uri(reference.uri)):
        raise ValueError("its checksum does not match")
    return at + _U32.size


@lru_cache(maxsize=128)
def _crc_of_uri(uri: str) -> int:
    """Return the CRC-32 of a URI, with which that of an unsigned body begins; refuse a URI that no store writes."""
    if type(uri) is not str or not 0 < len(uri) <= _MAXIMUM_URI or not uri.isprintable():
        raise ValueError(f"its URI is not printable text of at most {_MAXIMUM_URI} characters")
    return crc32(uri.encode() + b"\0")


def _write_text(text: str) -> bytes:
    encoded = text.encode("ascii")
    return bytes((len(encoded),)) + encoded


def _read_text(body: bytes, at: int, is_valid: Callable[[str], object]) -> tuple[str, int]:
    end = at + 1 + body[at]
    text = body[at + 1 : end].decode("ascii")
    if not is_valid(text):
        raise ValueError(f"a name in it, {text!r:.80}, is malformed")
    return text, end


def _write_varint(value: int) -> bytes:
    """Return an unsigned LEB128: seven bits a byte, the lowest first, the high bit set in all but the last."""
    if not 0 <= value < _MAXIMUM_NBYTES:
        raise ValueError(f"{value} is not a size in bytes or a set of protocols")
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004  # as the docstring says
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 63:  # noqa: PLR2004  # a size has at most 63 bits: nine bytes
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:  # noqa: PLR2004  # the last byte
            if not byte and shift:
                raise ValueError("a number in it is not in its shortest form")
            return value, at
        shift += 7
    raise ValueError("a number in it is out of range")
