"""Keep objects as files of one directory: one file each under its key, placed whole and never changed afterwards."""

from __future__ import annotations

import errno
import mmap
import os
import re
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from psk.connectors.arguments import expired
from psk.connectors.directory.directory import READ, foreign, open_file, open_to_renew, sync
from psk.connectors.directory.expiry import (
    NEVER,
    RECORD_BYTES,
    Mark,
    find_record,
    has_room_for_record,
    parse_record,
    payload_size,
    record_offset,
    write_record,
)
from psk.connectors.directory.locks import locked
from psk.connectors.directory.reading import PARALLEL_BYTES, read_frames, read_range
from psk.connectors.directory.writing import DRAFTS, PERMANENT_MODE, HeldDraft, place, sweep_drafts
from psk.connectors.duties import HEADER_BYTES, is_same_payload
from psk.errors import CapabilityError, ChannelDataError, KeyExistsError, PskError
from psk.wire import ALIGNMENT, MAGIC, Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import TypeVar

    from psk.connectors.directory.directory import Directory
    from psk.connectors.directory.expiry import Clock
    from psk.connectors.directory.writing import Memory
    from psk.wire import Buffer, Payload

    T = TypeVar("T")

CLAIM_SUFFIX: Final = ".claim"
_STEP: Final = 256  # objects that are deleted between two looks at the clock

is_object_name = re.compile(r"[0-9a-f]{32}").fullmatch
_is_claim_name = re.compile(r"[0-9a-f]{32}\.claim").fullmatch
_is_object_or_claim_name = re.compile(r"[0-9a-f]{32}(?:\.claim)?").fullmatch


class Objects:
    """Operate on the objects of one open directory.

    Shared memory has ways of its own to `open`, `locate`, `read`, `place` and `unlink`; all else is here.

    Args:
        directory: The directory.
        clock: By which objects expire.
        durable: Whether a put must have reached the disk at its return.
    """

    __slots__ = ("clock", "directory", "durable", "mark")

    is_private: ClassVar[bool] = False
    """Whether only psk writes in the directory, so that a name and a size tell enough."""

    def __init__(self, directory: Directory, clock: Clock, *, durable: bool = False) -> None:
        self.directory = directory
        self.clock = clock
        self.durable = durable
        self.mark = Mark(directory)

    # Operations that shared memory overrides.

    def open(self, name: str, deadline: float, *, writable: bool = False) -> tuple[int, os.stat_result] | None:  # noqa: ARG002  files never wait for a writer
        """Open the object under a name; return its descriptor and what stat says of it, or None if it is missing.

        Raises:
            ChannelDataError: A link, a FIFO, a directory or another user's file has this name.
        """
        return open_to_renew(self.directory, name) if writable else open_file(self.directory, name)

    def locate(self, descriptor: int, size: int) -> tuple[int, int]:
        """Return where the payload in a file of so many bytes ends, record excluded, and when it expires."""
        return find_record(descriptor, size, self.clock.kind)

    def payload_length(self, descriptor: int, end: int, name: str) -> int:  # noqa: ARG002  a segment may be longer
        """Return the length of the payload in a file that `locate` gave this end."""
        return end

    def is_whole(self, descriptor: int, size: int) -> bool:
        """Tell whether a file without a record is one whole payload, so that a record behind it is found again."""
        return payload_size(descriptor) == size

    def read(self, descriptor: int, end: int, name: str, deadline: float) -> Frames:
        """Return the payload of an open file, up to an end as of `locate`, in private memory."""
        if end < PARALLEL_BYTES:  # most are read by one system call
            memory = bytearray(end)
            if os.readv(descriptor, (memory,)) == end:
                return Frames((memory,))
        return read_frames(descriptor, end, name, deadline)

    def place(self, name: str, payload: Payload, nbytes: int, ttl: float | None, deadline: float) -> bool:
        """Write a file and give it its name; False if the name is taken."""
        return place(
            self.directory, name, payload, nbytes, ttl=ttl, clock=self.clock, durable=self.durable, deadline=deadline
        )

    def unlink(self, name: str, found: os.stat_result) -> bool:  # noqa: ARG002  what it was matters to segments
        """Remove the file under a name, of which stat said this; tell whether it was there."""
        return self.directory.remove(name)

    def alone(self, descriptor: int, deadline: float, doing: str, decide: Callable[[], T], *, nests: bool = True) -> T:
        """Call a function while no other process decides about the same object; see `locked`."""
        return locked(descriptor, deadline, doing, decide, nests=nests)

    def reserve(self, nbytes: int, deadline: float) -> Memory:  # noqa: ARG002  files have no limit to wait for
        """Return mapped memory for an object of so many bytes, whose room is taken already."""
        try:
            if hasattr(os, "posix_fallocate"):
                return self.mapped_draft(nbytes)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        raise CapabilityError(
            f"{self.directory.path!a} cannot map files, or reserve room for them", remedy="put the object instead"
        )

    def give_back(self) -> None:
        """Give memory that is kept for later puts back to the system; files keep none."""

    # Operations that files and shared memory have in common.

    def mapped_draft(self, nbytes: int, *, named: bool = False) -> HeldDraft:
        """Return a draft with memory."""
        draft = HeldDraft(self.directory)
        try:
            draft.open(PERMANENT_MODE, named=named)
            draft.map(nbytes)
        except BaseException:
            draft.close()
            raise
        return draft

    def put(self, name: str, payload: Payload, nbytes: int, ttl: float | None, deadline: float) -> str:
        """Make a payload of `nbytes` bytes the object of its key, unless it is that already; return the key.

        Raises:
            KeyExistsError: The key holds a different object.
            ChannelDataError: The key holds something that psk did not write.
        """
        if ttl is not None:
            self.mark.set()
        while not (
            self.place(name, payload, nbytes, ttl, deadline) or self._is_the_same(name, payload.buffers(), deadline)
        ):
            expired(deadline, f"putting {name}")
        if ttl is not None:
            self.mark.set()  # again: a sweep that had not seen the object yet may have removed the mark
        return name

    def allocate(self, nbytes: int, deadline: float, held: list[Memory]) -> bool:
        """Append memory for a payload of `nbytes` bytes to a list, so that an interrupt never loses it; return True."""
        held.append(self.reserve(nbytes, deadline))
        return True

    def commit(self, name: str, memory: Memory, nbytes: int, ttl: float | None, deadline: float) -> str:
        """Make a payload that is in memory of the channel already the object of its key; as `put`."""
        content = memoryview(mmap.mmap(memory.descriptor, nbytes, access=mmap.ACCESS_READ))
        if ttl is not None:
            self.mark.set()
        while not (
            memory.finish(name, nbytes, self._expiry(ttl), self.clock, durable=self.durable)
            or self._is_the_same(name, (content,), deadline)
        ):
            expired(deadline, f"putting {name}")
        if ttl is not None:
            self.mark.set()
        return name

    def get(self, name: str, deadline: float) -> Frames | None:
        """Return the object under a name, in private memory; None if it is missing or has expired."""
        opened = self.open(name, deadline)
        if opened is None:
            return None
        descriptor, found = opened
        try:
            end, expires = self.locate(descriptor, found.st_size)
            if expires != NEVER and self._is_over(expires):
                self._remove_expired_now(name)
                return None
            return self.read(descriptor, end, name, deadline)
        finally:
            os.close(descriptor)  # a mapping keeps the lock of a segment: it holds the open file

    def get_range(self, name: str, offset: int, length: int, deadline: float) -> memoryview | None:
        """Return a part of an object: fewer bytes at its end, None if it is missing or has expired."""
        opened = self.open(name, deadline)
        if opened is None:
            return None
        descriptor, found = opened
        try:
            end, expires = self.locate(descriptor, found.st_size)
            if self._is_over(expires):
                return None
            return read_range(descriptor, self.payload_length(descriptor, end, name), offset, length, name)
        finally:
            os.close(descriptor)

    def exists(self, name: str) -> bool:
        """Tell whether a name has an unexpired object; errors as of `open`."""
        state = self._state(name)
        if state is False:
            self._remove_expired_now(name)
        return bool(state)

    def present(self, names: Sequence[str]) -> list[str]:
        """Return those of some names that have an unexpired object."""
        return [name for name in names if self._state(name)]

    def evict(self, name: str, deadline: float) -> bool:
        """Remove an object and then its claim; tell whether it was there.

        Raises:
            DeadlineError: Another process decided about it until the deadline.
        """
        found = self.directory.stat(name)
        if found is None or not (has_room_for_record(found.st_size) and stat.S_ISREG(found.st_mode)):
            return self._remove_with_claim(name, found)
        try:
            descriptor = self.directory.open(name, READ)
        except (FileNotFoundError, PermissionError):  # what cannot be read can be removed
            return self._remove_with_claim(name, found)

        def remove() -> bool:
            # If the name is not this file's any more, the object went while this call waited.
            return not self._is_named(name, descriptor) or self._remove_with_claim(name, found)

        try:
            # Locked: another process may be removing it because it has expired, and between its look and its unlink
            # this call could let the name be put again.
            return self.alone(descriptor, deadline, f"removing {name}", remove)
        finally:
            os.close(descriptor)

    def renew(self, name: str, ttl: float | None, deadline: float) -> bool:
        """Let an object expire `ttl` seconds from now, or never; False if it is gone."""
        opened = self.open(name, deadline, writable=True)
        if opened is None:
            return False
        descriptor = opened[0]

        def change() -> bool:
            size = os.fstat(descriptor).st_size
            end, expires = self.locate(descriptor, size)
            if self._is_over(expires) or not self._is_named(name, descriptor):
                return False
            if end == size and not self.is_whole(descriptor, size):
                raise foreign(self.directory, name, f"{size} bytes that are not one whole payload")
            if ttl is not None:
                self.mark.set()
            if ttl is not None or end != size:
                after = self.clock.after(self.directory, ttl)
                write_record(descriptor, record_offset(end), self.clock.kind, after)
            if ttl is not None:
                self.mark.set()  # again: it may have been removed just before the record was there
            return True

        try:
            return self.alone(descriptor, deadline, f"renewing {name}", change)
        finally:
            os.close(descriptor)

    def take(self, name: str, claim: str, lease: float | None, deadline: float) -> Frames | None:
        """Claim an object and read it: the object for the winner, None if it is missing or another holds it.

        A claim is a file beside the object. It is written and looked at by one process at a time.

        Raises:
            CapabilityError: The file system may not keep locks between hosts.
        """
        if not self.directory.is_local:
            kind = self.directory.filesystem or "its file system"
            raise CapabilityError(
                f"{self.directory.path!a} cannot decide between claimants: locks on {kind} may not hold between hosts",
                remedy="take from a directory on a local file system, or from another channel",
            )
        opened = self.open(name, deadline)
        if opened is None:
            return None
        descriptor = opened[0]

        def won() -> int | None:
            end, expires = self.locate(descriptor, os.fstat(descriptor).st_size)
            if self._is_over(expires) or not self._claim(name, descriptor, claim.encode(), lease, deadline):
                return None
            return end

        try:
            end = self.alone(descriptor, deadline, f"claiming {name}", won, nests=False)
            return None if end is None else self.read(descriptor, end, name, deadline)
        finally:
            os.close(descriptor)

    def names(self, deadline: float) -> list[str]:
        """Return the names of completed, unexpired objects.

        A name and its type tell enough where nothing expires, which the mark says. So a file that others put under
        the name of an object is listed there; no call takes it for one.
        """
        marked = self.mark.is_set()  # first: what is put meanwhile may be listed or not
        names = self.directory.files(is_object_name, deadline)
        if not marked:
            return names
        live = []
        for name in names:
            expired(deadline, f"listing {self.directory.path!a}")
            state = self._state(name, foreign=True)
            if state:
                live.append(name)
            elif state is False:
                self._remove_expired_now(name)  # as any reader does
        return live

    def clear(self, deadline: float) -> int:
        """Delete every object that psk wrote, and return how many were unexpired."""
        doing = f"clearing {self.directory.path!a}"
        marked = self.mark.is_set()  # first, as in `names`
        ours = self.directory.files(_is_object_or_claim_name, deadline)
        names = [name for name in ours if not name.endswith(CLAIM_SUFFIX)]
        # Claims without the mark were copied here, and go with their objects.
        count = 0 if marked or len(names) < len(ours) else self.remove_unmarked(names, deadline, doing)
        for name in names:
            expired(deadline, doing)
            state = self._state(name, foreign=True)
            if state is not None and self.evict(name, deadline) and state:
                count += 1
        for _ in self.sweep():
            expired(deadline, doing)
        self.give_back()
        return count

    def remove_unmarked(self, names: list[str], deadline: float, doing: str) -> int:
        """Delete objects where nothing expires and nothing is claimed, so that each costs few system calls.

        Args:
            names: Their names; afterwards those that need more than that.
            deadline: When to give up, by `time.monotonic`.
            doing: What is done, for messages.

        Returns:
            How many were deleted.
        """
        count, left = 0, []
        for index, name in enumerate(names):
            if not index % _STEP:
                expired(deadline, doing)
            try:
                opened = open_file(self.directory, name)
            except (PermissionError, ChannelDataError):
                continue
            if opened is None:
                continue
            descriptor, found = opened
            try:
                is_ours = found.st_size >= HEADER_BYTES and os.pread(descriptor, len(MAGIC), 0) == MAGIC
            finally:
                os.close(descriptor)
            if found.st_size % ALIGNMENT == RECORD_BYTES:  # as `has_room_for_record`, without its call
                left.append(name)
            elif is_ours:
                count += self.directory.remove(name)
        names[:] = left
        return count

    def reap(self, name: str) -> float | None:
        """Remove an object if it has expired; return in how many seconds it will, None if it is gone or stays."""
        expires = self._remove_expired(name, 0.0)
        if expires is None or expires == NEVER:
            return None
        return max(expires - self.clock.now(self.directory), 0) / 1e9

    # Removal of what dead processes left.

    def sweep(self) -> Iterator[None]:
        """Remove what has outlived its purpose: unfinished drafts, claims without object, expired objects.

        Yields after each look at a file, so that the caller decides how much it does at a time. Only drafts cost a
        look where nothing expires and nothing is claimed, which the mark says.
        """
        yield from sweep_drafts(self.directory, self.clock)
        if not self.mark.is_set() or (yield from self._sweep_marked()) or not self.mark.doubt():
            return
        # Nothing needs the mark any more. But an object that was put since relied on it: look again without it.
        if (yield from self._sweep_marked()):
            self.mark.set()
        self.mark.remove_doubted()

    def tidy(self) -> None:
        """Leave no file of psk in a directory without objects."""
        with suppress(OSError):
            if self.mark.is_set() and not self.has_objects() and self.mark.doubt():
                if self.has_objects():  # put in between
                    self.mark.set()
                self.mark.remove_doubted()
        with suppress(OSError):  # mostly it is missing
            os.rmdir(DRAFTS, dir_fd=self.directory.descriptor)

    def has_objects(self) -> bool:
        """Tell whether any name in the directory is an object's."""
        return any(map(is_object_name, self.directory.names()))

    def _sweep_marked(self) -> Generator[None, None, bool]:
        """Sweep all files; the generator returns whether any of them needs the mark."""
        needed = False
        for name in self.directory.names():
            yield
            try:
                needed |= self._needs_mark(name)
            except (OSError, PskError):
                needed = True  # it cannot be looked at now: let the next sweep try
        return needed

    def _needs_mark(self, name: str) -> bool:
        """Remove an expired object, or a claim without object; tell whether a later sweep has to look at it."""
        if _is_claim_name(name):
            if self.directory.stat(name[: -len(CLAIM_SUFFIX)]) is not None:
                return True
            found = self.directory.stat(name)
            is_ours = found is not None and stat.S_ISREG(found.st_mode)
            return is_ours and not self.directory.remove(name)
        if not is_object_name(name):
            return False
        found = self.directory.stat(name)
        if found is None or not has_room_for_record(found.st_size):
            return False
        return self._remove_expired(name, 0.0) not in {None, NEVER}

    # Details.

    def _expiry(self, ttl: float | None) -> int | None:
        return None if ttl is None else self.clock.after(self.directory, ttl)

    def _is_over(self, expires: int) -> bool:
        return expires != NEVER and self.clock.now(self.directory) >= expires

    def _state(self, name: str, *, foreign: bool = False) -> bool | None:
        """Tell whether a name has an unexpired object (True), an expired one (False) or none (None).

        Args:
            name: The name.
            foreign: Whether files that psk did not write are to be expected: they are none, and no error.
        """
        if self.is_private:
            found = self.directory.stat(name)
            if found is None:
                return None
            if stat.S_ISREG(found.st_mode) and not has_room_for_record(found.st_size):
                return True
        try:
            opened = open_file(self.directory, name)
        except (PermissionError, ChannelDataError):
            if foreign:
                return None
            raise
        if opened is None:
            return None
        descriptor, found = opened
        try:
            if foreign and payload_size(descriptor) is None:
                return None
            return not self._is_over(self.locate(descriptor, found.st_size)[1])
        finally:
            os.close(descriptor)

    def _is_the_same(self, name: str, buffers: Sequence[Buffer], deadline: float) -> bool:
        """Tell whether a name that is taken has this payload; False if the name is free again."""
        opened = self.open(name, deadline)
        if opened is None:
            return False
        descriptor, found = opened
        try:
            if self._is_over(self.locate(descriptor, found.st_size)[1]):
                self._remove_expired(name, deadline)
                return False
            if is_same_payload(buffers, partial(os.pread, descriptor)):
                if self.durable:  # another process that put it may not have waited for the disk
                    sync(descriptor)
                    sync(self.directory.descriptor)
                return True
            start = os.pread(descriptor, HEADER_BYTES, 0)
        finally:
            os.close(descriptor)
        if not start.startswith(MAGIC):
            raise foreign(self.directory, name, f"{found.st_size} bytes that begin with {start[:4]!r}")
        raise KeyExistsError(
            f"key {name} holds a different object in {self.directory.path!a}",
            remedy="objects are written once: encode the new one with a new id",
        )

    def _is_named(self, name: str, descriptor: int) -> bool:
        """Tell whether a name still refers to an open file."""
        named, own = self.directory.stat(name), os.fstat(descriptor)
        return named is not None and (named.st_ino, named.st_dev) == (own.st_ino, own.st_dev)

    def _remove_with_claim(self, name: str, found: os.stat_result | None) -> bool:
        """Remove an object first and then its claim: the other way round another could claim it in between."""
        there = found is not None and self.unlink(name, found)
        self.directory.remove(name + CLAIM_SUFFIX)
        return there

    def _remove_expired_now(self, name: str) -> None:
        """Remove an object that a reader found expired, unless that takes waiting or fails: others will meet it."""
        with suppress(OSError, PskError):
            self._remove_expired(name, 0.0)

    def _remove_expired(self, name: str, deadline: float) -> int | None:
        """Remove an object if it has expired; return its time, which may be `NEVER`, or None if it is gone."""
        opened = open_file(self.directory, name)
        if opened is None:
            return None
        descriptor = opened[0]

        def remove() -> int | None:
            expires = self.locate(descriptor, os.fstat(descriptor).st_size)[1]
            if not self._is_over(expires) or not self._is_named(name, descriptor):
                return expires
            self.directory.remove(name)  # not for reuse: the segment may be read for long
            self.directory.remove(name + CLAIM_SUFFIX)
            return None

        try:
            # Locked: a renewal in another process that has succeeded must never be undone.
            return self.alone(descriptor, deadline, f"removing {name}", remove)
        finally:
            os.close(descriptor)

    def _claim(self, name: str, descriptor: int, claim: bytes, lease: float | None, deadline: float) -> bool:
        """Tell whether a claim wins an open, unexpired object, and write it down; called by one process at a time."""
        if not self._is_named(name, descriptor):
            return False
        file = name + CLAIM_SUFFIX
        holder = self._holder(file)
        if holder is not None and holder != claim:
            return False
        if holder is None or not self._renew_claim(file, len(claim), lease):
            self.mark.set()
            self.directory.remove(file)
            place(
                self.directory, file, [claim], len(claim), ttl=lease, clock=self.clock, durable=False, deadline=deadline
            )
            self.mark.set()  # again, as in `put`
        if self._is_named(name, descriptor):
            return True
        self.directory.remove(file)  # the object was evicted in between
        return False

    def _renew_claim(self, file: str, length: int, lease: float | None) -> bool:
        """Restart the lease of a claim in its own file: a held claim is never removed to be placed again."""
        opened = open_to_renew(self.directory, file)
        if opened is None:
            return False
        try:
            expires = self.clock.after(self.directory, lease)
            write_record(opened[0], record_offset(length), self.clock.kind, expires)
        finally:
            os.close(opened[0])
        return True

    def _holder(self, file: str) -> bytes | None:
        opened = open_file(self.directory, file)
        if opened is None:
            return None
        try:
            content = os.read(opened[0], 4096)
        finally:
            os.close(opened[0])
        claim, kind, rest = content.partition(self.clock.kind)
        expires = parse_record(kind + rest, self.clock.kind)
        return None if expires is not None and self._is_over(expires) else claim.rstrip(b"\0")
