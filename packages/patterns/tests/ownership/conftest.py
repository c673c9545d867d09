"""Fixtures of the ownership tests: channels of each kind, and threads that end at once when idle."""

import sys
from pathlib import Path

import pytest

import psk
from psk_patterns import deferred_cleanup, leases

# For the functions that other processes run.
sys.path.append(str(Path(__file__).parent))

KINDS = ("local", "file", "shm", "redis")


@pytest.fixture(autouse=True)
def _brief_idling(monkeypatch):
    monkeypatch.setattr(leases, "IDLE_SECONDS", 0.02)
    monkeypatch.setattr(deferred_cleanup, "IDLE_SECONDS", 0.02)


@pytest.fixture(params=KINDS)
def store(request, open_channel):
    """A store on a new channel of each kind."""
    return open_channel(request.param)


@pytest.fixture(params=KINDS[1:])
def shared_store(request, open_channel):
    """A store on a new channel of each kind that other processes reach."""
    return open_channel(request.param)


@pytest.fixture
def local_store(open_channel):
    """A store in this process."""
    return open_channel("local")


@pytest.fixture
def policy():
    """Set the process's rules; they are as before at the end."""
    before = psk.store.get_policy()
    yield psk.store.set_policy
    psk.store.set_policy(signing=before.signing, trusted=before.trusted, codecs=before.codecs)
