"""A wait for an object in shared memory ends with the object and with the session."""

import os
import threading
import time

import numpy as np
import pytest

from faults.killer import Victim
from psk.connectors import format_uri, open_connector
from psk.connectors.shm import ShmConnector
from psk.errors import ChannelUnavailableError, ConnectorClosedError
from psk.wire import encode, new_object_id
from psk_testing.timing import at_some_pace

MISSING = "0" * 32


@pytest.mark.parametrize("elements", [10, 1_000_000])
def test_what_a_guest_puts_ends_the_owner_s_wait(elements):  # C42
    owner = ShmConnector()
    uri = format_uri(owner.config())

    def attempt(_):
        ids = [new_object_id() for _ in range(10)]

        def produce(report):
            guest = open_connector(uri)
            for number, object_id in enumerate(ids):
                time.sleep(0.02)
                if number % 2:  # so that its segment is used again
                    guest.evict(guest.put(encode(np.full(elements, -1))))
                guest.put(encode(np.full(elements, number), object_id=object_id))
                report(time.monotonic())

        guest = Victim(produce)
        seen = []
        for object_id in ids:
            assert owner.wait([MISSING, object_id.hex()], timeout=20) == [object_id.hex()]
            seen.append(time.monotonic())
        put = [float(line) for line in guest.join()]
        assert sorted(arrived - done for arrived, done in zip(seen, put, strict=True))[5] < 0.02

    at_some_pace(attempt)
    owner.clear()
    owner.close()


def test_the_end_of_the_session_ends_a_guest_s_wait():
    def own(report):
        connector = ShmConnector()
        report(format_uri(connector.config()))
        time.sleep(60)

    owner = Victim(own)
    uri = b""
    while not uri.endswith(b"\n"):
        uri += os.read(owner._pipe, 1)
    guest = open_connector(uri.decode().strip())
    outcome = []

    def wait():
        try:
            guest.wait([MISSING], timeout=20)
        except ChannelUnavailableError as error:
            outcome.append((error, time.monotonic()))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    owner.kill()
    killed = time.monotonic()
    waiting.join()
    ((error, ended),) = outcome
    assert "has ended" in str(error)
    assert ended - killed < 10
    guest.close()


def test_closing_ends_the_waits_of_that_instance_only():  # C10
    closed, kept = ShmConnector("waiting"), ShmConnector("waiting")
    payload, outcome = encode("for the other one"), []

    def wait():
        with pytest.raises(ConnectorClosedError):
            closed.wait([payload.key], timeout=20)
        outcome.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    closed.close()
    at = time.monotonic()
    waiting.join()
    assert outcome[0] - at < 10
    kept.put(payload)
    assert kept.wait([payload.key], timeout=1) == [payload.key]
    kept.clear()
    kept.close()
