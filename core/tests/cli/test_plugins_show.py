"""`psk plugins show` shows what a plug-in declares."""

import re

import pytest

from psk.cli.output import Exit
from psk.cli.plugins import options_of
from psk.connectors import find_connector
from psk.errors import ConnectorConfigError

PLUGIN = """
    from psk.plugins import CodecPlugin, CommandPlugin, ConnectorPlugin, hookimpl

    @hookimpl
    def psk_connectors():
        return [ConnectorPlugin(schemes=["their-sea", "their-seas", "their-sea+unix"], target="their_sea:Sea",
                                summary="Bottles.")]

    @hookimpl
    def psk_codecs():
        return [CodecPlugin("their-sea", target="their_sea:CODEC", summary="Foam.", types=["their_sea:Sea"])]

    @hookimpl
    def psk_after_put(key):
        pass
"""
CONNECTOR = """
    from psk.connectors.local import LocalConnector
    from psk.wire import Codec

    class Sea(LocalConnector):
        scheme = "their-sea"
        def __init__(self, coast, *, depth: int = 7, salt=None, **options):
            super().__init__(coast)

    CODEC = Codec("their-sea", lambda obj: [b""], lambda frames: None)
"""


@pytest.fixture
def sea(shelf):
    names = ["connector.their-sea", "connector.their-seas", "codec.their-sea", "observer.their-sea"]
    shelf.add("their-sea", dict.fromkeys(names, "their_plugin"), {"their_plugin": PLUGIN, "their_sea": CONNECTOR})


def test_a_connector_is_shown(psk, sea):
    document = psk("plugins", "show", "connector.their-sea", "--json").document
    assert document["schemes"] == ["their-sea", "their-seas", "their-sea+unix"]
    assert document["summary"] == "Bottles."
    assert document["options"] == [
        {"name": "coast", "type": None, "default": None, "required": True},
        {"name": "depth", "type": "int", "default": 7, "required": False},
        {"name": "salt", "type": None, "default": None, "required": False},
    ]
    assert "SupportsTake" in document["capabilities"]
    assert document["status"] == "ok"


@pytest.mark.parametrize("name", ["their-seas", "their-sea+unix://somewhere", "connector.their-seas"])
def test_a_plugin_is_found_by_scheme_and_uri(psk, sea, name):
    assert psk("plugins", "show", name, "--json").document["target"] == "their_sea:Sea"


def test_a_name_of_several_kinds_needs_the_kind(psk, sea):
    done = psk("plugins", "show", "their-sea")
    assert done.code == Exit.USAGE
    assert "connector.their-sea" in done.err


def test_codecs_and_observers_are_shown(psk, sea):
    codec = psk("plugins", "show", "codec.their-sea", "--json").document
    assert (codec["summary"], codec["types"]) == ("Foam.", ["their_sea:Sea"])
    observer = psk("plugins", "show", "observer.their-sea", "--json").document
    assert observer["hooks"] == ["psk_after_put"]


@pytest.mark.parametrize("name", ["file", "shm", "local", "multi", "codec.pickle", "file:///scratch/x"])
def test_what_is_built_in_is_shown(psk, name):
    for more in ([], ["--json"]):
        done = psk("plugins", "show", name, *more)
        assert done.code == Exit.DONE
        assert "psk-core" in done.out


@pytest.mark.parametrize("scheme", ["file", "local", "multi", "shm"])
def test_the_form_of_a_uri_has_the_options_that_uris_take(psk, scheme, tmp_path):
    of_one = {"multi": {"authority": "a", "to1": "local://"}}
    form = psk("plugins", "show", scheme, "--json").document["uri"]
    with pytest.raises(ConnectorConfigError) as refused:
        find_connector(scheme).from_config({**of_one.get(scheme, {}), "path": f"{tmp_path}/x", "colour": "blue"})
    query = re.search(r"\{\?([\w,]+)\}", form)[1].split(",")
    assert set(query) <= set(refused.value.found) <= set(re.findall(r"\w+", form)) | {"authority", "path"}


def test_arguments_are_shown_with_type_and_default(psk, sea):
    shown = psk("plugins", "show", "connector.their-sea").out.splitlines()
    assert shown[-3:] == ["argument  coast", "argument  depth: int = 7", "argument  salt = None"]


def test_a_broken_one_is_shown_as_far_as_it_goes(psk, shelf):
    shelf.add("their-bad", {"connector.their-bad": "their_bad"}, {"their_bad": "import their_missing"})
    done = psk("plugins", "show", "their-bad")
    assert done.code == Exit.NO
    assert "their-bad 1.2" in done.out
    assert "'their_missing', which is not installed" in done.out
    assert "status    broken" in done.out


@pytest.mark.parametrize("name", ["ucx", "connector.ucx", "ucx://host", "s3", "codec.redis"])
def test_no_distribution_is_invented_for_a_plugin_that_nobody_provides(psk, name):
    done = psk("plugins", "show", name)
    assert done.code == Exit.NO
    assert "is installed" in done.err
    assert "pip install" not in done.err


def test_a_class_without_signature_has_no_options():
    assert options_of(dict) == []
