"""Channels of the scattering tests, each empty before and after a test."""

import pytest

import psk


@pytest.fixture(params=["local", "file", "shm", "redis"])
def store(request, uri_of):
    """An open store on each channel in turn, which counts what it does."""
    with psk.Store("scattered", uri_of(request.param), metrics=True, register=True) as opened:
        yield opened
        psk.store.close_opened_stores()
        left = opened.list()
        opened.clear()
    assert left == []
