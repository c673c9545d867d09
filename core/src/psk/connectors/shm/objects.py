"""Keep the objects of a space: small ones in files that are copied, large ones in segments that are mapped."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from psk.connectors import deadline_error
from psk.connectors.arguments import expired
from psk.connectors.directory.channel import Channel
from psk.connectors.directory.directory import FULL, NO_DESCRIPTORS, Directory, open_file, open_to_renew
from psk.connectors.directory.expiry import NEVER, RECORD_BYTES, Clock, find_record, read_record
from psk.connectors.directory.locks import exclusively, pauses, try_lock
from psk.connectors.directory.objects import Objects
from psk.connectors.directory.reading import read_frames
from psk.connectors.directory.writing import sweep_drafts
from psk.connectors.shm.liveness import check_private, sweep
from psk.connectors.shm.mapping import Mapping
from psk.connectors.shm.segments import (
    LARGEST_COPIED,
    SEGMENT_BYTES,
    Filling,
    Pool,
    Segment,
    most_reused,
    used_bytes,
    whole_pages,
)
from psk.errors import ChannelFullError, ChannelUnavailableError, PayloadError, PskError, ShmFullError
from psk.wire import ALIGNMENT, Frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from psk.connectors.directory.writing import Draft, Memory
    from psk.connectors.shm.session import Space
    from psk.wire import Payload

    T = TypeVar("T")

BOOT_CLOCK: Final = Clock()

# Where a payload's header says whose it is and how long it is: docs/wire.md.
_START: Final = Struct("<8x16sQ")
_REMOVED: Final = 256  # objects that are deleted while the space is locked once
_SHORT_OF: Final = NO_DESCRIPTORS | {errno.ENOMEM, errno.EAGAIN}
_REMEDY: Final = (
    "evict objects or clear the store, or give more memory: mount -o remount,size=..., in a container --shm-size"
)


class SharedObjects(Objects):
    """Operate on the objects of a space.

    Args:
        directory: Its directory.
        pool: Its free segments.
        max_bytes: What its objects, free segments and allocations may use together; None for no limit.
        reuse_bytes: What free segments may use; None for a quarter of the file system, at most 1 GiB.
    """

    __slots__ = ("_max_bytes", "_reuse_bytes", "_unchecked", "pool")

    is_private: ClassVar[bool] = True

    def __init__(self, directory: Directory, pool: Pool, max_bytes: int | None, reuse_bytes: int | None) -> None:
        super().__init__(directory, BOOT_CLOCK)
        self.pool = pool
        self._max_bytes = max_bytes
        reused = most_reused(directory) if reuse_bytes is None else reuse_bytes
        self._reuse_bytes = reused if max_bytes is None else min(reused, max_bytes)
        # Bytes that may be put before the space is counted again.
        self._unchecked = 0

    def open(self, name: str, deadline: float, *, writable: bool = False) -> tuple[int, os.stat_result] | None:
        """Open the object under a name so that nobody writes into it any more; None if it is missing.

        Between opening a name and locking the file the object may have been evicted and its segment used for another
        one. So the name is looked at again under the lock: if it still means this file, then the file is this object,
        and stays it for as long as the lock is held.

        Returns:
            Descriptor, which holds the lock, and what stat says of it now.

        Raises:
            DeadlineError: A writer held the lock until the deadline.
            ChannelDataError: Something that is not an object of psk has the name.
        """
        opened = self._open_locked(name, writable=writable)
        if opened is not False:
            return opened
        for _ in pauses(deadline):
            opened = self._open_locked(name, writable=writable)
            if opened is not False:
                return opened
        raise deadline_error(f"waiting for the writer of {name}")

    def _open_locked(self, name: str, *, writable: bool) -> tuple[int, os.stat_result] | Literal[False] | None:
        """Do what `open` does; False if the object is being placed at this instant, or gone, or there again."""
        opened = open_to_renew(self.directory, name) if writable else open_file(self.directory, name)
        if opened is None:
            return None
        descriptor, before = opened
        if before.st_size < SEGMENT_BYTES:
            return opened  # never used again, so there is nothing to lock
        try:
            if try_lock(descriptor, shared=True) and (found := self.still_named(name, before)) is not None:
                descriptor = -1
                return opened[0], found
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return False

    def still_named(self, name: str, opened: os.stat_result) -> os.stat_result | None:
        """Return what stat says of a name if it means the file that was opened; None otherwise."""
        named = self.directory.stat(name)
        return named if named is not None and named.st_ino == opened.st_ino else None

    def locate(self, descriptor: int, size: int) -> tuple[int, int]:
        """Return where to stop reading a file of so many bytes, and when its object expires.

        A segment has its record behind its last page, where it is found without a look at the header. So the size of
        a file tells that there is none.
        """
        if size % ALIGNMENT != RECORD_BYTES:  # what `has_room_for_record` tells, without its call for each get
            return size, NEVER
        if size < SEGMENT_BYTES:
            return find_record(descriptor, size, BOOT_CLOCK.kind)
        end = size - RECORD_BYTES
        return end, read_record(descriptor, end, BOOT_CLOCK.kind)

    def payload_length(self, descriptor: int, end: int, name: str) -> int:
        """Return the length of the payload, which in a segment its header says."""
        return end if end < SEGMENT_BYTES else _length(os.pread(descriptor, _START.size, 0), end, name)

    def is_whole(self, descriptor: int, size: int) -> bool:
        """Tell whether a record behind a file is found again: behind a segment always."""
        return size >= SEGMENT_BYTES or super().is_whole(descriptor, size)

    def read(self, descriptor: int, end: int, name: str, deadline: float) -> Frames:
        """Return the payload in private memory: a segment mapped copy-on-write, a small file copied."""
        if end < SEGMENT_BYTES:
            return super().read(descriptor, end, name, deadline)
        try:
            view = Mapping(descriptor, end, shared=False).view
        except OSError as error:
            if error.errno not in _SHORT_OF:
                raise
            return read_frames(descriptor, self.payload_length(descriptor, end, name), name, deadline)
        return Frames((view[: _length(view, end, name)],))

    def place(self, name: str, payload: Payload, nbytes: int, ttl: float | None, deadline: float) -> bool:
        """Copy a payload into a file or a segment and give it its name; False if the name is taken."""
        if nbytes <= LARGEST_COPIED:
            if self._max_bytes is not None:
                self._check_limit(nbytes)
            return super().place(name, payload, nbytes, ttl, deadline)
        if self.directory.stat(name) is not None:
            return False  # put again, it is not copied once more: there might be no room for it
        filling = self._filling(nbytes, deadline)
        try:
            filling.segment.fill(payload, nbytes, deadline)
            expires = None if ttl is None else self.clock.after(self.directory, ttl)
            return filling.finish(name, nbytes, expires, self.clock, durable=False)
        except FileNotFoundError:
            # Its free name was removed by another process that emptied the pool: without a name it cannot be placed.
            if not filling.segment.name or not self.directory.is_there():
                raise
            return False
        finally:
            filling.close()

    def unlink(self, name: str, found: os.stat_result) -> bool:
        """Remove the file under a name; a segment becomes free for later puts."""
        is_segment = stat.S_ISREG(found.st_mode) and found.st_size >= SEGMENT_BYTES
        if is_segment and self.pool.release(self.directory, name, found, self._reuse_bytes):
            return True
        return self.directory.remove(name)

    def alone(
        self,
        descriptor: int,  # noqa: ARG002  files are locked themselves
        deadline: float,
        doing: str,
        decide: Callable[[], T],
        *,
        nests: bool = True,
    ) -> T:
        """Call a function while no other process decides about the same object.

        The lock is that of the space: an object's own lock cannot serve, since every reader that maps it holds it.
        """
        return exclusively(self.directory, deadline, doing, decide, nests=nests)

    def remove_unmarked(self, names: list[str], deadline: float, doing: str) -> int:
        """Delete objects where nothing expires and nothing is claimed: by their names, since only psk writes here.

        No object can expire, and so be removed by another process, while the lock of the space is held.
        """
        count = 0

        def remove() -> bool:
            nonlocal count
            if self.mark.is_set():
                return False
            count += sum(map(self.directory.remove, names[-_REMOVED:]))
            del names[-_REMOVED:]
            return True

        while names:
            expired(deadline, doing)
            if not exclusively(self.directory, deadline, doing, remove):
                break
        return count

    def give_back(self) -> None:
        """Give free segments back to the system."""
        self.pool.drop(self.directory)

    def reserve(self, nbytes: int, deadline: float) -> Memory:
        """Return mapped memory for an object of so many bytes; with a limit, other processes count it from now on."""
        self._unchecked = 0  # what this process may put without counting others do not know of
        if nbytes > LARGEST_COPIED:
            filling = self._filling(nbytes, deadline)
            try:
                filling.map()
            except BaseException:
                filling.close()
                raise
            return filling
        if self._max_bytes is None:
            return self.mapped_draft(nbytes)

        def counted() -> Draft:
            self._check_limit(nbytes)
            return self.mapped_draft(nbytes, named=True)

        return exclusively(self.directory, deadline, "allocating memory", counted)

    def _filling(self, nbytes: int, deadline: float) -> Filling:
        """Return a segment to fill, free or new."""
        segment = self.pool.take(self.directory, nbytes) or self._created(nbytes, deadline)
        return Filling(self.directory, self.pool, segment, self._reuse_bytes)

    def _created(self, nbytes: int, deadline: float) -> Segment:
        if self._max_bytes is None:
            return Segment.create(self.directory, nbytes)

        def counted() -> Segment:
            self._check_limit(nbytes)
            segment = Segment.create(self.directory, nbytes)
            segment.name_free(self.directory)
            return segment

        # Locked from the counting until others can count it too, or two processes could use the same room.
        return exclusively(self.directory, deadline, "allocating memory", counted)

    def _check_limit(self, nbytes: int) -> None:
        """Make sure that a new file of `nbytes` bytes stays within the limit of the space.

        Counting means to look at every file, so small objects share one count: at most an eighth of what was left may
        be put before the next.

        Raises:
            ShmFullError: It would not, even without free segments.
        """
        size = whole_pages(nbytes)
        if size <= self._unchecked:
            self._unchecked -= size
            return
        left = (self._max_bytes or 0) - used_bytes(self.directory)
        if size > left:
            self.make_room()
            left = (self._max_bytes or 0) - used_bytes(self.directory)
        if size > left:
            raise ShmFullError(
                f"no room in {self.directory.path!a}, which may use max_bytes={self._max_bytes}",
                found=[f"object of {nbytes} bytes", f"{max(left, 0)} bytes free"],
                remedy="evict objects or clear the store, or raise max_bytes",
            )
        self._unchecked = (left - size) // 8

    def make_room(self) -> None:
        """Give back all memory that nobody uses: of free segments, dead writers and dead sessions."""
        self.pool.drop(self.directory)
        with suppress(OSError, PskError):
            for _ in sweep_drafts(self.directory, self.clock):
                pass
        sweep(os.path.dirname(os.path.dirname(self.directory.path)))  # noqa: PTH120  pathlib costs 10 ms of import


class SharedChannel(Channel):
    """The channel of one connector in a space.

    Args:
        space: The space; this process has entered its session.
        create: Whether to make its directory if it is missing.
        max_bytes: As of `SharedObjects`.
        reuse_bytes: As of `SharedObjects`.
    """

    __slots__ = ("_max_bytes", "_reuse_bytes", "_session", "_uri", "space")

    def __init__(self, space: Space, *, create: bool, max_bytes: int | None, reuse_bytes: int | None, uri: str) -> None:
        self.space = space
        self._session = space.session
        self._uri = uri
        self._max_bytes = max_bytes
        self._reuse_bytes = reuse_bytes
        super().__init__(space.path, create=create)

    def opened(self) -> Objects:
        """Return the objects of the space; errors as of `Channel.opened`, or because the session has ended."""
        objects = self._objects or super().opened()
        if self._session.must_check:
            self._session.check()
        return objects

    def uri(self) -> str:
        """Name the channel in messages."""
        return self._uri

    def _open(self, *, create: bool) -> Objects:
        session = self._session
        try:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(self.path, 0o700)  # noqa: PTH102  pathlib costs 10 ms of import
            directory = Directory(self.path, create=False)
            check_private(directory.descriptor, self.path)
        except FileNotFoundError:
            raise session.ended() from None
        except ChannelUnavailableError:
            session.check_alive()
            raise
        return SharedObjects(directory, self.space.pool, self._max_bytes, self._reuse_bytes)

    def _recover(self, objects: Objects, error: OSError | None, *, writing: bool) -> Objects | None:
        """Return with which objects to try again; None if that is the answer."""
        # There was no room: what is only kept for later puts gives way, and the operation is tried again.
        if error is not None and error.errno in FULL and isinstance(objects, SharedObjects):
            objects.make_room()
            return objects
        # Descriptors ran short: give up those that only make puts quicker.
        if error is not None and error.errno in NO_DESCRIPTORS and self.space.pool.let_go():
            return objects
        if objects.directory.is_there():
            return None
        session = self._session
        if writing:
            session.revive()
            return self._reopen(create=True)
        session.check_alive()
        raise ChannelUnavailableError(
            f"the directory {self.path!a} was removed, with all objects in it",
            remedy="find out what empties the session's directory; the next put makes it again",
        )

    def typed(self, error: OSError | ImportError, doing: str, nbytes: int) -> PskError:
        """Build the error for a failed operation."""
        known = super().typed(error, doing, nbytes)
        if not isinstance(known, ChannelFullError):
            return known
        remedy = known.remedy if getattr(error, "errno", None) == errno.EFBIG else _REMEDY
        return ShmFullError(str(known.args[0]), found=known.found, remedy=remedy)


def _length(start: bytes | memoryview, size: int, name: str) -> int:
    """Return how much of a segment is the object, which may be shorter than it; damage is for others to find."""
    object_id, nbytes = _START.unpack_from(start)
    if object_id.hex() != name:
        raise PayloadError(
            f"the file {name} does not hold this object",
            found=[f"object {object_id.hex()}"],
            remedy="put the object again, and find out what else writes in the directory",
        )
    return min(max(int(nbytes), _START.size), size)
