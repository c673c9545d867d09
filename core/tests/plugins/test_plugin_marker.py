"""Plug-ins are marked and described as the guide says, and the hook specifications keep what plug-ins rely on."""

import inspect

import pluggy
import pytest

import psk
from psk import errors
from psk.plugins import (
    KINDS,
    BrokerPlugin,
    CodecPlugin,
    CommandPlugin,
    ConnectorPlugin,
    EnginePlugin,
    TransportPlugin,
    hookimpl,
    specs,
)

#: Version 1: to change a line is to break plug-ins that exist; lines may be added.
VERSION_1 = {
    "psk_connectors": [],
    "psk_codecs": [],
    "psk_commands": [],
    "psk_brokers": [],
    "psk_transports": [],
    "psk_engines": [],
    "psk_after_put": ["store", "key", "nbytes", "seconds"],
    "psk_after_get": ["store", "key", "nbytes", "seconds"],
    "psk_after_evict": ["store", "key", "nbytes", "seconds"],
    "psk_after_resolve": ["store", "key", "nbytes", "seconds"],
}


@pytest.mark.parametrize("options", [{}, {"specname": "psk_codecs"}, {"optionalhook": True}])
def test_both_markers_set_the_same(options):
    def ours():
        pass

    def theirs():
        pass

    hookimpl(**options)(ours)
    pluggy.HookimplMarker("psk")(**options)(theirs)
    assert ours.psk_impl == theirs.psk_impl
    assert psk.hookimpl is hookimpl


def test_the_markers_leave_a_function_as_it_is():
    def hook():
        return 7

    assert hookimpl(hook) is hook
    assert hook.psk_impl["specname"] is None


def test_no_hook_and_no_argument_of_version_1_is_gone():
    assert specs.VERSION == 1
    for name, arguments in VERSION_1.items():
        spec = getattr(specs, name)
        assert list(inspect.signature(spec).parameters)[: len(arguments)] == arguments
        assert spec.__doc__


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConnectorPlugin(schemes=["x"], target="module"),
        lambda: ConnectorPlugin(schemes=["x"], target="module:a b"),
        lambda: ConnectorPlugin(schemes=["x"], target=7),
        lambda: ConnectorPlugin(schemes=[""], target="m:A"),
        lambda: ConnectorPlugin(schemes=[7], target="m:A"),
        lambda: ConnectorPlugin(schemes=[], target="m:A"),
        lambda: ConnectorPlugin(schemes=["x"], target="m:A", summary=None),
        lambda: BrokerPlugin(schemes=[], target="m:A"),
        lambda: TransportPlugin(schemes=["x"], target="m:A", uri=7),
        lambda: EnginePlugin("", target="m:A"),
        lambda: CodecPlugin("", target="m:A"),
        lambda: CodecPlugin("x", target="m:A", types=[int]),
        lambda: CommandPlugin("x", target="m:A", example=7),
        lambda: CommandPlugin(None, target="m:A"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(make):
    with pytest.raises(errors.PluginError) as caught:
        make()
    assert caught.value.remedy


def test_descriptions_hold_plain_texts():
    connector = ConnectorPlugin(schemes="x", target="a.b:C.d", summary="S.")
    assert (connector.kind, connector.schemes, connector.target, connector.summary) == (
        "connector",
        ("x",),
        "a.b:C.d",
        "S.",
    )
    codec = CodecPlugin("x", target="m:A", types=("numpy:ndarray",))
    assert (codec.kind, codec.name, codec.types, codec.summary) == ("codec", "x", ("numpy:ndarray",), "")
    command = CommandPlugin("x", target="m:A", example="psk x")
    assert (command.kind, command.name, command.example) == ("command", "x", "psk x")
    broker = BrokerPlugin(schemes=["x", "y"], target="m:A", uri="x://{host}")
    assert (broker.kind, broker.schemes, broker.uri) == ("broker", ("x", "y"), "x://{host}")
    assert TransportPlugin(schemes=["x"], target="m:A").kind == "transport"
    assert (EnginePlugin("x", target="m:A").kind, EnginePlugin("x", target="m:A").name) == ("engine", "x")
    assert {kind for kind in KINDS if kind != "observer"} == {made.kind for _, made in specs.HOOKS.values()}
