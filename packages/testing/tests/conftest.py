"""Fixtures of the tests of psk-testing: a connector over TCP, installed as a plug-in would be; quick checks."""

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


@pytest.fixture
def impatient(monkeypatch):
    """Let checks of plug-ins measure and wait for as little as they can."""
    monkeypatch.setattr("psk_testing.checking.live.MOST_LARGE", 1)
    monkeypatch.setattr("psk_testing.checking.live.LARGE_BYTES", 4_000_000)
    monkeypatch.setattr("psk_testing.checking.capabilities.WAKE_UPS", 2)
    monkeypatch.setattr("psk_testing.checking.capabilities.SHORT_SECONDS", 0.1)
