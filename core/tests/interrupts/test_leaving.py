"""The interpreter's end: no finaliser waits for what a thread held that was stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from psk.connectors import open_connector

LEAVING = Path(__file__).with_name("leaving.py")
# A hang has no end; a busy machine is only slow.
LIMIT_SECONDS = 60


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scheme", ["local", "file", "shm"])
def test_a_process_ends_though_daemon_threads_are_at_work(scheme, tmp_path, scale):
    for number in range(scale("interrupts.exits")):
        uri = f"file://{tmp_path}/objects" if scheme == "file" else f"{scheme}://leaving-{os.getpid()}-{number}"
        command = [sys.executable, str(LEAVING), uri]
        done = subprocess.run(command, stderr=subprocess.PIPE, timeout=LIMIT_SECONDS, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    # What a stopped thread had just begun is removed by the next one to open a channel.
    open_connector("shm://").close()


@pytest.mark.parametrize("scheme", ["local", "shm"])
def test_a_finaliser_is_silent_when_its_module_has_been_emptied(scheme, monkeypatch):
    connector = open_connector(f"{scheme}://emptied-{os.getpid()}")
    for name in ("sys", "suppress"):
        monkeypatch.setitem(vars(sys.modules[type(connector).__module__]), name, None)
    connector.__del__()
    monkeypatch.undo()
    connector.close()
