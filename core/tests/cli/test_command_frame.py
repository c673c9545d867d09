"""The program ends as scripts expect: exit codes, one JSON document, closed pipes, Ctrl-C, full disks."""

import fcntl
import json
import os
import pickle
import signal
import subprocess
import sys
import termios
import time

import pytest

from psk.cli.commands import GROUPS, typed
from psk.cli.output import Exit
from psk.plugins.builtin import COMMANDS

NAMES = [typed(name) for name in COMMANDS]
PAGES = [[], ["plugins"], *(name.split() for name in NAMES)]


def readable(descriptor):
    count = bytearray(4)
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_every_page_of_help_ends_with_an_example(psk, words):
    done = psk(*words, "--help")
    assert (done.code, done.err) == (Exit.DONE, "")
    assert done.out.startswith("usage: psk")
    head, _, example = done.out.rpartition("\nexample:\n")
    assert head
    assert all(line.startswith("  ") for line in example.splitlines())
    assert "psk" in example
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_the_example_runs(name, run_example):
    done = run_example(name)
    # A list with --load tells of what is broken in this installation.
    assert done.returncode == Exit.DONE or (name, done.returncode) == ("plugins list", Exit.NO), done.stderr


def test_every_command_of_the_groups_is_in_the_overview(psk):
    page = psk("--help").out
    assert all(f"  {name} " in page for name in NAMES)
    assert {name.partition(" ")[0] for name in NAMES if " " in name} == set(GROUPS)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], Exit.USAGE),
        (["plugins"], Exit.USAGE),
        (["--version"], Exit.DONE),
        (["nothing"], Exit.USAGE),
        (["plugins", "nothing"], Exit.USAGE),
        (["inspect"], Exit.USAGE),
        (["inspect", "a", "b"], Exit.USAGE),
        (["plugins", "list", "--lo"], Exit.USAGE),
        (["plugins", "list", "--kind", "nothing"], Exit.USAGE),
        (["inspect", "/there is no such file"], Exit.FAILED),
        (["inspect", "/"], Exit.USAGE),
        (["plugins", "show", "nothing"], Exit.NO),
        (["plugins", "list"], Exit.DONE),
    ],
)
def test_exit_codes(psk, words, code):
    done = psk(*words)
    assert done.code == code
    assert "Traceback" not in done.err
    if code >= Exit.USAGE and words not in ([], ["plugins"]):
        assert done.err.startswith("psk: error: ")
        assert done.err.count("\n") == 1
        assert done.out == ""


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (["nothing"], "UsageError", Exit.USAGE),
        (["inspect"], "UsageError", Exit.USAGE),
        (["inspect", "/there is no such file"], "FileNotFoundError", Exit.FAILED),
        (["plugins", "show", "nothing"], "UnknownPluginError", Exit.NO),
    ],
)
def test_an_error_is_one_document_too(psk, words, error, code):
    done = psk(*words, "--json")
    assert (done.code, done.err) == (code, "")
    assert done.document["error"] == error
    assert set(done.document) == {"error", "message", "remedy", "found"}
    assert done.document["message"]


def test_python_m_psk_and_its_script_are_the_same(command):
    import tomllib
    from pathlib import Path

    import psk

    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"psk {psk.__version__}\n".encode())
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"psk": "psk.cli:main"}


@pytest.mark.parametrize(
    "words",
    [
        ["plugins", "nothing", "redis://ann:hunter2@host/0"],
        ["inspect", "redis://ann:hunter2@host/0"],
        ["plugins", "list", "redis://ann:hunter2@host/0"],
        ["plugins", "show", "x://h?password=hunter2"],
        ["redis://ann:hunter2@host/0"],
        ["plugins", "show", f"redis:{'x' * 80}hunter2@host"],
        ["plugins", "show", "Rediss:/hunter2/7:8@host"],
        ["redis:hunter2@host"],
        ["plugins", "redis:hunter2@host"],
        ["put", "redis:hunter2@host", "note"],
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_no_password_is_echoed(psk, words, more):
    done = psk(*words, *more)
    assert done.code
    assert "hunter2" not in done.out + done.err


def test_a_closed_pipe_is_no_error(command, tmp_path):
    for words in (["plugins", "list"], ["plugins", "list", "--json"], ["--help"], ["plugins", "show", "shm"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = command(*words, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (Exit.PIPE_CLOSED, b"")


def test_a_full_disk_is_reported(command):
    with open("/dev/full", "wb") as full:
        done = command("plugins", "list", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == Exit.FAILED
    assert done.stderr == b"psk: error: No space left on device\n"


def test_closed_outputs_do_no_harm(command):
    program = "import os, sys; os.close(1); os.close(2); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    for words, code in ((["plugins", "list"], Exit.DONE), (["nothing"], Exit.USAGE)):
        done = subprocess.run([sys.executable, "-c", program, "-m", "psk", *words], timeout=60, check=False)
        assert done.returncode == code


def test_ctrl_c_ends_it_with_130(tmp_path):
    # Whoever runs the tests in the background has made them ignore the signal.
    program = """if True:
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from psk.cli import main
        sys.exit(main(sys.argv[1:]))
    """
    for more in ([], ["--json"]):
        running = subprocess.Popen(
            [sys.executable, "-c", program, "inspect", "-", *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with running:
            running.stdin.write(b"begun")
            running.stdin.flush()
            end = time.monotonic() + 30
            while readable(running.stdin.fileno()) and time.monotonic() < end:
                time.sleep(0.01)
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == Exit.INTERRUPTED
            out, err = running.stdout.read(), running.stderr.read()
            if more:
                assert (json.loads(out)["error"], err) == ("KeyboardInterrupt", b"")
            else:
                assert (out, err) == (b"", b"psk: error: interrupted\n")


def test_a_traceback_is_shown_on_demand(command):
    done = command("inspect", "nothing", env={"PSK_TRACEBACK": "1"})
    assert done.returncode == Exit.FAILED
    assert b"Traceback" in done.stderr
    assert done.stderr.endswith(b"psk: error: nothing: No such file or directory\n")


def test_odd_file_names_can_be_printed(command, tmp_path):
    name = os.fsdecode(b"\xff\x1b[31m\xe2\x82\xac")
    (tmp_path / name).write_bytes(pickle.dumps(1))
    for environment in ({"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}, {"PYTHONUTF8": "1"}):
        missing = command("inspect", name + "?", env=environment)
        assert missing.returncode == Exit.FAILED
        assert b"\x1b" not in missing.stderr
        assert command("inspect", name, env=environment).returncode == Exit.DONE
        found = command("inspect", name, "--json", env=environment)
        assert json.loads(found.stdout)["file"] == name
