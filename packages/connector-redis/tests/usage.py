"""Open a connector, read an object, and wait for what takes a moment."""

from __future__ import annotations

import time

from psk.connectors import parse_uri
from psk.wire import Payload, decode
from psk_connector_redis.connector import RedisConnector

LARGE = 3_000_000
"""How long an object is that is moved in many pieces."""


def opened(uri):
    """Open the connector of a URI; to be closed."""
    return RedisConnector.from_config(parse_uri(uri))


def joined(uri, options):
    """Add options to a URI."""
    return f"{uri}{'&' if '?' in uri else '?'}{options}"


def value_of(frames):
    """Give the object in what `get` returned, verified."""
    payload = Payload.parse(frames)
    payload.verify()
    return decode(payload)


def eventually(condition, seconds=10):
    """Wait until something is so; give what it was at last."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.005)
    return met
