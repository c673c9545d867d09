"""Write and read references: what a pickled proxy carries. docs/wire.md defines the bytes."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
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
_ID_SIZE = 16
_ID_DIGITS = 2 * _ID_SIZE
_MAXIMUM_NUMBER = (1 << 63) - 1
_LONGEST_WAIT = 3_200_000_000_000
"""Milliseconds: about a century, as of every other time."""
_is_where = re.compile(r"[A-Za-z0-9._~@:+-]{1,63}").fullmatch
is_distribution_name = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?").fullmatch


def shown_uri(uri: object) -> str:
    """Return a URI, or what was given as one, as messages show it: without what is, or may be, a password in it."""
    with on_demand:
        from psk.credentials import masked_uri  # only failures and `repr` need it

    return masked_uri(uri)


class Reference(NamedTuple):
    """Locate an object and state what is known of it.

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
            It is not written if there is nothing to wait for.
        protocols: What the object's type can do, as `psk.proxy.protocols_of` numbers it; None if unknown.
        provider: The distribution that provides the producer's connector, if psk-core does not: for messages, and
            never used for anything else.
        signed_by: Name of the key that signed this reference; empty if it is not signed.
        mac: The signature, 16 bytes.
    """

    uri: str
    key: str
    evict: bool = False
    nbytes: int | None = None
    checksum: int | None = None
    type_code: int = 0
    hash: int | None = None
    wait: bool = False
    timeout: float | None = None
    protocols: int | None = None
    provider: str = ""
    signed_by: str = ""
    mac: bytes = b""

    @property
    def shown_uri(self) -> str:
        """The URI for people to read: without what is, or may be, a password in it."""
        return shown_uri(self.uri)

    def to_bytes(self) -> bytes:
        """Return the body: everything but the URI.

        Raises:
            InvalidReferenceError: A field does not fit the format.
        """
        body, uri_crc = _unsigned_body(self)
        if not self.signed_by:
            return body + _U32.pack(crc32(body, uri_crc))
        if len(self.mac) != _MAC_SIZE:
            raise InvalidReferenceError(
                f"the reference to {self.key!r:.110} has no signature of {_MAC_SIZE} bytes",
                remedy="use sign()",
            )
        return body + self.mac

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
            return _read(uri, body)
        except (ValueError, TypeError, IndexError, struct.error) as error:
            raise InvalidReferenceError(
                f"a proxy's reference cannot be read: {error}",
                remedy="it was damaged or forged, or made by a newer psk-core than is installed here",
            ) from error

    def sign(self, key: SigningKey) -> Reference:
        """Return this reference signed: HMAC-SHA256 cut to 16 bytes (RFC 2104 section 5)."""
        named = Reference._make((*self[:-2], key.name, b""))
        return Reference._make((*named[:-1], key.authenticate(_signed_parts(named))[:_MAC_SIZE]))

    def verify(self, key: SigningKey) -> None:
        """Check that the holder of a key made this reference, for this URI.

        Raises:
            UnsignedError: It carries no signature.
            SignatureError: Another key signed it, or it was changed since.
        """
        key.verify(f"the reference to {self.key}", self.signed_by, self.mac, _MAC_SIZE, _signed_parts(self))

    def __repr__(self) -> str:
        return f"Reference({self.shown_uri!r}, {self.key!r})"


@lru_cache(maxsize=128)
def _crc_of_uri(uri: str) -> int:
    """Return the CRC-32 of a URI, with which that of an unsigned body begins; refuse a URI that no store writes."""
    if type(uri) is not str or not 0 < len(uri) <= _MAXIMUM_URI or not uri.isprintable():
        raise ValueError(f"its URI is not printable text of at most {_MAXIMUM_URI} characters")
    return crc32(uri.encode() + b"\0")


def _unsigned_body(reference: Reference) -> tuple[bytes, int]:
    """Return a body without the signature or checksum that ends it, and the CRC-32 of the URI."""
    try:
        return _write(reference), _crc_of_uri(reference.uri)
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        raise InvalidReferenceError(
            f"a reference cannot be made to key {reference.key!r:.110}: {error}",
            remedy="use a key that the connector returned",
        ) from error


def _signed_parts(reference: Reference) -> tuple[bytes, ...]:
    return _MAC_CONTEXT, reference.uri.encode(), b"\0", _unsigned_body(reference)[0]


def _write(reference: Reference) -> bytes:  # noqa: C901  # one branch for each optional field
    _, key, evict, nbytes, checksum, type_code, hash_, wait, timeout, protocols, provider, signed_by, _ = reference
    digits, where = key[:_ID_DIGITS], key[_ID_DIGITS:]
    object_id = bytes.fromhex(digits)
    if len(object_id) != _ID_SIZE or object_id.hex() != digits:  # `fromhex` also takes capitals and spaces
        raise ValueError("a key begins with 32 lower-case hexadecimal digits")
    flags = 0
    fields = b""
    if nbytes is not None:
        flags = _NBYTES
        fields = _write_number(nbytes)
    if checksum is not None:
        flags |= _CHECKSUM
        fields += _U32.pack(checksum)
    if hash_ is not None:
        flags |= _HASH
        fields += _I64.pack(hash_)
    if protocols is not None:
        flags |= _PROTOCOLS
        fields += _write_number(protocols)
    if provider:
        flags |= _PROVIDER
        fields += _write_name(provider, is_distribution_name)
    if where:
        flags |= _WHERE
        if where[0] != "@":
            raise ValueError("behind the digits, a key has nothing, or @ and a name")
        fields += _write_name(where[1:], _is_where)
    if wait:
        flags |= _WAIT
        if timeout is not None:
            flags |= _TIMEOUT
            fields += _write_number(round(timeout * 1000), _LONGEST_WAIT)
    if signed_by:
        flags |= _SIGNED
        fields += _write_name(signed_by, is_signing_key_name)
    if evict:
        flags |= _EVICT
    return _FIXED.pack(_VERSION, flags, type_code, object_id) + fields


def _read(uri: str, body: bytes) -> Reference:  # noqa: C901, PLR0912  # as above
    """Read a reference from its body; every byte must be accounted for."""
    uri_crc = _crc_of_uri(uri)
    if type(body) is not bytes:
        raise TypeError(f"its body is {type(body).__name__}, not bytes")
    version, flags, type_code, object_id = _FIXED.unpack_from(body)
    if version != _VERSION or flags & ~_KNOWN_FLAGS:
        raise ValueError(f"version {version} with flags {flags:#x} is not known here, where version is {_VERSION}")
    nbytes = checksum = hash_ = timeout = protocols = None
    key, provider, signed_by, mac = object_id.hex(), "", "", b""
    at = _FIXED.size
    if flags & _NBYTES:
        nbytes, at = _read_number(body, at)
    if flags & _CHECKSUM:
        (checksum,) = _U32.unpack_from(body, at)
        at += 4
    if flags & _HASH:
        (hash_,) = _I64.unpack_from(body, at)
        at += 8
    if flags & _PROTOCOLS:
        protocols, at = _read_number(body, at)
    if flags & _PROVIDER:
        provider, at = _read_name(body, at, is_distribution_name)
    if flags & _WHERE:
        where, at = _read_name(body, at, _is_where)
        key += f"@{where}"
    if flags & _TIMEOUT:
        milliseconds, at = _read_number(body, at, _LONGEST_WAIT)
        timeout = milliseconds / 1000
        if not flags & _WAIT:
            raise ValueError("it has a time to wait, and there is nothing to wait for")
    if flags & _SIGNED:
        signed_by, at = _read_name(body, at, is_signing_key_name)
        end = at + _MAC_SIZE
        mac = body[at:end]
    else:
        end = at + 4
        if _U32.unpack_from(body, at)[0] != crc32(body[:at], uri_crc):
            raise ValueError("its checksum does not match")
    if end != len(body):
        raise ValueError(f"it is cut off, or {len(body) - end} bytes follow its end")
    evict, wait = flags & _EVICT > 0, flags & _WAIT > 0
    return Reference(
        uri, key, evict, nbytes, checksum, type_code, hash_, wait, timeout, protocols, provider, signed_by, mac
    )


def _write_name(name: str, is_valid: Callable[[str], object]) -> bytes:
    if not is_valid(name):
        raise ValueError(f"{name!r:.80} is malformed")
    return bytes((len(name),)) + name.encode("ascii")


def _read_name(body: bytes, at: int, is_valid: Callable[[str], object]) -> tuple[str, int]:
    end = at + 1 + body[at]
    name = body[at + 1 : end].decode("ascii")
    if not is_valid(name):
        raise ValueError(f"a name in it, {name!r:.80}, is malformed")
    return name, end


def _write_number(value: int, most: int = _MAXIMUM_NUMBER) -> bytes:
    """Return an unsigned LEB128: seven bits a byte, the lowest first, the high bit set in all but the last."""
    if not 0 <= value <= most:
        raise ValueError(f"{value} is out of range")
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004  # as the docstring says
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_number(body: bytes, at: int, most: int = _MAXIMUM_NUMBER) -> tuple[int, int]:
    value = shift = 0
    while (byte := body[at]) > 0x7F and value <= most:  # noqa: PLR2004  # as above
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    value |= byte << shift
    if value > most or (shift and not byte):
        raise ValueError("a number in it is out of range, or not in its shortest form")
    return value, at + 1
