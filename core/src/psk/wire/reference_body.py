"""How is a reference laid out in bytes? docs/wire.md documents the format."""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import TYPE_CHECKING
from zlib import crc32

from psk.wire.names import is_distribution_name, is_signing_key_name

if TYPE_CHECKING:
    from psk.wire.reference import Reference

VERSION = 1
MAC_SIZE = 16
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


def write_body(reference: Reference) -> bytes:
    """Return a reference's body without its signature or checksum, which comes last.

    Raises:
        ValueError, TypeError, struct.error: A field does not fit the format.
    """
    flags, rest = _write_facts(reference)
    digits = reference.key
    if len(digits) > _ID_DIGITS:
        flags |= _WHERE
        digits, mark, where = digits[:_ID_DIGITS], digits[_ID_DIGITS], digits[_ID_DIGITS + 1 :]
        if mark != "@" or not _is_where(where):
            raise ValueError("a key is <32 hexadecimal digits> or <32 hexadecimal digits>@<where>")
        rest += _write_text(where)
    object_id = bytes.fromhex(digits)
    if len(digits) != _ID_DIGITS or object_id.hex() != digits:  # fromhex also takes capitals and spaces
        raise ValueError("a key begins with 32 lower-case hexadecimal digits")
    if reference.evict:
        flags |= _EVICT
    if reference.wait:
        flags |= _WAIT if reference.timeout is None else _WAIT | _TIMEOUT
        rest += _write_timeout(reference.timeout)
    if reference.signed_by:
        flags |= _SIGNED
        rest += _write_text(reference.signed_by)
    return _FIXED.pack(VERSION, flags, reference.type_code, object_id) + rest


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


def read_body(reference: Reference, body: bytes) -> None:
    """Fill in a reference from its body; every byte must be accounted for.

    Raises:
        ValueError, TypeError, IndexError, struct.error: The body is damaged, or of an unknown version.
    """
    if type(body) is not bytes:
        raise TypeError(f"its body is {type(body).__name__}, not bytes")
    version, flags, reference.type_code, object_id = _FIXED.unpack_from(body)
    if version != VERSION or flags & ~_KNOWN_FLAGS:
        raise ValueError(f"version {version} with flags {flags:#x} is not known here, where version is {VERSION}")
    reference.key = object_id.hex()
    reference.evict = flags & _EVICT != 0
    reference.wait = flags & _WAIT != 0
    at = _read_facts(reference, flags, body)
    if flags & _WHERE:
        where, at = _read_text(body, at)
        if not _is_where(where):
            raise ValueError(f"its key's second part {where!r:.80} is malformed")
        reference.key += f"@{where}"
    at = _read_timeout(reference, flags, body, at)
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
        reference.provider, at = _read_text(body, at)
        if not is_distribution_name(reference.provider):
            raise ValueError(f"its provider {reference.provider!r:.80} is not the name of a distribution")
    return at


def crc_of(uri: str, body: bytes) -> bytes:
    """Return the checksum that ends an unsigned body: CRC-32 of the URI and of what comes before it."""
    return _U32.pack(crc32(body, _crc_of_uri(uri)))


@lru_cache(maxsize=128)
def _crc_of_uri(uri: str) -> int:
    return crc32(uri.encode() + b"\0")


def check_uri(uri: str) -> None:
    """Refuse a URI that no store writes into a reference.

    Raises:
        ValueError: It is not printable text of a reasonable length.
    """
    if type(uri) is not str or not 0 < len(uri) <= _MAXIMUM_URI or not uri.isprintable():
        raise ValueError(f"its URI is not printable text of at most {_MAXIMUM_URI} characters")


def _write_timeout(timeout: float | None) -> bytes:
    if timeout is None:
        return b""
    milliseconds = round(timeout * 1000)
    if milliseconds > _LONGEST_WAIT:
        raise ValueError(f"{timeout} s is too long to wait")
    return _write_varint(milliseconds)


def _read_timeout(reference: Reference, flags: int, body: bytes, at: int) -> int:
    if not flags & _TIMEOUT:
        return at
    milliseconds, at = _read_varint(body, at)
    if not (reference.wait and milliseconds <= _LONGEST_WAIT):
        raise ValueError(f"its time to wait of {milliseconds} ms is out of range, or there is nothing to wait for")
    reference.timeout = milliseconds / 1000
    return at


def _check_crc(reference: Reference, body: bytes, at: int) -> int:
    if _U32.unpack_from(body, at)[0] != crc32(body[:at], _crc_of_uri(reference.uri)):
        raise ValueError("its checksum does not fit")
    return at + _U32.size


def _read_signature(reference: Reference, body: bytes, at: int) -> int:
    name, at = _read_text(body, at)
    if not is_signing_key_name(name):
        raise ValueError(f"its signing key's name {name!r:.80} is malformed")
    reference.signed_by = name
    reference.mac = body[at : at + MAC_SIZE]
    return at + MAC_SIZE


def _write_text(text: str) -> bytes:
    encoded = text.encode("ascii")
    return bytes((len(encoded),)) + encoded


def _read_text(body: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + body[at]
    return body[at + 1 : end].decode("ascii"), end


def _write_varint(value: int) -> bytes:
    if not 0 <= value < _MAXIMUM_NBYTES:
        raise ValueError(f"{value} is not a size in bytes or a set of protocols")
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004  # LEB128: seven bits a byte
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
        if byte <= 0x7F:  # noqa: PLR2004  # LEB128: the last byte has its high bit clear
            if not byte and shift:
                raise ValueError("a number in it is not in its shortest form")
            return value, at
        shift += 7
    raise ValueError("a number in it is out of range")
