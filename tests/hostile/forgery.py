"""Write payloads and references by hand from docs/wire.md, with any field forged, without psk's code."""

from __future__ import annotations

import hmac
import struct
import zlib


def mac_of(secret, context, *parts):
    """Sign as docs/wire.md says."""
    return hmac.new(secret, context + b"".join(parts), "sha256").digest()


def payload(
    frames,
    *,
    codec=b"pickle",
    object_id=bytes(16),
    key_name=b"",
    secret=b"",
    mac=None,
    magic=b"\x93PSK",
    version=1,
    flags=0,
    clear=0,
    nbytes=None,
    count=None,
    sizes=None,
    revision=0,
    reserved=0,
    checksum=True,
    codec_size=None,
    key_size=None,
    padding=0,
):
    """Write a payload; every argument that is left out is as an honest writer would have it."""
    table = [len(frame) | 1 << 63 for frame in frames] if sizes is None else sizes
    signed = bool(key_name)
    flags = (flags | (1 if checksum else 0) | (2 if signed else 0)) & ~clear
    names = codec + key_name
    used = 48 + len(names) + 8 * len(table) + (32 if signed else 0)
    begin = used + -used % 64
    body = b""
    for frame in frames:
        body += bytes(-(begin + len(body)) % 64) + frame
    fixed = (
        magic + bytes((version, flags)),
        bytes((len(codec) if codec_size is None else codec_size, len(key_name) if key_size is None else key_size)),
        object_id,
        struct.pack("<Q", begin + len(body) if nbytes is None else nbytes),
        struct.pack("<III", len(frames) if count is None else count, revision, reserved),
    )
    start, entries = b"".join(fixed), struct.pack(f"<{len(table)}Q", *table)
    fill = bytes((padding,)) * (begin - used)
    if signed and mac is None:
        mac = mac_of(secret, b"psk payload 1\0", start, bytes(4), names, entries, bytes(32), fill, body)
    rest = names + entries + (mac if signed else b"") + fill + body
    crc = zlib.crc32(start, zlib.crc32(rest)) if checksum is True else int(checksum)
    return start + struct.pack("<I", crc) + rest


def places(honest):
    """Tell where a payload's MAC begins, and where its frames do."""
    codec_size, key_size = honest[6], honest[7]
    (count,) = struct.unpack_from("<I", honest, 32)
    mac = 48 + codec_size + key_size + 8 * count
    end = mac + (32 if honest[5] & 2 else 0)
    return mac, end + -end % 64


def resummed(forged):
    """Make a payload's checksum fit again, as anybody can."""
    crc = zlib.crc32(forged[:44], zlib.crc32(forged[48:]))
    return forged[:44] + struct.pack("<I", crc) + forged[48:]


def reference(
    uri,
    object_id=bytes(16),
    *,
    version=1,
    flags=0,
    type_code=0,
    rest=b"",
    key_name=b"",
    secret=b"",
    mac=None,
    clear=0,
):
    """Write a reference's body; `rest` is what the optional fields hold, without signature or checksum."""
    flags = (flags | (16 if key_name else 0)) & ~clear
    body = struct.pack("<BHB16s", version, flags, type_code, object_id) + rest
    if not key_name:
        return summed(uri, body)
    body += bytes((len(key_name),)) + key_name
    if mac is None:
        encoded = uri.encode("utf-8", "surrogatepass")
        mac = mac_of(secret, b"psk reference 1\0", encoded, b"\0", body)[:16]
    return body + mac


def summed(uri, body):
    """End an unsigned reference's body with the checksum that fits, as anybody can."""
    return body + struct.pack("<I", zlib.crc32(uri.encode("utf-8", "surrogatepass") + b"\0" + body))
