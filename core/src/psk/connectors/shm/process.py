"""Which sessions does this process take part in? Each once, whatever number of connectors there are."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

from psk.connectors.shm.options import SHARED_SPACE, is_token, session_path
from psk.connectors.shm.session import Session
from psk.connectors.shm.space import Space
from psk.connectors.shm.sweep import sweep
from psk.connectors.shm.watcher import WATCHER

_lock = threading.RLock()
_sessions: dict[str, Session] = {}
_token = ""
_is_registered = False


def enter_space(root: str, name: str | None, space_name: str | None, entered: list[Space], *, create: bool) -> Space:
    """Open a space of a session; what dead sessions left is removed before.

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
    sweep(root)
    with _lock:
        if name is None:
            _token = name = _token or f"~{os.urandom(8).hex()}"
            space_name = os.urandom(4).hex()
        path = session_path(root, name)
        session = _sessions.get(path)
        if session is None or not session.is_usable():
            _register_exit()
            is_own = name == _token
            session = _sessions[path] = Session(
                path, name, is_guest=is_token(name) and not is_own, has_pulse=is_token(name), create=create
            )
        session.create = session.create or create
        place = space_name or SHARED_SPACE
        # The garbage collector may close other connectors at any moment, in this very thread.
        session.entering += 1
        try:
            session.check()  # in a forked child it has not been heard yet
            space = session.spaces.get(place)
            if space is None:
                space = session.spaces[place] = Space(session, place, create=create)
            space.users += 1
            entered.append(space)
        except BaseException:
            session.entering -= 1
            _leave(session)
            raise
        session.entering -= 1
        return space


def leave_space(space: Space) -> None:
    """Let go of a space; the last one to do so removes it if it is empty, and its session too if that is."""
    with _lock:
        space.users -= 1
        session = space.session
        if space.users or session.spaces.get(space.name) is not space:
            return
        space.close()
        del session.spaces[space.name]
        _leave(session)


def _leave(session: Session) -> None:
    if session.entering:
        return
    try:
        is_left = session.leave()
    except OSError:  # without a descriptor to look who else uses it, it stays until this process ends
        return
    if is_left and _sessions.get(session.path) is session:
        del _sessions[session.path]


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


def _continue_in_child() -> None:
    global _is_registered, _token  # noqa: PLW0603  the session is the parent's
    try:
        _token = ""
        _is_registered = False
        WATCHER.reset()
        for session in list(_sessions.values()):
            session.become_guest()
    finally:
        _lock.release()


if hasattr(os, "register_at_fork"):
    # Not while another thread enters or leaves a session: the child would inherit locks that it knows nothing of.
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_continue_in_child)
