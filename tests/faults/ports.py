"""A port at which nobody listens."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture
def closed_port():
    """A port of the loopback that refuses connections: taken, so that nobody else begins to listen there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
