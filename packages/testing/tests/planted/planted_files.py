"""Connectors with bugs that show only between processes or on a disk."""

import atexit
import ctypes
import os
import signal
import sys
import threading
import time

from psk.connectors.file import FileConnector
from psk.errors import ChannelFullError


class Torn(FileConnector):
    """Writes under the final name, bit by bit, and is at it nearly all the time: whoever kills it meets it there."""

    scheme = "torn"

    def put(self, payload, **options):
        whole = payload.tobytes()
        try:
            descriptor = os.open(f"{self._channel.path}/{payload.key}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        except FileExistsError:
            return super().put(payload, **options)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            for part in (whole[: len(whole) // 2], whole[len(whole) // 2 :]):
                file.write(part)
                time.sleep(0.03)
        return payload.key


class Forgetful(FileConnector):
    """Keeps claims in the memory of its process."""

    scheme = "forgetful"

    def take(self, key, claim, **options):
        self.claims = {} if not hasattr(self, "claims") else self.claims
        return self.get(key) if self.claims.setdefault(key, claim) == claim else None


class ClearingEverything(FileConnector):
    """Empties its directory, whatever is in it."""

    def clear(self, **options):
        cleared = super().clear(**options)
        for name in os.listdir(self._channel.path):
            os.unlink(f"{self._channel.path}/{name}")
        return cleared


class NeverFull(FileConnector):
    """Forgets the error when there is no room."""

    def put(self, payload, **options):
        try:
            return super().put(payload, **options)
        except ChannelFullError:
            return payload.key


class EndingBadly(FileConnector):
    """Does something at the end of a process, but not of the one with the tests."""

    def __init__(self, path, **options):
        super().__init__(path, **options)
        if "pytest" not in sys.modules:
            atexit.register(self.end)


class CrashingAtExit(EndingBadly):
    scheme = "crashing"

    def end(self):
        os.kill(os.getpid(), signal.SIGSEGV)


class HangingAtExit(EndingBadly):
    scheme = "hanging"

    def end(self):
        threading.Event().wait()


class ComplainingAtExit(EndingBadly):
    scheme = "complaining"

    def end(self):
        raise RuntimeError("the client is not connected any more")


class EndingAForkedChildBadly(EndingBadly):
    """Ends a process that has been forked from one with the channel open with an exit code of its own."""

    scheme = "forked-badly"

    def __init__(self, path, **options):
        super().__init__(path, **options)
        self.pid = os.getpid()

    def end(self):
        if os.getpid() != self.pid:
            os._exit(3)


class HangingElsewhere(FileConnector):
    """Hangs in native code, with the interpreter's lock held, in any process but that of the tests."""

    scheme = "hanging-elsewhere"

    def get(self, key, **options):
        while "pytest" not in sys.modules:
            ctypes.PyDLL(None).pause()
        return super().get(key, **options)


CAUGHT_BY = {
    Torn: ("test_a_killed_writer_leaves_whole_objects_or_none", "C14", "C38"),
    Forgetful: ("test_a_take_has_one_winner_among_processes", "C47"),
    ClearingEverything: ("test_foreign_things_stay", "C56"),
    CrashingAtExit: ("test_a_process_ends_well_that_leaves_it_open", "C34"),
    HangingAtExit: ("test_a_process_ends_well_that_leaves_it_open", "C34"),
    ComplainingAtExit: ("test_a_process_ends_well_that_leaves_it_open", "C34"),
    EndingAForkedChildBadly: ("test_forked_pools_resolve_and_every_process_ends_well", "C8", "C34"),
    HangingElsewhere: ("test_another_process_opens_the_channel", "C5"),
    NeverFull: ("test_a_full_channel_says_so", "C20"),
}
"""What finds it, and the rules that it must name."""
