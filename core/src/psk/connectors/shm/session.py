"""Enter sessions: objects in shared memory belong to one process, or to all that use a name, and go when it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from psk.connectors.directory.directory import READ_DIRECTORY, failure
from psk.connectors.directory.expiry import DOUBTED, MARK
from psk.connectors.directory.locks import close_shared, try_lock, unlock
from psk.connectors.directory.objects import is_object_name
from psk.connectors.directory.writing import DRAFTS
from psk.connectors.reaper import REAPER
from psk.connectors.shm.liveness import (
    GUESTS,
    REMOVALS,
    has_guests,
    hold,
    is_still_there,
    remove_tree,
    session_path,
    set_aside,
    sweep_later,
)
from psk.connectors.shm.segments import FREE, Pool
from psk.errors import ChannelUnavailableError, PskError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk.connectors.directory.directory import Directory

SHARED_SPACE: Final = "main"
"""The one space of a session with a name."""

LISTEN_SECONDS: Final = 0.25
"""Seconds between two checks by a guest that the owner of its session is alive."""


class Space:
    """A place in a session: a directory that all connectors of this process that use it share.

    Attributes:
        session: The session; this process has entered it.
        name: Its name.
        path: Its directory.
        pool: The free segments in it.
        users: How many connectors have it open.
    """

    __slots__ = ("name", "path", "pool", "session", "users")

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name
        self.path = f"{session.path}/{name}"
        self.pool = Pool()
        self.users = 0


class Session:
    """Hold this process's part in one session.

    Args:
        path: The session's directory.
        name: What it is called in URIs.
        is_guest: Whether it belongs to another process.
        create: Whether to make it if it is missing.

    Attributes:
        create: The same, from then on.
        must_check: Whether `check` has anything to say before the session is used.
        entering: How many threads are opening spaces.
        spaces: What this process has open, by name.

    Raises:
        ChannelUnavailableError: It has ended, or belongs to another user.
    """

    __slots__ = (
        "__weakref__",
        "_hold",
        "_is_guest",
        "_is_over",
        "_lock",
        "create",
        "entering",
        "must_check",
        "name",
        "path",
        "spaces",
    )

    def __init__(self, path: str, name: str, *, is_guest: bool, create: bool) -> None:
        self.path = path
        self.name = name
        self.spaces: dict[str, Space] = {}
        self.entering = 0
        self.create = create
        self.must_check = False
        # Re-entrant, since the garbage collector may close connectors at any moment.
        self._lock = threading.RLock()
        self._is_guest = is_guest
        self._is_over = False
        self._hold = -1
        self._enter()

    def check(self) -> None:
        """Make sure that the session goes on; in a forked child, listen to its end first.

        Raises:
            ChannelUnavailableError: It has ended.
        """
        if self._is_over:
            raise self.ended()
        if self._is_guest and self._hold < 0:
            with self._lock:
                if self._hold < 0:
                    self._enter()
        self.must_check = False

    def check_alive(self) -> None:
        """Make sure that the session goes on, without waiting for the background thread; errors as of `check`."""
        self.check()
        if self._is_guest and self._hear():
            raise self.ended()

    def ended(self) -> ChannelUnavailableError:
        """Build the error that says that the session has ended."""
        return gone(f"the session shm://{self.name} has ended, and its objects with it")

    def is_usable(self) -> bool:
        """Tell whether new connectors may still use this object."""
        return not self._is_over and (self._is_guest or self._hold < 0 or is_still_there(self._hold, self.path))

    def revive(self) -> None:
        """Make the session's directory again if it was removed; only for the processes it lives by.

        Raises:
            ChannelUnavailableError: It is another's, or has ended.
        """
        self.check()
        if not self._is_guest and not is_still_there(self._hold, self.path):
            self._release()
            self._enter()

    def reap(self) -> float | None:
        """Listen to the owner, and free what it left; return when to listen again. Called by the background thread."""
        if self._hold < 0 or self._hear():
            return None
        return time.monotonic() + LISTEN_SECONDS

    def leave(self) -> bool:
        """Remove what is empty, after the last connector left a space; tell whether nothing is held any more."""
        if self._is_guest:
            if not self.spaces:
                self._release()
            return not self.spaces
        return self._leave_own() if is_token(self.name) else self._leave_shared()

    def finish(self) -> None:
        """End it with this process."""
        self._is_over = self.must_check = True
        if self._is_guest or self._hold < 0:
            return
        for space in list(self.spaces.values()):  # daemon threads may be opening others
            space.pool.let_go()
        unlock(self._hold)
        self._release()
        with suppress(OSError, PskError):
            if dead := set_aside(self.path):  # in one step, so that guests put nothing more
                remove_tree(dead)

    def become_guest(self) -> None:
        """Go on in a forked child: an owner's is a guest there, a shared one's has a hold of its own."""
        self._lock = threading.RLock()
        inherited, self._hold = self._hold, -1
        self._is_guest = is_token(self.name)
        try:
            if not self._is_guest:
                self._enter()
        except (OSError, ChannelUnavailableError):
            self._is_over = True
        self.must_check = self._is_over or self._is_guest
        close_shared(inherited)

    def _enter(self) -> None:
        try:
            if self._is_guest:
                self._hold = hold(f"{self.path}/{GUESTS}", create=False)
                self.check_alive()
                REAPER.watch(self, time.monotonic() + LISTEN_SECONDS)
            else:
                self._hold = hold(self.path, create=self.create)
        except BaseException as error:
            self._release()
            # Ctrl-C may come between making the directory and marking it; one that another process holds stays.
            with suppress(OSError, PskError):
                if path := set_aside(self.path):
                    remove_tree(path)
            if isinstance(error, FileNotFoundError):
                raise self.ended() from None
            if isinstance(error, OSError | ImportError) and not isinstance(error, PskError):
                raise failure(error, "enter the session", self.path) from error
            raise

    def _hear(self) -> bool:
        """Tell whether the owner is gone; if so, nobody finds the session any more, and its memory is freed soon."""
        dead = None
        with suppress(OSError, PskError):
            dead = set_aside(self.path)
        if dead is None:
            return False
        self._is_over = self.must_check = True
        if dead:
            REMOVALS.add([dead])  # which is completed at the end of the process, if it comes first
        for space in list(self.spaces.values()):
            space.pool.let_go()
        return True

    def _leave_own(self) -> bool:
        # Guests may be about to put results: what they have open stays, and goes with the process.
        if has_guests(self.path):
            return False
        for name in os.listdir(self._hold):  # noqa: PTH208  pathlib knows no descriptors
            if name not in self.spaces and name != GUESTS:
                _remove_if_empty(name, self._hold)
        if self.spaces or os.listdir(self._hold) not in ([GUESTS], []):  # noqa: PTH208  as above
            return False
        remove_tree(self.path)
        self._release()
        return True

    def _leave_shared(self) -> bool:
        if self.spaces or self._has_objects():
            return False
        # With the lock: another process may have put an object and left since the first look.
        if try_lock(self._hold):
            if self._has_objects():
                try_lock(self._hold, shared=True)
                return False
            remove_tree(self.path)
        self._release()
        return True

    def _has_objects(self) -> bool:
        try:
            return any(map(is_object_name, _names(SHARED_SPACE, self._hold)))
        except FileNotFoundError:
            return False

    def _release(self) -> None:
        held, self._hold = self._hold, -1
        if self._is_guest:
            REAPER.forget(self)
        close_shared(held)


_lock = threading.RLock()
_sessions: dict[str, Session] = {}
_token = ""
_is_registered = False


def enter_space(root: str, name: str | None, space_name: str | None, entered: list[Space], *, create: bool) -> None:
    """Open a space of a session; what dead sessions left is removed meanwhile.

    Args:
        root: Where sessions are.
        name: The session; None for this process's own, and then `space_name` is None too, for a new space.
        space_name: The space; None for the one of a session with a name.
        entered: Where to note the space, to be left with `leave_space` also if an interrupt comes before the return.
        create: Whether to make session and space if they are missing.

    Raises:
        ChannelUnavailableError: The session has ended, or cannot be entered.
    """
    global _token  # noqa: PLW0603  one session per process is the point
    sweep_later(root)
    with _lock:
        if name is None:
            _token = name = _token or f"~{os.urandom(8).hex()}"
            space_name = os.urandom(4).hex()
        path = session_path(root, name)
        session = _sessions.get(path)
        if session is None or not session.is_usable():
            _register_exit()
            is_guest = is_token(name) and name != _token
            session = _sessions[path] = Session(path, name, is_guest=is_guest, create=create)
        session.create = session.create or create
        place = space_name or SHARED_SPACE
        # The garbage collector may close other connectors at any moment, in this very thread.
        session.entering += 1
        try:
            session.check()  # in a forked child it has not been entered yet
            space = session.spaces.get(place)
            if space is None:
                space = session.spaces[place] = Space(session, place)
            space.users += 1
            entered.append(space)
        except BaseException:
            session.entering -= 1
            _leave(session)
            raise
        session.entering -= 1


def leave_space(space: Space, directory: Directory | None) -> None:
    """Let go of a space; the last one to do so removes it if it is empty, and its session too if that is.

    Args:
        space: As `enter_space` noted it.
        directory: Its open directory, to give free memory back.
    """
    with _lock:
        space.users -= 1
        session = space.session
        if space.users or session.spaces.get(space.name) is not space:
            return
        if directory is not None:
            with suppress(OSError):
                space.pool.drop(directory)
        del session.spaces[space.name]
        _leave(session)


def is_token(name: str) -> bool:
    """Tell whether a session belongs to the one process that made it."""
    return name.startswith("~")


def gone(what: str) -> ChannelUnavailableError:
    """Build the error for a session whose objects are gone with its processes; opening it again brings none back."""
    return ChannelUnavailableError(
        what,
        remedy="keep the process running that opened it, of a session with a name the last one, until every reader is "
        "done; objects in a file:// store need no process",
    )


def _leave(session: Session) -> None:
    if session.entering:
        return
    try:
        is_left = session.leave()
    except OSError:  # without a descriptor to see which processes use it, it stays until this process ends
        return
    if is_left and _sessions.get(session.path) is session:
        del _sessions[session.path]


def _remove_if_empty(space: str, session: int) -> None:
    """Remove the directory of a space that has no objects."""
    for directory in (f"{space}/{FREE}", f"{space}/{DRAFTS}"):
        with suppress(OSError):
            os.rmdir(directory, dir_fd=session)
    with suppress(OSError):  # there are objects in it
        if all(name in {MARK, DOUBTED} for name in _names(space, session)):
            for mark in (MARK, DOUBTED):
                with suppress(FileNotFoundError):
                    os.unlink(f"{space}/{mark}", dir_fd=session)
            os.rmdir(space, dir_fd=session)


def _names(place: str, parent: int) -> Iterator[str]:
    descriptor = os.open(place, READ_DIRECTORY, dir_fd=parent)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                yield entry.name
    finally:
        os.close(descriptor)


def _register_exit() -> None:
    global _is_registered  # noqa: PLW0603  once for each process
    if _is_registered:
        return
    _is_registered = True
    import atexit

    atexit.register(_finish)
    finalizers = sys.modules.get("multiprocessing.util")
    if finalizers is not None:
        # Before Python 3.13 the forked children of multiprocessing end without exit handlers, but with these.
        finalizers.Finalize(None, _finish, exitpriority=-100)


def _finish() -> None:
    for session in list(_sessions.values()):
        with suppress(OSError):
            session.finish()
    REMOVALS.reap()  # what the background thread had no time for


def _continue_in_child() -> None:
    global _is_registered, _token  # noqa: PLW0603  the session is the parent's
    try:
        _token = ""
        _is_registered = False
        for session in list(_sessions.values()):
            session.become_guest()
    finally:
        _lock.release()


if hasattr(os, "register_at_fork"):
    # Not while another thread enters or leaves a session: the child would have descriptors that it does not know of,
    # and with them the locks by which the session lives.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_continue_in_child)
