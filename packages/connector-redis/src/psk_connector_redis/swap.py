"""How is an object replaced by its next version? Long ones are uploaded aside; then one script decides."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import HEADER_BYTES, check_object_id, check_ttl, validate_plain_key
from psk.errors import (
    ChannelDataError,
    ChannelUnavailableError,
    KeyExistsError,
    MissingKeyError,
    PskError,
    RevisionConflictError,
)
from psk_connector_redis.channel import run_script
from psk_connector_redis.durability import confirm
from psk_connector_redis.manifest import Manifest
from psk_connector_redis.objects import milliseconds
from psk_connector_redis.parts import PART_BYTES, discard, upload
from psk_connector_redis.refusal import GarbledError
from psk_connector_redis.resp import LONGEST_STRING
from psk_connector_redis.sameness import is_same
from psk_connector_redis.scripts import SWAP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link

IN_SCRIPT_BYTES: Final = 64 * 1024
"""Up to which size a version is an argument of the script, which copies its arguments several times."""

_MOST_UPLOADS: Final = 3
_CLEANING_SECONDS: Final = 0.3


class Swapping:
    """Serve SupportsSwap."""

    __slots__ = ()
    _channel: Channel

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version; see `SupportsSwap.swap`."""
        deadline = self._channel.deadline(timeout)
        check_object_id(validate_plain_key(key), payload.object_id)
        left = b"same" if ttl is None else milliseconds(check_ttl(ttl))
        _Swap(self._channel, payload, left, deadline).run()


class _Swap:
    """One attempt to replace an object.

    Args:
        channel: Where.
        payload: The next version.
        left: Its time to live, or `same`.
        deadline: When to give up, by `time.monotonic`.
    """

    __slots__ = ("_buffers", "_channel", "_deadline", "_doing", "_key", "_left", "_payload", "_uploaded", "_value")

    def __init__(self, channel: Channel, payload: Payload, left: bytes, deadline: float) -> None:
        self._channel = channel
        self._payload = payload
        self._key = payload.key
        self._left = left
        self._deadline = deadline
        self._doing = f"swapping {payload.key}"
        self._buffers = payload.buffers()
        self._uploaded: Manifest | None = None
        if payload.nbytes <= IN_SCRIPT_BYTES:
            self._value = b"".join(self._buffers)
        else:
            # In one part it takes the object's place by itself; in several their manifest does.
            part_bytes = payload.nbytes if payload.nbytes <= LONGEST_STRING else PART_BYTES
            header = bytes(self._buffers[0][:HEADER_BYTES])
            self._uploaded = Manifest.new(header, payload.nbytes, part_bytes)
            self._value = b"" if part_bytes == payload.nbytes else self._uploaded.write()

    def run(self) -> None:
        """Replace it.

        Raises:
            PskError: That cannot be done; see `SupportsSwap.swap`.
        """
        try:
            self._run()
        except BaseException:
            self._discard()
            raise

    def _run(self) -> None:
        manifest, uploads = b"", 0
        while True:
            # Asked before the upload too, which is in vain if the revision is another.
            kind, *more = self._channel.run(
                partial(self._decide, manifest),
                name=self._channel.names.of(self._key),
                deadline=self._deadline,
                doing=self._doing,
                nbytes=self._payload.nbytes,
            )
            if kind == b"swapped":
                return
            if kind == b"manifest" and more:
                manifest = more[0]
            elif kind == b"vanished" and self._uploaded is not None and uploads < _MOST_UPLOADS:
                uploads += 1
                upload(self._channel, self._key, self._uploaded, self._buffers, self._deadline)
            else:
                raise self._failure(kind)

    def _decide(self, manifest: bytes, link: Link) -> Sequence[Any]:
        """Ask the script; the version that is put stands already if an answer was lost."""
        names = self._channel.names
        uploaded = [] if self._uploaded is None else self._uploaded.names(names, self._key)
        parts = Manifest.read(self._key, manifest).names(names, self._key) if manifest else []
        answer: Sequence[Any] = run_script(
            link,
            SWAP,
            [names.of(self._key), names.claim(self._key), *uploaded, *parts],
            self._value,
            b"%d" % self._payload.revision,
            self._left,
            b"%d" % len(uploaded),
            manifest,
            deadline=self._deadline,
        )
        if not (type(answer) is list and answer and all(type(part) is bytes for part in answer)):
            raise GarbledError("the script was not answered as it answers")
        if answer[0] == b"revision":
            self._compare(link, answer[-1].decode(errors="replace"))
            answer = [b"swapped"]
        if answer[0] == b"swapped" and self._channel.is_replicated:
            confirm(link, self._deadline, self._doing)
        return answer

    def _compare(self, link: Link, current: str) -> None:
        if current == str(self._payload.revision):
            with suppress(KeyExistsError):
                if is_same(self._channel, link, self._payload, self._deadline):
                    return
        raise RevisionConflictError(
            f"revision {self._payload.revision} of {self._key} does not follow the current one",
            found=[f"revision {current}"],
            remedy="get the current version and swap the revision after it",
        )

    def _failure(self, kind: bytes) -> PskError:
        place = self._channel.server.describe()
        if kind == b"missing":
            return MissingKeyError(
                f"no object stands under {self._key} in {place}, so it cannot be swapped", remedy="put it first"
            )
        if kind == b"vanished":
            return ChannelUnavailableError(
                f"the next version of {self._key} vanishes in {place} before it is in place",
                remedy="give the server more memory, or let it evict nothing (maxmemory-policy noeviction)",
            )
        return ChannelDataError(
            f"what stands under {self._key} in {place} is no object of psk", remedy="evict it, or use another prefix="
        )

    def _discard(self) -> None:
        """Remove what was uploaded in vain; where that fails it vanishes by itself."""
        if self._uploaded is not None and self._value:
            discard(self._channel, self._key, self._uploaded)
        elif self._uploaded is not None:
            [name] = self._uploaded.names(self._channel.names, self._key)
            with suppress(PskError):
                self._channel.ask(
                    *(b"UNLINK", name),
                    name=name,
                    deadline=time.monotonic() + _CLEANING_SECONDS,
                    doing=self._doing,
                    kind=int,
                )
