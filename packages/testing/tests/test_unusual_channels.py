"""The suite accepts a channel that delivers in the background, and one whose keys name places (C60 to C63)."""

import os
from pathlib import Path
from typing import ClassVar

import pytest

from psk.connectors import find_connector
from psk.errors import ChannelUnavailableError, DeadlineError
from psk.wire import encode
from psk_testing import ConnectorTests
from psk_testing.timing import timed

CHANNELS = Path(__file__).with_name("channels")
COUNTS = {"model_runs": 5, "turns": 10, "failures": 20}


@pytest.fixture
def installed(monkeypatch):
    """Install the channels as a plug-in would be."""
    monkeypatch.syspath_prepend(CHANNELS)


class Unusual(ConnectorTests):
    crosses_processes = False
    counts: ClassVar = COUNTS


class TestMail(Unusual):
    @pytest.fixture
    def uri(self, installed):
        return f"mail://test-{os.urandom(6).hex()}"


class TestPlaced(Unusual):
    @pytest.fixture
    def name(self, installed):
        return f"test-{os.urandom(6).hex()}"

    @pytest.fixture
    def uri(self, name):
        return f"placed://{name}/east"

    @pytest.fixture
    def other_place_uri(self, name):
        return f"placed://{name}/west"


@pytest.fixture
def mail(installed, monkeypatch):
    kind = find_connector("mail")
    monkeypatch.setattr(kind, "delay", 0.2)
    return kind(authority=os.urandom(6).hex())


def test_a_get_waits_for_what_is_under_way_within_its_deadline(mail):  # C62
    key = mail.put(encode("slow"))
    with pytest.raises(DeadlineError):
        mail.get(key, timeout=0.05)
    with pytest.raises(DeadlineError):
        mail.exists(key, timeout=0)
    assert mail.get(key, timeout=10) is not None
    mail.close()


def test_a_close_that_is_late_says_so_and_closes(mail):  # C63
    mail.put(encode("slow"))
    with pytest.raises(DeadlineError):
        mail.close(timeout=0.01)
    mail.close(timeout=0)
    mail.close()


def test_a_lost_delivery_is_an_error_and_never_missing(mail, monkeypatch):  # C62
    monkeypatch.setattr(type(mail), "losing", True)
    key = mail.put(encode("lost"))
    for call in (mail.get, mail.exists):
        with pytest.raises(ChannelUnavailableError, match="lost"):
            call(key)
    monkeypatch.setattr(type(mail), "losing", False)
    with timed() as clock:
        assert mail.put(encode("other")) != key
    assert clock.seconds - clock.stalled < 0.15
    with pytest.raises(ChannelUnavailableError, match="lost"):
        mail.close()
