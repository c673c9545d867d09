"""Arguments, help and exit codes of the commands of psk-testing."""

import pytest

from psk.cli import Exit
from psk_testing.plugin import psk_commands

NAMES = [described.name.replace(".", " ") for described in psk_commands()]


@pytest.mark.parametrize("name", NAMES)
def test_its_example_runs(name, run_example):
    done = run_example(name)
    assert done.returncode == Exit.DONE, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_its_help_ends_with_its_example(name, psk):
    page = psk(*name.split(), "--help").out
    assert page.startswith(f"usage: psk {name}")
    assert f"\nexample:\n  psk {name} " in page
    assert max(map(len, page.splitlines())) <= 120


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("plugins check shm --timeout soon", Exit.USAGE, "argument --timeout: 'soon' is not a time"),
        ("plugins check mine:///tmp/x.db", Exit.NO, "no connector for 'mine' is installed"),
        ("plugins check ucx://host", Exit.NO, "no connector for 'ucx' is installed"),
        ("plugins check file:///proc/nothing", Exit.FAILED, "/proc/nothing"),
        ("plugins new", Exit.USAGE, "NAME"),
    ],
)
def test_it_says_what_is_wrong(psk, words, code, says):
    done = psk(*words.split())
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert done.err.count("\n") == 1
    document = psk(*words.split(), "--json").document
    assert set(document) == {"error", "message", "remedy", "found"}


@pytest.mark.parametrize(
    "uri",
    [
        "redis://ann:hunter2@host/0",
        "redis://:hunter2@host/0",
        "file:///tmp?password=hunter2",
        "redis://ann:hunter2/7@host/0",
        "redis:hunter2@host",
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_no_password_is_echoed(psk, uri, more):
    done = psk("plugins", "check", uri, *more)
    assert done.code
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("Void", "lacks add_arguments, run"),
        ("Shy", "RuntimeError: shy"),
        ("Gone", "describes no command"),
    ],
)
def test_the_check_says_whose_a_broken_command_is(psk, shelf, target, says):
    module = """
        from psk.plugins import CommandPlugin, hookimpl
        class Void: pass
        class Shy:
            def __init__(self): raise RuntimeError("shy")
        @hookimpl
        def psk_commands():
            return [CommandPlugin("their-{}".format(kind), target="their_commands:" + kind) for kind in ("Void", "Shy")]
    """
    shelf.add("their-commands", {f"command.their-{target}": "their_commands"}, {"their_commands": module})
    done = psk("plugins", "check", f"their-{target}")
    assert done.code == Exit.NO
    assert says in done.out
    assert "their-commands 1.2" in done.out


def test_a_command_that_works_passes_the_check(psk):
    assert psk("plugins", "check", "command.plugins.new").code == Exit.DONE
