"""What does a proxy carry to another process? A URI, a key and a few facts, in some thirty bytes."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from psk.errors import InvalidReferenceError, SignatureError, UnsignedError

if TYPE_CHECKING:
    from psk.wire.signing import SigningKey

VERSION = 1
MAC_SIZE = 16
_NBYTES, _CHECKSUM, _HASH, _WHERE, _SIGNED, _EVICT, _WAIT = (1 << bit for bit in range(7))
_KNOWN_FLAGS = (1 << 7) - 1
_FIXED = struct.Struct("<BHB16s")
_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")
_MAXIMUM_URI = 2048
_ID_DIGITS = 32
_MAXIMUM_WHERE = 63
_MAXIMUM_NBYTES = 1 << 63
_MAC_CONTEXT = b"psk reference 1\0"
_WHERE_TEXT = re.compile(rb"[A-Za-z0-9._~@:+-]{1,63}")
_KEY_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


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
        signed_by: Name of the key that signed this reference; empty if nobody did.
        mac: The signature, 16 bytes.
    """

    __slots__ = ("checksum", "evict", "hash", "key", "mac", "nbytes", "signed_by", "type_code", "uri", "wait")

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
        self.signed_by = signed_by
        self.mac = mac

    def to_bytes(self) -> bytes:
        """Return the body: everything but the URI. The format is in docs/wire.md.

        Raises:
            InvalidReferenceError: A field does not fit the format.
        """
        flags = 0
        rest = b""
        try:
            if self.nbytes is not None:
                flags = _NBYTES
                rest = _write_varint(self.nbytes)
            if self.checksum is not None:
                flags |= _CHECKSUM
                rest += _U32.pack(self.checksum)
            if self.hash is not None:
                flags |= _HASH
                rest += _I64.pack(self.hash)
            key = self.key
            if len(key) > _ID_DIGITS:
                flags |= _WHERE
                rest += _write_where(key)
            if self.evict:
                flags |= _EVICT
            if self.wait:
                flags |= _WAIT
            if self.signed_by:
                flags |= _SIGNED
                name = self.signed_by.encode("ascii")
                rest += bytes((len(name),)) + name + self.mac
            object_id = bytes.fromhex(key[:_ID_DIGITS])
            if len(object_id) != _ID_DIGITS // 2:
                raise ValueError("the key is too short")
            return _FIXED.pack(VERSION, flags, self.type_code, object_id) + rest
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
            return _read(cls, uri, body)
        except (ValueError, TypeError, IndexError, struct.error) as error:
            raise InvalidReferenceError(
                f"a proxy's reference cannot be read: {error}",
                remedy="it was damaged or forged, or made by a newer psk-core than is installed here",
            ) from error

    def sign(self, key: SigningKey) -> Reference:
        """Return this reference signed: HMAC-SHA256 cut to 16 bytes (RFC 2104 section 5), over URI and body."""
        signed = Reference(
            self.uri,
            self.key,
            evict=self.evict,
            nbytes=self.nbytes,
            checksum=self.checksum,
            type_code=self.type_code,
            hash=self.hash,
            wait=self.wait,
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
        if (
            key.name != self.signed_by
            or len(self.mac) != MAC_SIZE
            or not key.matches(self.mac, self._signed_parts())
        ):
            raise SignatureError(
                f"the reference to {self.key} does not carry a valid signature of key {key.name!r}",
                found=[f"signed by {self.signed_by!r}"],
                remedy="it was forged or changed, or producer and consumer hold different keys of that name",
            )

    def _signed_parts(self) -> tuple[bytes, ...]:
        body = self.to_bytes()
        return _MAC_CONTEXT, self.uri.encode(), b"\0", body[: len(body) - len(self.mac)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reference):
            return NotImplemented
        return self.uri == other.uri and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash((self.uri, self.key))

    def __repr__(self) -> str:
        return f"Reference({self.uri!r}, {self.key!r})"


def _write_where(key: str) -> bytes:
    if key[_ID_DIGITS] != "@":
        raise ValueError("it is not <32 hexadecimal digits> or <32 hexadecimal digits>@<where>")
    where = key[_ID_DIGITS + 1 :].encode("ascii")
    if not _WHERE_TEXT.fullmatch(where):
        raise ValueError(
            "what follows the @ has other characters than A-Z a-z 0-9 . _ ~ @ : + - or is too long"
        )
    return bytes((len(where),)) + where


def _write_varint(value: int) -> bytes:
    if not 0 <= value < _MAXIMUM_NBYTES:
        raise ValueError(f"{value} is no size in bytes")
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004  # LEB128: seven bits a byte
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:  # noqa: PLR2004  # LEB128: the last byte has its high bit clear
            break
        shift += 7
    if value >= _MAXIMUM_NBYTES or (not byte and shift):
        raise ValueError("its size is out of range, or not in its shortest form")
    return value, at


def _read_text(body: bytes, at: int, form: re.Pattern[bytes]) -> tuple[str, int]:
    end = at + 1 + body[at]
    text = body[at + 1 : end]
    if end > len(body) or not form.fullmatch(text):
        raise ValueError("a name in it is malformed or cut off")
    return text.decode("ascii"), end


def _read(cls: type[Reference], uri: str, body: bytes) -> Reference:
    if type(uri) is not str or not 0 < len(uri) <= _MAXIMUM_URI or not uri.isprintable():
        raise ValueError(f"its URI is not printable text of at most {_MAXIMUM_URI} characters")
    if type(body) is not bytes:
        raise TypeError(f"its body is {type(body).__name__}, not bytes")
    version, flags, type_code, object_id = _FIXED.unpack_from(body)
    if version != VERSION or flags & ~_KNOWN_FLAGS:
        raise ValueError(
            f"version {version} with flags {flags:#x} is unknown here, where version {VERSION} is read"
        )
    reference = cls(
        uri, object_id.hex(), type_code=type_code, evict=bool(flags & _EVICT), wait=bool(flags & _WAIT)
    )
    at = _FIXED.size
    if flags & _NBYTES:
        reference.nbytes, at = _read_varint(body, at)
    if flags & _CHECKSUM:
        (reference.checksum,) = _U32.unpack_from(body, at)
        at += 4
    if flags & _HASH:
        (reference.hash,) = _I64.unpack_from(body, at)
        at += 8
    if flags & _WHERE:
        where, at = _read_text(body, at, _WHERE_TEXT)
        reference.key += f"@{where}"
    if flags & _SIGNED:
        reference.signed_by, at = _read_text(body, at, _KEY_NAME)
        reference.mac = body[at : at + MAC_SIZE]
        if len(reference.mac) != MAC_SIZE:
            raise ValueError("its signature is cut off")
        at += MAC_SIZE
    if at != len(body):
        raise ValueError(f"{len(body) - at} bytes follow its end")
    return reference
