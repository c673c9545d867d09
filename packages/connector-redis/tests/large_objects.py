"""Objects a little longer than what the tests take for a server's longest string."""

from __future__ import annotations

import os

import pytest

from psk.wire import encode
from psk_connector_redis import writing

__all__ = ["PART", "large", "parts_of_10_kb"]

PART = 10_000


@pytest.fixture
def parts_of_10_kb(monkeypatch):
    """Longer objects are stored in parts of this length."""
    monkeypatch.setattr(writing, "LONGEST_STRING", PART)
    monkeypatch.setattr(writing, "PART_BYTES", PART)


def large(count=5, **options):
    """Encode an object of so many parts."""
    return encode([bytearray(os.urandom(PART - 77)) for _ in range(count)], **options)
