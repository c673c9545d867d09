"""Brokers, transports and engines are discovered, listed, loaded and limited like all other plug-ins."""

import json

import pytest

from faults.commands import command, psk, shelf  # noqa: F401  fixtures

THEIRS = {
    "their_plugin": """
        from psk.plugins import BrokerPlugin, EnginePlugin, TransportPlugin, hookimpl

        @hookimpl
        def psk_brokers():
            return [BrokerPlugin(schemes=["theirs"], target="their_things:Broker", uri="theirs://{host}/{topic}")]

        @hookimpl
        def psk_transports():
            return [TransportPlugin(schemes=["theirs", "theirs+tls"], target="their_things:Transport", summary="Fast.")]

        @hookimpl
        def psk_engines():
            return [EnginePlugin("theirs", target="their_things:Engine", summary="Runs tasks.")]
    """,
    "their_things": """
        class Broker: pass
        class Transport: pass
        class Engine: pass
    """,
}
KINDS = ("broker", "transport", "engine")


@pytest.fixture
def theirs(site):
    site.add("their-distribution", {f"{kind}.theirs": "their_plugin" for kind in KINDS}, THEIRS)
    return site


@pytest.mark.parametrize("kind", KINDS)
def test_one_is_found_without_being_imported_and_loaded_when_it_is_asked_for(theirs, kind):
    program = f"""
        say([row.status for row in installed() if row.kind == {kind!r} and row.name == "theirs"])
        say("their_plugin" in sys.modules)
        say(load_target({kind!r}, "theirs").__name__)
        say([row.status for row in installed() if row.kind == {kind!r} and row.name == "theirs"])
    """
    assert theirs.run(program) == [["not loaded yet"], False, kind.capitalize(), ["ok"]]


def test_a_scheme_with_a_plus_is_served_by_the_entry_point_of_what_is_before_it(theirs):
    assert theirs.run('say(load_target("transport", "theirs+tls").__name__)') == ["Transport"]


def test_an_engine_has_a_name_and_not_a_scheme(theirs):
    kind, message, *_ = theirs.run('say(error_of(lambda: load_target("engine", "theirs+tls")))')[0]
    assert kind == "UnknownPluginError"
    assert message.startswith("no plug-in engine.theirs+tls is installed; ")


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_one_is_reported_and_does_not_affect_the_others(theirs, kind):
    broken = {"their_broken": "raise RuntimeError('no such library')"}
    theirs.add("their-broken", {f"{kind}.broken": "their_broken"}, broken)
    program = f"""
        from psk.errors import BrokenPluginError
        try:
            load_target({kind!r}, "broken")
        except BrokenPluginError as error:
            say(str(error))
        say(listed()[{kind + ".broken"!r}])
        say([load_target(each, "theirs").__name__ for each in {KINDS!r}])
    """
    message, status, others = theirs.run(program)
    assert "plug-in" in message
    assert "their-broken 1.0" in message
    assert "RuntimeError: no such library" in message
    assert status == "broken"
    assert others == ["Broker", "Transport", "Engine"]


def test_the_program_lists_and_shows_them(shelf, command):  # noqa: F811  fixtures
    shelf.add("their-distribution", {f"{kind}.theirs": "their_plugin" for kind in KINDS}, THEIRS)
    shelf.add("their-broken", {"broker.broken": "their_broken"}, {"their_broken": "import nothing_of_that_name"})
    listed = command("plugins", "list", "--load", "--json", folders=[shelf.folder])
    records = {f"{row['kind']}.{row['name']}": row["status"] for row in json.loads(listed.stdout)}
    assert listed.returncode == 1
    assert {name: status for name, status in records.items() if "theirs" in name or "broken" in name} == {
        "broker.theirs": "ok",
        "transport.theirs": "ok",
        "engine.theirs": "ok",
        "broker.broken": "broken",
    }
    shown = command("plugins", "show", "broker.theirs", folders=[shelf.folder])
    assert shown.returncode == 0
    for text in (b"broker.theirs", b"their-distribution 1.2", b"theirs://{host}/{topic}", b"their_things:Broker"):
        assert text in shown.stdout
    shown = command("plugins", "show", "engine.theirs", folders=[shelf.folder])
    assert b"Runs tasks." in shown.stdout
