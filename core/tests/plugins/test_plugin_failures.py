"""Each broken plug-in is reported with its fault, its distribution and a remedy, and affects no other."""

import re

import pytest

import psk
from faults.distributions import CONNECTOR, PLUGIN, Site

BY = "plug-in connector.theirs of their-connector 1.0 "
RETURNING = """
    from psk.plugins import CodecPlugin, ConnectorPlugin, hookimpl
    @hookimpl
    def psk_connectors():
        {body}
"""
IN_THE_PLUGIN = {
    "an error at import": ("1 / 0", "cannot be imported: their_plugin raised ZeroDivisionError: division by zero"),
    "an exit at import": ("import sys\nsys.exit(3)", "cannot be imported: their_plugin raised SystemExit: 3"),
    "a syntax error": ("def", "cannot be imported: their_plugin raised SyntaxError"),
    "a long error": ("raise RuntimeError('x' * 9999)", "raised RuntimeError: xxx"),
    "an error that cannot be shown": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "raised Odd: which cannot be shown",
    ),
    "an error in lines": ("raise RuntimeError('one\\n\\n  two')", "raised RuntimeError: one two;"),
    "an import that fails": ("from psk.plugins import nothing", "raised ImportError: cannot import name 'nothing'"),
    "no hook": ("", "implements none of the hooks of its kind in their_plugin"),
    "an unmarked hook": ("def psk_connectors(): return []", "mark it with psk.hookimpl (found: psk_connectors)"),
    "a hook that there is not": (
        "from psk import hookimpl\n@hookimpl\ndef psk_conectors(): return []",
        "has a hook that cannot be called: unknown hook 'psk_conectors'",
    ),
    "an argument that there is not": (
        "from psk import hookimpl\n@hookimpl\ndef psk_connectors(self): return []",
        "has a hook that cannot be called",
    ),
    "a hook that raises": (
        RETURNING.format(body="raise ValueError('no')"),
        "its hook psk_connectors raised ValueError: no",
    ),
    "a hook that exits": (RETURNING.format(body="raise SystemExit(1)"), "its hook psk_connectors raised SystemExit: 1"),
    "a generator that raises": (
        RETURNING.format(body="yield 1 / 0"),
        "its hook psk_connectors raised ZeroDivisionError",
    ),
    "something else": (RETURNING.format(body="return ['theirs']"), "gave str where its hook psk_connectors gives Conn"),
    "another kind": (
        RETURNING.format(body="return [CodecPlugin('theirs', target='m:A')]"),
        "gave CodecPlugin where its hook psk_connectors gives ConnectorPlugin",
    ),
    "no iterable": (RETURNING.format(body="return 7"), "its hook psk_connectors raised TypeError"),
    "nothing": (RETURNING.format(body="return None"), "describes no connector 'theirs'"),
    "another scheme": (
        RETURNING.format(body="return [ConnectorPlugin(schemes=['others'], target='m:A')]"),
        "describes no connector 'theirs'",
    ),
    "a senseless description": (
        RETURNING.format(body="return [ConnectorPlugin(schemes=['theirs'], target='m')]"),
        "the target of a ConnectorPlugin cannot be 'm'",
    ),
    "an old wrapper": (
        "import pluggy\n@pluggy.HookimplMarker('psk')(wrapper=True)\ndef psk_connectors(): return []",
        "has a hook that cannot be called",
    ),
}
IN_THE_CONNECTOR = {
    "an error": ("1 / 0", "cannot be imported: their_connector raised ZeroDivisionError"),
    "no such class": ("", "module 'their_connector' has no 'TheirConnector'"),
    "no class": ("TheirConnector = 7", "names 7 as its connector, which is not a class"),
    "no connector": (
        "class TheirConnector:\n    def put(self): pass\n    scheme = 'theirs'",
        "lacks get, exists, evict, close, uri, config, from_config",
    ),
}


CASES = {**IN_THE_PLUGIN, **IN_THE_CONNECTOR}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """All of them installed beside each other and beside one that works; by case, what asking for each one ends in."""
    site = Site(tmp_path_factory.mktemp("broken") / "site")
    site.add_theirs()
    for number, (case, (code, _)) in enumerate(CASES.items()):
        modules = {"their_plugin": PLUGIN, "their_connector": CONNECTOR}
        modules["their_plugin" if case in IN_THE_PLUGIN else "their_connector"] = code
        modules = {f"{name}_{number}": named(text, number) for name, text in modules.items()}
        site.add(f"their-broken-{number}", {f"connector.theirs{number}": f"their_plugin_{number}"}, modules)
    program = f"""
        for number in range({len(CASES)}):
            found = error_of(lambda: psk.find_connector(f"theirs{{number}}"))
            say(*found, *[[row.status, row.why] for row in installed() if row.name == f"theirs{{number}}"][0])
        say(psk.find_connector("theirs").__name__)
    """
    *outcomes, theirs = site.run(program)
    return dict(zip(CASES, outcomes, strict=True)), theirs


def named(text, number):
    """Give each case names of its own."""
    return re.sub(
        r"\b(their_plugin|their_connector)\b", rf"\1_{number}", re.sub(r"\btheirs\b", f"theirs{number}", text)
    )


@pytest.mark.parametrize("case", CASES)
def test_a_broken_plugin_says_what_is_wrong_and_what_to_do(broken, case):
    number = list(CASES).index(case)
    kind, message, status, why = broken[0][case]
    assert kind == "BrokenPluginError"
    assert message.startswith(f"plug-in connector.theirs{number} of their-broken-{number} 1.0 ")
    assert named(CASES[case][1], number) in message
    assert "; " in message
    assert len(message) < 500
    assert "\n" not in message
    assert (status, why) == ("broken", message)


def test_broken_ones_hurt_nobody_else(broken):
    assert broken[1] == "TheirConnector"


def test_the_cause_is_kept(site):
    site.add_theirs(their_plugin="1 / 0")
    program = """
        try: load("connector", "theirs")
        except errors.BrokenPluginError as error: say(type(error.__cause__).__name__)
    """
    assert site.run(program) == ["ZeroDivisionError"]


def test_an_interruption_is_no_failure_of_the_plugin(site):
    site.add_theirs(their_plugin="raise KeyboardInterrupt")
    program = """
        try: load("connector", "theirs")
        except KeyboardInterrupt: say("interrupted", listed())
    """
    assert site.run(program) == [["interrupted", {"connector.theirs": "not loaded yet"}]]


def test_a_module_that_is_not_there(site):
    site.add("their-connector", {"connector.theirs": "their_absent.plugin"})
    kind, message, *_ = site.failure()
    assert kind == "BrokenPluginError"
    assert message == BY + "has no module 'their_absent'; reinstall their-connector"


def test_a_module_of_its_own_that_is_not_there_is_no_dependency(site):
    site.add_theirs(their_plugin="import their_plugin.part")
    kind, message, *_ = site.failure()
    assert kind == "BrokenPluginError"
    assert message == BY + "has no module 'their_plugin.part'; reinstall their-connector"


@pytest.mark.parametrize("place", ["their_plugin", "their_connector"])
def test_a_missing_dependency_is_named_with_whom_it_belongs_to(site, place):
    modules = {"their_plugin": PLUGIN, "their_connector": CONNECTOR, place: "import no_such_module.part"}
    site.add("their-connector", {"connector.theirs": "their_plugin"}, modules)
    kind, message, status, _ = site.failure()
    assert kind == "PluginDependencyError"
    assert message.startswith(BY + "needs the module 'no_such_module'")
    assert "reinstall their-connector, which should depend on what provides it" in message
    assert status == "broken"


def test_pluggy_may_be_missing_until_a_plugin_of_others_is_loaded(site):
    site.add_theirs()
    source = psk.__path__[0].rpartition("/")[0]
    program = """
        say(psk.Store.from_uri("local://x").name)
        say(error_of(lambda: psk.find_connector("theirs")))
    """
    name, (kind, message) = site.run(program, paths=[site.folder, source], options=["-S"])
    assert name == "local://x"
    assert kind == "PluginDependencyError"
    assert (
        message == BY + "needs the module 'pluggy', which is not installed; "
        "reinstall their-connector, which should depend on what provides it"
    )


def test_two_distributions_of_one_name_are_both_named_and_neither_loaded(site):
    site.add_theirs()
    site.add("their-fork", {"connector.theirs": "their_fork"}, {"their_fork": "raise SystemExit"}, version="2.0")
    kind, message, status, _ = site.failure()
    assert kind == "DuplicatePluginError"
    assert "their-connector 1.0" in message
    assert "their-fork 2.0" in message
    assert "uninstall" in message
    assert status == "duplicate"
    assert site.run("say(error_of(lambda: psk.find_connector('theirs'))[0], 'their_fork' in sys.modules)") == [
        ["DuplicatePluginError", False]
    ]


def test_nobody_takes_the_place_of_the_cores_own(site):
    site.add("their-file", {"connector.file": "their_file"}, {"their_file": "raise SystemExit"})
    program = "say(psk.find_connector('file').__module__); say(listed(), 'their_file' in sys.modules)"
    assert site.run(program) == ["psk.connectors.file", [{"connector.file": "duplicate"}, False]]


@pytest.mark.parametrize("required", ["psk-core>=0.0.1,<0.1", "psk-core<0.1", "psk.core[testing] (>=7)"])
def test_an_incompatible_one_says_what_it_requires(site, required):
    site.add("their-connector", {"connector.theirs": "x"}, {"x": "raise SystemExit"}, requires=[required])
    kind, message, status, _ = site.failure()
    assert kind == "IncompatiblePluginError"
    assert message.startswith(BY)
    assert "psk-core" in message
    assert "0.1.0 is installed" in message
    assert "pip install --upgrade their-connector psk-core" in message
    assert status == "incompatible"


def test_an_error_that_travels_keeps_its_words(site):
    site.add_theirs(their_plugin="1 / 0")
    program = """
        import pickle
        try: load("connector", "theirs")
        except errors.PskError as error: say(str(pickle.loads(pickle.dumps(error))) == str(error))
    """
    assert site.run(program) == [True]


def test_a_proxy_of_a_missing_channel_says_so(site):
    site.add_theirs()
    program = """
        from psk.wire import Reference
        from psk.store.factory import StoreFactory
        proxy = psk.Proxy(StoreFactory(Reference("theirs://x", "0" * 32)))
        say(error_of(lambda: psk.resolve(proxy)))
    """
    kind, message = site.run(program, PSK_PLUGINS="")[0]
    assert kind == "ProxyResolveError"
    assert "PSK_PLUGINS" in message
