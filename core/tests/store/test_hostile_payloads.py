"""Hostile payloads and references on a signed store raise typed errors and have no other effect."""

import json
import re
import socket
from pathlib import Path

import pytest

from faults.audit import FORBIDDEN, forbidden_events

#: What else no refused payload may cause.
WATCHED = (
    *FORBIDDEN,
    *("open", "os.fork", "os.forkpty", "os.spawn", "os.putenv", "os.mkdir", "os.remove", "os.rename", "os.kill"),
    *("socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "ctypes.dlopen"),
    *("marshal.loads", "code.__new__", "pty.spawn", "shutil.copyfile", "webbrowser.open", "urllib.Request"),
)
PREPARE = """
import sys
sys.path.insert(0, {tests!r})
from hostile.trial import Trial
trial = Trial({folder!r}, {host!r}, {port}, **{options})
trial.prepare()
{bug}
"""
TESTS = Path(__file__).parents[3] / "tests"
#: Files that a refusal may open: objects of the channel, the channel itself with its drafts, and keys by their names.
HARMLESS = re.compile(
    r"open '(?:[0-9a-f]{32}|.*/objects|\.|\.drafts|/proc/self/mountinfo|.*/keys/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})'"
).fullmatch
MEGABYTE = 1 << 20

#: Bugs that psk might have.
BELIEVES_PAYLOADS = "from psk.store.reader import Checker; Checker.check = lambda *_: None"
BELIEVES_REFERENCES = "from psk.store.trust import TrustPolicy; TrustPolicy.admit = lambda *_: None"
IMPORTS_WHAT_IT_IS_TOLD = """
from psk.wire import header
read = header.read_name
def told(name, of):
    try:
        __import__(name.decode() + "_codec")
    except ImportError:
        return read(name, of)
header.read_name = told
"""


@pytest.fixture
def listener():
    """A port of this host on which nobody must call."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def meet(tmp_path, listener, seed):
    """Let a child process meet what is hostile; give what it caused, what it was answered, and who was called."""

    def run(payloads=0, references=1, *, raw=False, bug="", chosen=()):
        host, port = listener.getsockname()
        prepare = PREPARE.format(
            tests=str(TESTS),
            folder=str(tmp_path),
            host=host,
            port=port,
            options={
                "seed": seed,
                "payloads": payloads,
                "references": references,
                "raw": raw,
                "chosen": chosen,
            },
            bug=bug,
        )
        events = forbidden_events(prepare, "trial.act()", watched=WATCHED)
        report = json.loads((tmp_path / "report.json").read_text())
        return [event for event in events if not HARMLESS(event)], report | {"called": was_called(listener)}

    return run


def was_called(listener):
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_hostile_payloads_and_references_cause_typed_errors_alone(meet, scale, tmp_path):
    payloads, references = scale("security.hostile_payloads"), scale("security.hostile_references")
    events, report = meet(payloads, references)
    assert report["bad"] == []
    assert events == []
    assert not report["called"]
    assert not (tmp_path / "canary").exists()
    assert report["tried"] > 3 * (2 * payloads + references)
    assert report["grown"] < 64 * MEGABYTE


def test_a_reader_of_raw_codecs_gets_plain_data_at_worst(meet, scale, tmp_path):
    payloads, references = scale("security.raw_payloads"), scale("security.raw_references")
    events, report = meet(payloads, references, raw=True)
    assert report["bad"] == []
    assert events == []
    assert not report["called"]
    assert not (tmp_path / "canary").exists()
    assert report["tried"] >= 4 * payloads
    assert report["grown"] < 64 * MEGABYTE


@pytest.mark.parametrize(
    ("bug", "chosen", "caused"),
    [
        (BELIEVES_PAYLOADS, [("os.system", "unsigned")], "os.system"),
        (BELIEVES_PAYLOADS, [("reduce", "signed with a guess")], "pickle.find_class"),
        (BELIEVES_PAYLOADS, [("builtins.exec", "signature of an honest object")], "exec"),
        (BELIEVES_PAYLOADS, [("out of band", "honest signature stripped")], "exec"),
        (BELIEVES_PAYLOADS, [("subprocess.Popen", "signature of zeros")], "subprocess.Popen"),
        (BELIEVES_PAYLOADS, [("socket.create_connection", "unsigned")], "socket.connect"),
        (IMPORTS_WHAT_IT_IS_TOLD, [("os.system", "codec of an honest object changed")], "import"),
        (BELIEVES_REFERENCES, ["canary://127.0.0.1:"], "import"),
        (BELIEVES_REFERENCES, ["canary://127.0.0.1:"], "socket.connect"),
    ],
)
def test_what_a_bug_would_let_through_is_noticed(meet, tmp_path, bug, chosen, caused):
    events, report = meet(bug=bug, chosen=chosen)
    assert report["tried"]
    assert any(event.startswith(f"{caused} ") for event in events)
    assert report["called"] == ("canary" in str(chosen) or caused == "socket.connect")
    if caused in {"os.system", "exec", "subprocess.Popen"}:
        assert (tmp_path / "canary").exists()
