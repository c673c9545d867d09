"""Can a plug-in add commands, and does one that is broken say so without disturbing the others?"""

import pytest

from psk.cli import exits

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
    class Shy:
        def __init__(self): raise RuntimeError("shy")
"""
NAMES = ("their-trace", "their-object", "their-void", "their-shy", "their-gone")


@pytest.fixture(autouse=True)
def _installed(shelf):
    entry_points = {f"command.{name}": "their_plugin" for name in NAMES}
    shelf.add("their-commands", entry_points, {"their_plugin": PLUGIN, "their_trace": COMMAND})


def test_it_runs_like_the_others(psk):
    done = psk("their-trace", "x")
    assert (done.code, done.out, done.err) == (1, "depth 1\n", "")
    assert psk("their-trace", "x", "--depth", "0", "--json").document == {"depth": 0}
    assert psk("their-trace").code == exits.USAGE
    assert psk("their-object", "x", "--depth", "0").code == exits.DONE


def test_its_help_ends_with_its_example(psk):
    page = psk("their-trace", "--help").out
    assert page.startswith("usage: psk their-trace")
    assert "Trace things." in page
    assert page.endswith("example:\n  psk their-trace --depth 3 here\n")


def test_the_overview_names_it_without_importing_it(psk):
    page = psk("--help").out
    assert ["their-trace", "(added", "by", "their-commands", "1.2)"] in [line.split() for line in page.splitlines()]


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("psk", exits.FAILED, "the sea is rough; wait (found: storm)"),
        ("bug", exits.FAILED, "ZeroDivisionError: oh"),
        ("exit", exits.NO, ""),
        ("none", exits.DONE, ""),
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
    for words in ([name], ["plugins", "check", name]):
        done = psk(*words)
        assert done.code in {exits.FAILED, exits.NO}
        assert says in done.out + done.err
        assert "their-commands 1.2" in done.out + done.err


def test_it_can_be_shown_and_checked(psk):
    shown = psk("plugins", "show", "their-trace", "--json").document
    assert (shown["summary"], shown["example"]) == ("Trace things.", "psk their-trace --depth 3 here")
    assert psk("plugins", "check", "their-trace").code == exits.DONE


def test_a_name_that_nobody_has_lists_those_there_are(psk):
    done = psk("their-nothing")
    assert done.code == exits.USAGE
    assert "their-trace" in done.err
    assert "inspect" in done.err
