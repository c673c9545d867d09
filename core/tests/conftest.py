"""Fixtures of the tests of the core."""

import pytest

import psk


@pytest.fixture
def store(uri):
    """An open store on each channel in turn."""
    with psk.Store("tested", uri) as opened:
        yield opened
        psk.store.close_opened_stores()
