"""What does the header block of received bytes say, and can it be true for the bytes that came with it?"""

from __future__ import annotations

from psk.errors import PayloadError
from psk.wire.frames import byte_view
from psk.wire.layout import (
    FIXED,
    FIXED_SIZE,
    HAS_CHECKSUM,
    HAS_MAC,
    MAC_SIZE,
    MAGIC,
    MAXIMUM_FRAMES,
    VERSION,
    ZEROS,
    codec_name,
    read_table,
    signing_key_name,
)


def read_header(
    first: object,
) -> tuple[memoryview, bytes, str, str, tuple[int, ...], bytes, int, int, int | None]:
    """Read the header block at the start of the first received buffer.

    Args:
        first: The first buffer a connector returned, or the only one.

    Returns:
        The whole buffer as a view, the header block, codec, signing key's name, frame table, object id,
        claimed size of the payload, revision, and checksum if there is one.

    Raises:
        PayloadError: Truncated, damaged, foreign, or a newer version of the format.
    """
    try:
        whole = memoryview(first) if type(first) is bytes else byte_view(first)
    except (TypeError, ValueError, BufferError) as error:
        raise PayloadError(f"no payload can be read from {type(first).__name__}: {error}") from error
    given = whole.nbytes
    if given < FIXED_SIZE:
        raise PayloadError(
            f"{given} bytes are no payload",
            found=[f"its header alone has {FIXED_SIZE}"],
            remedy="put the object again",
        )
    (magic, version, flags, codec_size, key_size, object_id, nbytes, count, revision, reserved, crc) = (
        FIXED.unpack_from(whole)
    )
    if magic != MAGIC or version != VERSION:
        raise _foreign(magic, version)
    table_offset = FIXED_SIZE + codec_size + key_size
    used = table_offset + 8 * count + (MAC_SIZE if flags & HAS_MAC else 0)
    size = used + 63 & -64
    if (
        flags > HAS_CHECKSUM | HAS_MAC
        or reserved
        or (crc and not flags & HAS_CHECKSUM)
        or (key_size > 0) != (flags & HAS_MAC > 0)
        or count > MAXIMUM_FRAMES
        or size > given
    ):
        raise PayloadError(
            "a payload's header is damaged or cut off",
            found=[f"{given} bytes", f"flags {flags:#x}", f"{count} frames claimed"],
            remedy="put the object again",
        )
    header = first if type(first) is bytes and given == size else bytes(whole[:size])
    if not header.endswith(ZEROS[size - used]):
        raise PayloadError(
            "a payload's header is damaged", found=["padding that is not zero"], remedy="put it again"
        )
    return (
        whole,
        header,
        codec_name(header[FIXED_SIZE : FIXED_SIZE + codec_size]),
        signing_key_name(header[FIXED_SIZE + codec_size : table_offset]) if key_size else "",
        read_table(header, table_offset, count),
        object_id,
        nbytes,
        revision,
        crc if flags & HAS_CHECKSUM else None,
    )


def _foreign(magic: bytes, version: int) -> PayloadError:
    if magic != MAGIC:
        return PayloadError(
            "these bytes are no payload of psk",
            found=[f"they begin with {magic!r}"],
            remedy="only psk may write where a store keeps its objects",
        )
    return PayloadError(
        f"the payload has format version {version}, which this psk cannot read",
        found=[f"version {VERSION}"],
        remedy="install the producer's version of psk-core here",
    )
