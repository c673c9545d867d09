"""Plug-ins add commands, and a broken one is reported without affecting the others."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import psk as psk_package
from psk.cli.commands import typed
from psk.cli.output import Exit
from psk.plugins.builtin import FIRST_PARTY_COMMANDS

PLUGIN = """
    from psk.plugins import CommandPlugin, hookimpl

    @hookimpl
    def psk_commands():
        return [
            CommandPlugin("their-trace", target="their_trace:Trace", summary="Trace things.",
                          example="psk their-trace --depth 3 here"),
            CommandPlugin("their-object", target="their_trace:TRACE", summary="An object can be a command."),
            CommandPlugin("their-void", target="their_trace:Void"),
            CommandPlugin("their-shy", target="their_trace:Shy"),
            CommandPlugin("plugins.their-count", target="their_trace:Trace", summary="Count plug-ins."),
            CommandPlugin("plugins.list", target="their_trace:Trace"),
            CommandPlugin("their-parts", target="their_trace:Parts"),
        ]
"""
COMMAND = """
    from psk.cli.output import answer
    from psk.errors import ChannelUnavailableError

    class Trace:
        def add_arguments(self, parser):
            parser.add_argument("what")
            parser.add_argument("--depth", type=int, default=1)

        def run(self, arguments):
            if arguments.what == "psk":
                raise ChannelUnavailableError("the sea is rough", found=["storm"], remedy="wait")
            if arguments.what == "bug":
                raise ZeroDivisionError("oh")
            if arguments.what == "exit":
                raise SystemExit("I leave")
            if arguments.what == "none":
                return None
            answer(arguments, {"depth": arguments.depth}, f"depth {arguments.depth}")
            return arguments.depth

    TRACE = Trace()
    class Void: pass
    class Parts:
        def add_arguments(self, parser):
            parser.add_argument("--depth", type=int, default=1)
            parser.add_subparsers(dest="part").add_parser("front")

        def run(self, arguments):
            answer(arguments, {"depth": arguments.depth, "part": arguments.part}, "")
            return 0
    class Shy:
        def __init__(self): raise RuntimeError("shy")
"""
NAMES = (
    *("their-trace", "their-object", "their-void", "their-shy", "their-gone", "their-parts"),
    *("plugins.their-count", "plugins.list"),
)


@pytest.fixture(autouse=True)
def _installed(shelf):
    entry_points = {f"command.{name}": "their_plugin" for name in NAMES}
    shelf.add("their-commands", entry_points, {"their_plugin": PLUGIN, "their_trace": COMMAND})


def test_it_runs_like_the_others(psk):
    done = psk("their-trace", "x")
    assert (done.code, done.out, done.err) == (1, "depth 1\n", "")
    assert psk("their-trace", "x", "--depth", "0", "--json").document == {"depth": 0}
    assert psk("their-trace").code == Exit.USAGE
    assert psk("their-object", "x", "--depth", "0").code == Exit.DONE


def test_its_help_ends_with_its_example(psk):
    page = psk("their-trace", "--help").out
    assert page.startswith("usage: psk their-trace")
    assert "Trace things." in page
    assert page.endswith("example:\n  psk their-trace --depth 3 here\n")


def test_options_may_stand_between_arguments(psk):
    assert psk("their-trace", "--depth", "0", "x", "--json").document == {"depth": 0}


def test_it_may_have_subparsers(psk):
    assert psk("their-parts", "--depth", "2", "front", "--json").code == Exit.USAGE  # unknown to the part
    assert psk("their-parts", "--json", "--depth", "2", "front").document == {"depth": 2, "part": "front"}


def test_it_may_join_a_group(psk):
    assert psk("plugins", "their-count", "x", "--depth", "0", "--json").document == {"depth": 0}
    assert ["plugins", "their-count", "(added", "by", "their-commands", "1.2)"] in [
        line.split() for line in psk("plugins", "--help").out.splitlines()
    ]
    assert psk("plugins", "their-count", "--help").out.endswith("example:\n  psk plugins their-count\n")
    assert "plugins their-count" in psk("plugins", "their-nothing").err


def test_a_command_of_the_program_itself_cannot_be_replaced(psk):
    assert psk("plugins", "list").out.startswith("KIND ")
    records = psk("plugins", "list", "--kind", "command", "--json").document
    found = {record["distribution"]: record["status"] for record in records if record["name"] == "plugins.list"}
    assert found == {"psk-core": "ok", "their-commands": "duplicate"}


ALONE = """
import sys
sys.path.insert(0, {source!r})
from psk.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", FIRST_PARTY_COMMANDS)
def test_a_command_of_a_distribution_that_is_missing_says_what_to_install(name):
    def run(*words):
        program = ALONE.format(source=str(Path(psk_package.__file__).parents[1]))
        command = [sys.executable, "-I", "-S", "-c", program, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    words = typed(name)
    done = run(*words.split(), "x", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["error"]) == (Exit.FAILED, "UnknownPluginError")
    assert document["remedy"] == f"pip install {FIRST_PARTY_COMMANDS[name]}"
    (row,) = [line for line in run("--help").stdout.splitlines() if line.startswith(f"  {words} ")]
    assert row.endswith(f"(pip install {FIRST_PARTY_COMMANDS[name]})")


def test_the_table_of_own_commands_is_that_of_the_distributions():
    provided = {}
    for project in (Path(__file__).parents[3] / "packages").glob("*/pyproject.toml"):
        described = tomllib.loads(project.read_text())["project"]
        for entry_point in described.get("entry-points", {}).get("psk", {}):
            kind, _, name = entry_point.partition(".")
            if kind == "command":
                provided[name] = described["name"]
    assert provided == FIRST_PARTY_COMMANDS


def test_the_overview_names_it_without_importing_it(psk):
    page = psk("--help").out
    assert ["their-trace", "(added", "by", "their-commands", "1.2)"] in [line.split() for line in page.splitlines()]


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("psk", Exit.FAILED, "the sea is rough; wait (found: storm)"),
        ("bug", Exit.FAILED, "ZeroDivisionError: oh"),
        ("exit", Exit.NO, ""),
        ("none", Exit.DONE, ""),
    ],
)
def test_its_failures_end_as_those_of_others(psk, what, code, says):
    done = psk("their-trace", what)
    assert (done.code, done.out) == (code, "")
    assert done.err == (f"psk: error: {says}\n" if says else "")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("their-void", "lacks add_arguments, run"),
        ("their-shy", "RuntimeError: shy"),
        ("their-gone", "describes no command"),
    ],
)
def test_a_broken_one_says_whose_it_is(psk, name, says):
    done = psk(name)
    assert done.code == Exit.FAILED
    assert says in done.err
    assert "their-commands 1.2" in done.err


def test_it_can_be_shown(psk):
    shown = psk("plugins", "show", "their-trace", "--json").document
    assert (shown["summary"], shown["example"]) == ("Trace things.", "psk their-trace --depth 3 here")


def test_a_name_that_nobody_has_lists_those_there_are(psk):
    done = psk("their-nothing")
    assert done.code == Exit.USAGE
    assert "their-trace" in done.err
    assert "inspect" in done.err
