"""The leak check catches what it looks for. Each test plants one leak."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

import psk
from faults import leaks, temporary
from psk.connectors.shm.liveness import ROOT


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(leaks, "SETTLE_SECONDS", 0.05)


def test_a_clean_test_leaves_nothing():
    assert leaks.leaked_since(leaks.snapshot()) == []


def test_an_open_descriptor_is_caught():
    before = leaks.snapshot()
    read, write = os.pipe()
    assert len(leaks.leaked_since(before)) == 2
    os.close(read)
    os.close(write)


def test_a_running_thread_is_caught():
    before, stop = leaks.snapshot(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="planted")
    thread.start()
    assert any("planted" in left for left in leaks.leaked_since(before))
    stop.set()
    thread.join()


def test_a_child_process_is_caught():
    before = leaks.snapshot()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert f"child process {child.pid}" in leaks.leaked_since(before)
    child.communicate()


def test_a_session_of_others_is_not_ours(tmp_path):
    before = leaks.snapshot()
    program = "import os, psk; psk.Store.from_uri('shm://').put(1); os.kill(os.getpid(), 9)"
    elsewhere = {**os.environ, temporary.ROOT_VARIABLE: str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=elsewhere, check=False)
    assert leaks.leaked_since(before) == []
    assert psk.sweep(str(tmp_path)) == 1


def test_a_session_that_nobody_uses_is_caught():
    before = leaks.snapshot()
    program = "import os, psk; psk.Store.from_uri('shm://').put(1); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", program], check=False)
    assert any(f"{ROOT}/psk-" in left for left in leaks.leaked_since(before))
    assert psk.sweep() == 1
    assert leaks.leaked_since(before) == []


def test_shared_memory_with_our_name_is_caught():
    before = leaks.snapshot()
    planted = Path(f"{ROOT}/psk-planted-{os.getpid()}")
    planted.touch()
    assert leaks.leaked_since(before) == [f"file {planted}"]
    planted.unlink()


def test_a_temporary_file_with_our_name_is_caught():
    before = leaks.snapshot()
    descriptor, planted = tempfile.mkstemp(prefix="psk-planted-")
    os.close(descriptor)
    assert leaks.leaked_since(before) == [f"file {planted}"]
    os.unlink(planted)


def test_what_others_leave_in_their_temporary_directory_is_not_looked_at(tmp_path):
    (tmp_path / "psk-of-others").touch()
    assert tempfile.gettempdir() == os.environ["TMPDIR"]
    assert not any("psk-of-others" in left for left in leaks.named_residue())
    assert any("psk-of-others" in left for left in residue_in(tmp_path))


def residue_in(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(place))
        return leaks.named_residue()


def test_a_run_has_a_temporary_directory_of_its_own_while_it_lasts():
    before = tempfile.gettempdir(), os.environ["TMPDIR"]
    end = temporary.begin()
    own = Path(tempfile.gettempdir())
    try:
        assert own.parent == Path(before[0])
        program = "import tempfile; print(tempfile.gettempdir())"
        child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert child.stdout.strip() == str(own)
        (own / "locked").mkdir()
        (own / "locked/file").touch()
        (own / "locked").chmod(0o500)
    finally:
        end()
    assert not own.exists()
    assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == before
