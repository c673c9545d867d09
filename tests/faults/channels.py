"""Give a test each channel of psk-core in turn."""

import os

import pytest

from psk.connectors import format_uri, open_connector


def small_in_memory_and_large_on_disk(name, tmp_path):
    from psk.connectors.multi import MultiConnector, Policy

    memory = f"local://{name}", Policy(max_size_bytes=10_000, priority=1)
    channels = MultiConnector({"memory": memory, "disk": f"file://{tmp_path}/objects"})
    channels.close()
    return format_uri(channels.config())


@pytest.fixture(params=["local", "file", "shm", "multi"])
def uri(request, tmp_path):
    """The URI of each channel in turn, empty."""
    name = f"test-{os.urandom(6).hex()}"
    addresses = {
        "file": lambda: f"file://{tmp_path}/objects",
        "multi": lambda: small_in_memory_and_large_on_disk(name, tmp_path),
    }
    address = addresses.get(request.param, lambda: f"{request.param}://{name}")()
    yield address
    left = open_connector(address)
    left.clear()
    left.close()
