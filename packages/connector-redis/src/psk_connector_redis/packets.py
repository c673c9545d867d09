"""How do the commands for one object lie on the wire? As text with gaps for key and size: small objects are many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from psk.connectors import Key, Payload
    from psk_connector_redis.names import Names
    from psk_connector_redis.resp import Buffer

_ANY_KEY = "0" * 32


class Packets:
    """The commands of one channel for one object.

    Args:
        names: Where objects stand; the names of all keys are of one length.
    """

    __slots__ = ("_get", "_news", "_put", "_put_expiring", "_start")

    def __init__(self, names: Names) -> None:
        name = names.of(_ANY_KEY)
        self._put = _gap(pack(b"SET", name, b"", b"NX").partition(b"$0\r\n")[0]) + b"$%d\r\n"
        self._put_expiring = self._put.replace(b"*4", b"*6", 1)
        self._news = _gap(pack(b"PUBLISH", names.news(_ANY_KEY), b""))
        self._get = _gap(pack(b"GET", name))
        self._start = _gap(pack(b"GETRANGE", name, b"0")).replace(b"*3", b"*4", 1) + b"$%d\r\n%b\r\n"

    def put(self, payload: Payload, left: bytes) -> list[Buffer]:
        """Store a payload unless something stands there, and publish that it is there: two answers.

        Args:
            payload: What.
            left: Its time to live in milliseconds; empty for none.
        """
        key = payload.key.encode()
        news = self._news % key
        if not left:
            return [self._put % (key, payload.nbytes), *payload.buffers(), b"\r\n$2\r\nNX\r\n" + news]
        end = b"\r\n$2\r\nNX\r\n$2\r\nPX\r\n$%d\r\n%b\r\n%b" % (len(left), left, news)
        return [self._put_expiring % (key, payload.nbytes), *payload.buffers(), end]

    def get(self, key: Key) -> bytes:
        """Fetch what stands under the name of an object."""
        return self._get % key.encode()

    def start(self, key: Key, nbytes: int) -> bytes:
        """Fetch the first bytes of what stands under the name of an object."""
        last = b"%d" % (nbytes - 1)
        return self._start % (key.encode(), len(last), last)


def _gap(packed: bytes) -> bytes:
    """Leave a gap where the key stands."""
    return packed.replace(b"%", b"%%").replace(_ANY_KEY.encode(), b"%b")
