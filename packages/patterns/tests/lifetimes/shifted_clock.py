"""Shift and step the wall clock of a process with libfaketime."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOLDER = """
import ctypes, os, select, sys, time
def utime(descriptor, *, ns=None):
    # The time of a file is the file server's to set: libfaketime would put this process's wrong time in its place.
    call = {"x86_64": 280, "aarch64": 88}[os.uname().machine]
    times = None if ns is None else (ctypes.c_int64 * 4)(*divmod(ns[0], 10**9), *divmod(ns[1], 10**9))
    if ctypes.CDLL(None, use_errno=True).syscall(call, descriptor, None, times, 0):
        raise OSError(ctypes.get_errno(), "utimensat")
os.utime = utime
# Its clock_nanosleep fails with EINVAL now and then, while it reads by how much the clock is to be wrong.
time.sleep = lambda seconds: select.select([], [], [], seconds)
if sys.argv[4] == "True":
    time.monotonic = time.time
import psk
from psk_patterns import LeaseLifetime
uri, ttl, renew = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "True"
with psk.Store("holder", uri) as store:
    lease = None
    for _ in sys.stdin:
        lease = lease or LeaseLifetime(store, ttl, renew=renew)
        key = store.put("held", lifetime=lease)
        print(time.time(), time.monotonic(), key, flush=True)
"""


def library():
    """Give the path of libfaketime; skip where there is none, unless CI says so."""
    for path in sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")):
        return str(path)
    return (pytest.fail if os.environ.get("CI") else pytest.skip)("no libfaketime here; run `make servers`")


class ShiftedHolder:
    """A process that holds objects under a lease, and whose wall clock can be set; ended by `with`.

    Args:
        uri: The channel.
        folder: Where what sets its clock is kept.
        ttl: Seconds of the lease.
        hours: By how much its clock is wrong at first.
        renew: Whether the lease is renewed.
        by_wall_clock: Plants the bug: what asks for the time since boot gets the wall clock's.
    """

    def __init__(self, uri, folder, ttl, hours, *, renew=True, by_wall_clock=False):
        self.setting = folder / f"clock-{os.urandom(4).hex()}"
        self.set_clock(hours)
        environment = {
            **os.environ,
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.setting),
            "FAKETIME_NO_CACHE": "1",
            # A wrong clock changes neither the time since boot nor what a file server says.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, uri, str(ttl), str(renew), str(by_wall_clock)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def set_clock(self, hours):
        """Let its clock be wrong by some hours, from now on or soon."""
        new = self.setting.with_suffix(".new")
        new.write_text(f"{hours * 3600:+}s\n")
        new.replace(self.setting)

    def put(self):
        """Let it put an object; give its wall clock, its monotonic one, and the key."""
        self.process.stdin.write("put\n")
        self.process.stdin.flush()
        wall, monotonic, key = self.process.stdout.readline().split()
        return float(wall), float(monotonic), key

    def kill(self):
        """End it as the kernel does."""
        self.process.kill()
        self.process.communicate()
        for name in ("faketime_shm", "sem.faketime_sem"):  # what the library removes at an exit
            Path(f"/dev/shm/{name}_{self.process.pid}").unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
