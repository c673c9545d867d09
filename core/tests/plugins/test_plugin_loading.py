"""A request for one plug-in loads that one, once, and nothing else."""

from pathlib import Path

import pytest

OTHERS = {f"their_other_{number}": "raise SystemExit('imported')" for number in range(3)}
PLUGGYS_MARKER = """
    import pluggy
    from psk.plugins import ConnectorPlugin
    @pluggy.HookimplMarker("psk")
    def psk_connectors():
        yield ConnectorPlugin(schemes=["theirs"], target="their_connector:TheirConnector")
"""
ALIAS = """
    from psk import hookimpl
    from psk.plugins import ConnectorPlugin
    @hookimpl(specname="psk_connectors")
    def whatever():
        return (ConnectorPlugin(schemes=["theirs"], target="their_connector:TheirConnector"),)
    @hookimpl(optionalhook=True)
    def psk_of_a_later_version(): pass
"""
OBJECT = """
    from psk.plugins import ConnectorPlugin, hookimpl
    class Plugin:
        @property
        def dear(self): raise RuntimeError("evaluated")
        @hookimpl
        def psk_connectors(self):
            return [ConnectorPlugin(schemes=["theirs"], target="their_connector:TheirConnector")]
        @staticmethod
        @hookimpl
        def psk_codecs(): return ()
    plugin = Plugin()
"""


def test_the_cores_own_are_found_without_scan_and_without_pluggy(site):
    site.add_theirs()
    program = """
        from psk.plugins import entry_points
        entry_points.sources = lambda word: 1 / 0
        for scheme in ("file", "local", "multi", "shm"):
            say(psk.find_connector(scheme).__name__, load("connector", scheme)[0].schemes)
        say(load("codec", "pickle")[0].target, psk.wire.find_codec("bytes").name)
        say(sorted({"pluggy", "importlib.metadata", "their_plugin"} & set(sys.modules)))
    """
    assert site.run(program) == [
        ["FileConnector", ["file"]],
        ["LocalConnector", ["local"]],
        ["MultiConnector", ["multi"]],
        ["ShmConnector", ["shm"]],
        ["psk.wire.pickling:PICKLE", "bytes"],
        [],
    ]


def test_what_the_core_says_of_itself_is_true():
    from psk.plugins import builtin, find, load_target

    for kind, targets in builtin.TARGETS.items():
        for name in targets:
            described = find(kind, name)
            assert described.kind == kind
            assert described.summary.endswith(".")
            if name == "torch":
                continue  # may not be installed
            target = load_target(kind, name)
            if kind == "connector":
                assert name == target.scheme
            elif kind == "codec":
                assert name == target.name
            else:
                assert {"add_arguments", "run"} <= vars(target).keys()


def test_a_uri_loads_the_plugin_of_its_scheme_and_no_other(site):
    site.add_theirs()
    site.add("their-others", {f"connector.{name}": name for name in OTHERS}, OTHERS)
    site.add("their-observers", {"codec.x": "their_other_1", "command.x": "their_other_2"})
    program = """
        with psk.Store.from_uri("theirs://name") as store:
            say(store.get(store.put([1, 2])), type(store.connector).__name__)
            store.clear()
        say([name for name in sys.modules if name.startswith("their")])
    """
    assert site.run(program) == [[[1, 2], "TheirConnector"], ["their_plugin", "their_connector"]]


def test_a_proxy_names_who_provided_its_connector_where_that_is_missing(site):
    site.add_theirs()
    producer = """
        import pickle
        for uri in ("theirs://name", "local://name"):
            with psk.Store.from_uri(uri) as store:
                say(pickle.dumps(store.proxy([1], populate_target=False)).hex())
                store.clear()
    """
    theirs, ours = (bytes.fromhex(pickled) for pickled in site.run(producer))
    assert b"their-connector" in theirs
    assert b"psk-core" not in ours
    consumer = f"""
        import pickle
        say(error_of(lambda: psk.resolve(pickle.loads({theirs!r}))))
    """
    [[kind, message]] = site.run(consumer, paths=[])
    assert kind == "ProxyResolveError"
    assert "this proxy needs a connector for 'theirs', and none is installed here" in message
    assert "says that the distribution their-connector has one" in message
    assert len(theirs) <= 200


def test_a_scheme_with_a_plus_is_served_by_what_stands_before_it(site):
    site.add_theirs()
    program = """
        say(psk.find_connector("theirs+unix") is psk.find_connector("theirs"))
        say(error_of(lambda: psk.find_connector("theirs+smoke")))
        say(error_of(lambda: psk.find_connector("redis+unix+more+x")))
    """
    same, smoke, _ = site.run(program)
    assert same
    assert smoke[0] == "BrokenPluginError"
    assert "describes no connector 'theirs+smoke'" in smoke[1]


@pytest.mark.parametrize(
    ("plugin", "value"),
    [(PLUGGYS_MARKER, "their_plugin"), (ALIAS, "their_plugin"), (OBJECT, "their_plugin:plugin")],
    ids=["pluggy's marker", "another name", "an object"],
)
def test_hooks_are_found_however_they_are_written(site, plugin, value):
    site.add_theirs(their_plugin=plugin)
    entry_points = next(site.folder.glob("*.dist-info")) / "entry_points.txt"
    entry_points.write_text(f"[psk]\n# a comment\nconnector.theirs={value} [extra]\n\n[other]\nconnector.x = y\n")
    assert site.run("say(psk.find_connector('theirs').__name__); say(listed())") == [
        "TheirConnector",
        {"connector.theirs": "ok"},
    ]


def test_threads_get_the_same_and_the_module_is_imported_once(site):
    plugin = "import time\ntime.sleep(0.1)\nprint('\"imported\"')\n"
    site.add_theirs()
    (site.folder / "their_plugin.py").write_text(plugin + (site.folder / "their_plugin.py").read_text())
    program = """
        import threading
        found = []
        def find(): found.append((load("connector", "theirs"), psk.find_connector("theirs")))
        threads = [threading.Thread(target=find) for _ in range(16)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        say(len(found), len({id(described) for described, _ in found}), len({kind for _, kind in found}))
    """
    assert site.run(program) == ["imported", [16, 1, 1]]


def test_threads_that_clear_the_caches_of_imports_at_once_disturb_nobody(site):
    site.add_theirs()
    program = """
        import importlib
        calls = []
        def invalidate_caches():
            calls.append(1)
            if len(calls) == 1: raise KeyError("an entry that another thread has just removed")
        importlib.invalidate_caches = invalidate_caches
        say(psk.find_connector("theirs").__name__, len(calls))
    """
    assert site.run(program) == [["TheirConnector", 2]]


def test_what_is_installed_later_is_found_and_a_failure_is_not_kept(site):
    program = f"""
        from pathlib import Path
        from faults.distributions import CONNECTOR, PLUGIN, install
        folder = Path({str(site.folder)!r})
        say(error_of(lambda: psk.find_connector("theirs"))[0])
        install(folder, "their-connector", {{"connector.theirs": "their_plugin"}}, {{"their_plugin": PLUGIN}})
        say(error_of(lambda: psk.find_connector("theirs"))[0], listed())
        install(folder, "their-connector", {{"connector.theirs": "their_plugin"}},
                {{"their_plugin": PLUGIN, "their_connector": CONNECTOR}})
        say(psk.find_connector("theirs").__name__, listed())
    """
    assert site.run(program, paths=[site.folder, Path(__file__).parents[3] / "tests"]) == [
        "UnknownConnectorError",
        ["BrokenPluginError", {"connector.theirs": "broken"}],
        ["TheirConnector", {"connector.theirs": "ok"}],
    ]


def test_an_unknown_name_lists_those_there_are(site):
    site.add_theirs()
    program = """
        say(error_of(lambda: load("connector", "nothing")))
        say(error_of(lambda: load("nothing", "nothing")))
        say(error_of(lambda: psk.find_connector("ucx")))
        say(error_of(lambda: psk.find_connector("redisx+unix")))
    """
    named, kind, scheme, plus = site.run(program)
    assert named[0] == kind[0] == "UnknownPluginError"
    assert "theirs" in named[1]
    assert scheme[0] == plus[0] == "UnknownConnectorError"
    assert "no connector for 'ucx' is installed here; install the distribution that" in scheme[1]
    assert "shm, theirs" in scheme[1]


@pytest.mark.parametrize(
    ("listed", "loads"),
    [
        (None, True),
        ("connector.theirs", True),
        ("codec.x, connector.*", True),
        ("*", True),
        ("", False),
        ("theirs", False),
        ("codec.*,connector.redis", False),
    ],
)
def test_only_what_is_allowed_may_load(site, listed, loads):
    site.add_theirs()
    program = """
        say(error_of(lambda: psk.find_connector("theirs")))
        say(psk.find_connector("file").__name__, listed(), "their_plugin" in sys.modules)
    """
    error, (built_in, states, imported) = site.run(program, **({} if listed is None else {"PSK_PLUGINS": listed}))
    assert built_in == "FileConnector"
    assert imported == loads
    if loads:
        assert states == {"connector.theirs": "ok"}
        return
    assert error[0] == "PluginNotAllowedError"
    assert "PSK_PLUGINS" in error[1]
    assert "their-connector 1.0" in error[1]
    assert states == {"connector.theirs": "not allowed"}


def test_a_command_is_loaded_by_its_name(site):
    plugin = """
        from psk.plugins import CommandPlugin, hookimpl
        @hookimpl
        def psk_commands():
            return [CommandPlugin("trace", target="their_trace:Trace", summary="Trace.", example="psk trace x")]
    """
    command = """
        class Trace:
            def add_arguments(self, parser): parser.add_argument("uri")
            def run(self, arguments): return 0
    """
    site.add("their-command", {"command.trace": "their_plugin"}, {"their_plugin": plugin, "their_trace": command})
    program = """
        (described,) = load("command", "trace")
        say(described.summary, described.example, "their_trace" in sys.modules)
        say(load_target("command", "trace").__name__)
    """
    assert site.run(program) == [["Trace.", "psk trace x", False], "Trace"]
