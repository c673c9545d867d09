"""`psk ls`, `rm`, `sweep` and a held session do with a channel what they say."""

import os
import pty
import signal
import subprocess
import sys

import pytest

from psk import Store
from psk.cli.output import Exit
from psk.connectors.shm.liveness import ROOT, session_path

MISSING = "0" * 32


def test_a_list_tells_what_there_is(psk, put, uri, source):
    assert psk("ls", uri).out == psk("ls", "-l", uri).out == ""
    keys = {put(uri, source), put(uri, source)}
    assert set(psk("ls", uri).out.split()) == keys
    lines = psk("ls", "--long", uri).out.splitlines()
    assert lines[0].split() == ["KEY", "SIZE", "CODEC", "EXPIRES", "SIGNED", "BY"]
    assert {line.split()[0] for line in lines[1:3]} == keys
    assert lines[1].split()[1:] == ["1.28", "MB", "bytes", "no", "-"]
    assert lines[3] == "2 objects, 2.56 MB"
    assert max(map(len, lines)) <= 80


def test_looking_makes_no_directory(psk, uri, tmp_path):
    for words in (["ls", uri], ["get", uri, MISSING], ["rm", uri, MISSING], ["sweep", uri]):
        psk(*words)
        assert list(tmp_path.iterdir()) == []


def test_all_go_only_on_purpose(psk, put, uri, source, tmp_path):
    keys = {put(uri, source) for _ in range(3)}
    (tmp_path / "objects" / "mine").write_text("not of psk")
    for words in (["rm", uri], ["rm", uri, "--all", MISSING], ["rm", uri, "--all"]):
        assert psk(*words).code == Exit.USAGE
    assert psk("rm", uri, *keys, "no key").code == Exit.USAGE
    assert set(psk("ls", uri).out.split()) == keys
    done = psk("rm", uri, "--all", "--yes")
    assert (done.code, done.out) == (Exit.DONE, "3 removed\n")
    assert psk("ls", uri).out == ""
    assert (tmp_path / "objects" / "mine").exists()


@pytest.mark.parametrize(("said", "left"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_the_question_is_asked(command, uri, source, said, left):
    command("put", uri, source)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, said)
        done = command("rm", "--all", uri, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == (Exit.NO if left else Exit.DONE)
    assert b"Remove all 1 objects of file://" in done.stderr
    assert len(command("ls", uri).stdout.split()) == left


def test_shared_memory_must_be_held_by_somebody(psk, command, source, tmp_path):
    name = f"test-{os.urandom(4).hex()}"
    for fleeting in ("shm://", f"shm://{name}", "local://", "local://x"):
        done = psk("put", fleeting, source)
        assert done.code == Exit.FAILED
        assert "would be lost when this command ends" in done.err
    assert not os.path.exists(session_path(ROOT, name))
    with Store.from_uri(f"shm://{name}"):
        key = command("put", f"shm://{name}", source).stdout.decode().strip()
        assert command("get", f"shm://{name}", key).stdout == source.read_bytes()
        command("rm", f"shm://{name}", key)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_command_can_hold_the_session(psk, source, more):
    # Whoever runs the tests in the background has made them ignore the signal.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program += "import sys; from psk.cli import main; sys.exit(main(sys.argv[1:]))"
    running = subprocess.Popen(
        [sys.executable, "-c", program, "put", "--hold", "shm://", source, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        uri = running.stderr.readline().split()[1]
        assert uri.startswith("shm://~")
        (key,) = psk("ls", uri).out.split()
        if not more:
            assert running.stdout.readline() == f"{key}\n"
        assert psk("get", uri, key, "--json").document["nbytes"] == 1_280_000
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == Exit.INTERRUPTED
        assert running.stderr.read() == ""
    assert psk("ls", uri).code == Exit.FAILED


def test_the_sessions_of_the_dead_are_swept(command, psk):
    program = "import os, signal, psk; psk.Store.from_uri('shm://').put('x'); os.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    swept = psk("sweep", "--json").document
    assert swept["sessions"] >= 1
    assert swept["channels"] == []
    assert psk("sweep").out == "0 shared-memory sessions of dead processes removed\n"


def test_a_channel_is_swept(psk, put, uri, source, tmp_path):
    put(uri, source)
    left = tmp_path / "objects/.drafts" / ("0" * 24)
    left.parent.mkdir()
    left.write_bytes(b"of a writer that was killed")
    left.chmod(0o600)
    done = psk("sweep", uri)
    assert (done.code, done.out) == (Exit.DONE, f"swept {uri}\n")
    assert not left.exists()
    assert len(psk("ls", uri).out.split()) == 1


def test_a_channel_in_which_processes_leave_nothing_is_only_opened(psk, uri, tmp_path):
    (tmp_path / "objects").mkdir()
    done = psk("sweep", "local://kept", uri)
    said = "opened local://kept: processes leave nothing in this channel\n"
    assert (done.code, done.out) == (Exit.DONE, f"swept {uri}\n{said}")
    document = psk("sweep", "local://kept", uri, "--json").document
    assert document == {"sessions": None, "channels": [uri], "opened": ["local://kept"]}


@pytest.mark.parametrize(
    "words",
    [
        ["put", "ucx://host", "note"],
        ["get", "ucx://host", MISSING],
        ["ls", "ucx://host"],
        ["rm", "ucx://host", MISSING],
        ["sweep", "ucx://host"],
    ],
)
def test_an_unknown_channel_says_what_to_install(psk, words):
    done = psk(*words, "--json")
    assert (done.code, done.document["error"]) == (Exit.FAILED, "UnknownConnectorError")
    assert "install the distribution that provides it" in done.document["remedy"]


@pytest.mark.parametrize("words", [["put", "{}", "note"], ["get", "{}", MISSING], ["ls", "{}"], ["rm", "{}", MISSING]])
@pytest.mark.parametrize(
    "secret", ["redis://ann:hunter2@host/0", "file:///tmp/x?password=hunter2", "shm://x:hunter2@y"]
)
def test_no_password_is_echoed(psk, words, secret):
    for more in ([], ["--json"]):
        done = psk(*[word.format(secret) for word in words], *more)
        assert done.code
        assert "hunter2" not in done.out + done.err
