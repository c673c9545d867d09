"""To whom do objects belong? To a session: one process, or all that use a name; they go when it ends."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from psk.connectors.file.failures import failure
from psk.connectors.file.sweep import is_object_name
from psk.connectors.shm.liveness import (
    PULSE,
    begin_pulse,
    feel_pulse,
    has_ended,
    has_guests,
    hold,
    is_still_there,
    mark,
    remove_if_dead,
    remove_tree,
)
from psk.connectors.shm.locks import share_nothing, try_lock, try_share
from psk.connectors.shm.options import gone
from psk.connectors.shm.segment import FREE_DIRECTORY
from psk.connectors.shm.watcher import WATCHER
from psk.errors import ChannelUnavailableError, PskError

if TYPE_CHECKING:
    from psk.connectors.shm.space import Space


class Session:
    """Hold this process's part in one session.

    Args:
        path: The session's directory.
        name: What it is called in URIs.
        is_guest: Whether it belongs to another process.
        has_pulse: Whether it ends with its one owner, and not with the last of all that hold it.
        create: Whether to make it if it is missing.

    Attributes:
        create: The same, from then on.

    Raises:
        ChannelUnavailableError: It has ended, or belongs to another user.
    """

    __slots__ = (
        "_has_pulse",
        "_hold",
        "_is_guest",
        "_is_over",
        "_lock",
        "_pulse",
        "create",
        "entering",
        "name",
        "path",
        "spaces",
    )

    def __init__(self, path: str, name: str, *, is_guest: bool, has_pulse: bool, create: bool) -> None:
        self.path = path
        self.name = name
        self.spaces: dict[str, Space] = {}
        self.entering = 0
        self.create = create
        self._lock = threading.RLock()
        self._is_guest = is_guest
        self._has_pulse = has_pulse
        self._is_over = False
        self._hold = self._pulse = -1
        self._enter()

    def check(self) -> None:
        """Make sure that the session goes on; in a forked child, listen to its end first.

        Raises:
            ChannelUnavailableError: It has ended.
        """
        if self._is_over:
            raise self.ended()
        if self._is_guest and self._pulse < 0:
            with self._lock:
                if self._pulse < 0:
                    self._enter()

    def check_pulse(self) -> None:
        """Make sure that the session goes on, without waiting for the watcher to say so; errors as of `check`."""
        self.check()
        if self._is_guest and has_ended(self._pulse):
            raise self.ended()

    def ended(self) -> ChannelUnavailableError:
        """Build the error that says that the session has ended."""
        return gone(f"the session shm://{self.name} has ended, and its objects with it")

    def is_usable(self) -> bool:
        """Tell whether new connectors may still use this object."""
        if self._is_over:
            return False
        return self._hold < 0 or is_still_there(self._hold, self.path)

    def revive(self) -> None:
        """Make the session's directory again if somebody removed it; only for those it lives by.

        Raises:
            ChannelUnavailableError: It is another's, or has ended.
        """
        self.check()
        if not self._is_guest and not is_still_there(self._hold, self.path):
            self._release()
            self._begin()

    def end(self) -> bool:
        """Free what a dead owner left; False if it must be tried again. Called by the watcher."""
        self._is_over = True
        for space in list(self.spaces.values()):
            space.pool.let_go()
        return remove_if_dead(self.path) is not False

    def leave(self) -> bool:
        """Remove what is empty, after the last connector left a space; tell whether nothing is held any more."""
        if self._is_guest:
            if not self.spaces:
                self._release()
            return not self.spaces
        if self._has_pulse:
            return self._leave_own()
        return self._leave_shared()

    def finish(self) -> None:
        """End it with this process."""
        self._is_over = True
        if self._is_guest or self._hold < 0:
            return
        for space in list(self.spaces.values()):  # daemon threads may be opening others
            space.pool.let_go()
        share_nothing(self._pulse)  # guests hear it now, and put nothing more
        self._pulse = -1
        with suppress(OSError):
            if try_lock(self._hold) and is_still_there(self._hold, self.path):
                remove_tree(self.path)
        self._release()

    def become_guest(self) -> None:
        """Go on in a forked child: an owner's is a guest there, a shared one's has a hold of its own."""
        for space in self.spaces.values():
            space.pool.forget()
        self._lock = threading.RLock()
        inherited = self._hold, self._pulse
        self._hold = self._pulse = -1
        try:
            if not self._is_guest and not self._has_pulse:
                self._begin()
        except (OSError, ChannelUnavailableError):
            self._is_over = True
        self._is_guest = self._has_pulse
        for descriptor in inherited:
            share_nothing(descriptor)

    def _enter(self) -> None:
        try:
            if self._is_guest:
                self._attend()
            else:
                self._begin()
        except BaseException as error:
            self._release()
            if isinstance(error, OSError | ImportError) and not isinstance(error, PskError):
                raise failure(error, "enter the session", self.path) from error
            raise

    def _begin(self) -> None:
        while True:
            try:
                self._hold = hold(self.path, create=self.create)
            except FileNotFoundError:
                raise self.ended() from None
            with suppress(FileNotFoundError):  # removed by somebody at this instant
                if self._has_pulse:
                    self._pulse = begin_pulse(self.path)
                else:
                    mark(self.path)
                return
            self._release()

    def _attend(self) -> None:
        pulse = feel_pulse(self.path)
        if pulse is None:
            self._is_over = True
            remove_if_dead(self.path)
            raise self.ended()
        self._pulse = pulse
        WATCHER.watch(pulse, self)

    def _leave_own(self) -> bool:
        # Guests may be about to put results: what they have open stays, and goes with the process.
        if has_guests(self.path):
            return False
        for name in os.listdir(self._hold):  # noqa: PTH208  pathlib knows no descriptors
            if name not in self.spaces and name != PULSE:
                with suppress(FileNotFoundError):
                    os.rmdir(f"{name}/{FREE_DIRECTORY}", dir_fd=self._hold)
                with suppress(OSError):  # there are objects in it
                    os.rmdir(name, dir_fd=self._hold)
        if self.spaces or os.listdir(self._hold) not in ([PULSE], []):  # noqa: PTH208  as above
            return False
        remove_tree(self.path)
        self._release()
        return True

    def _leave_shared(self) -> bool:
        if self.spaces or self._has_objects():
            return False
        # Nobody else may hold it now, but somebody may have put an object and gone: look again.
        if try_lock(self._hold):
            if self._has_objects():
                try_share(self._hold)
                return False
            remove_tree(self.path)
        self._release()
        return True

    def _has_objects(self) -> bool:
        with os.scandir(self._hold) as spaces:
            return any(
                is_object_name(name)
                for space in spaces
                if space.is_dir(follow_symlinks=False)
                for name in _names(space.name, self._hold)
            )

    def _release(self) -> None:
        pulse, self._pulse = self._pulse, -1
        held, self._hold = self._hold, -1
        if self._is_guest and pulse >= 0:
            WATCHER.forget(pulse)
        share_nothing(pulse)
        share_nothing(held)


def _names(place: str, parent: int) -> list[str]:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    try:
        return os.listdir(descriptor)  # noqa: PTH208  pathlib knows no descriptors
    finally:
        os.close(descriptor)
