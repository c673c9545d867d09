"""What do the tests of the suite share? A connector over TCP, installed as a plug-in would be."""

from pathlib import Path

import pytest

PLUGIN = Path(__file__).with_name("dictionary")


@pytest.fixture(scope="session")
def dictionary_server():
    """A server of dictionaries, for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PLUGIN)
        from psk_dictionary.server import DictionaryServer

        with DictionaryServer() as server:
            yield server


@pytest.fixture
def _plugin_on_path(monkeypatch):
    monkeypatch.syspath_prepend(PLUGIN)
