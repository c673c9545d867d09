"""What can be told about an object without decoding it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.errors import PayloadError
from psk.wire import HEADER_REACH, Header, Payload

if TYPE_CHECKING:
    from psk.connectors import Connector

#: No header block is longer than this: it bounds the second look at a payload of very many frames.
LONGEST_HEADER = 1 << 20


class ObjectStat:
    """Describe a stored object, from its payload's header.

    Attributes:
        key: The object's key.
        nbytes: Size of the whole payload in bytes.
        codec: Name of the codec that encoded it.
        frames: Sizes of its frames in bytes.
        revision: 0 for the object as first put; one more for each update.
        checksum: CRC-32 of the payload, or None.
        expires: Whether it was put with a time to live.
        signed_by: Name of the key that signed it, or "".
    """

    __slots__ = ("checksum", "codec", "expires", "frames", "key", "nbytes", "revision", "signed_by")

    def __init__(self, key: str, header: Header | Payload) -> None:
        self.key = key
        self.nbytes = header.nbytes
        self.codec = header.codec
        self.frames = header.frame_sizes
        self.revision = header.revision
        self.checksum = header.checksum
        self.expires = header.expires
        self.signed_by = header.signed_by

    def __repr__(self) -> str:
        return f"ObjectStat({', '.join(f'{name}={getattr(self, name)!r}' for name in ('key', 'nbytes', 'codec'))})"


def stat_of(connector: Connector, key: str, timeout: float | None) -> ObjectStat | None:
    """Describe an object by its header alone where the channel gives ranges, else by fetching it.

    Raises:
        PayloadError: What the channel holds is no payload.
        ConnectorError: The channel failed.
    """
    from psk.connectors import SupportsRange

    if not isinstance(connector, SupportsRange):
        frames = connector.get(key, timeout=timeout)
        return None if frames is None else ObjectStat(key, Payload.parse(frames))
    start = connector.get_range(key, 0, HEADER_REACH, timeout=timeout)
    if start is None:
        return None
    try:
        return ObjectStat(key, Header.read(start))
    except PayloadError:
        start = connector.get_range(key, 0, LONGEST_HEADER, timeout=timeout)
        return None if start is None else ObjectStat(key, Header.read(start))
