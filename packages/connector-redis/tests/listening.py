"""Look who listens at a server, for tests of waits and of what wakes them."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager


@contextmanager
def waiting_for(connector, keys, *, until=True, timeout=20):
    """Wait in a thread during a block, which begins when the wait listens; give what it returned or raised."""
    outcome = []

    def wait():
        try:
            outcome.append(connector.wait(keys, timeout=timeout))
        except Exception as error:  # noqa: BLE001  looked at by the test
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    while until and not are_subscribed(connector, keys):
        time.sleep(0.001)
    yield outcome
    thread.join()


def subscribers(connector):
    """Give the subscribers of a connector that listen, one for each server."""
    return [each for each in connector._channel.server.subscribers.values() if each._listeners or each._pipe]


def are_subscribed(connector, keys):
    """Tell whether the arrival of each of several objects is subscribed to, at whatever server holds it."""
    topics = {connector._channel.names.news(key) for key in keys}
    sessions = [each._session for each in subscribers(connector)]
    return topics <= {topic for session in sessions if session is not None for topic in session.confirmed}


def is_listening(each):
    """Tell whether everything a subscriber is to listen to is subscribed."""
    session = each._session
    return session is not None and each._by_topic and each._by_topic.keys() <= session.confirmed


def listeners(server):
    """Give the ids of the connections that are subscribed at a server."""
    client = server.client()
    found = [entry["id"] for entry in client.client_list() if int(entry["sub"])]
    client.close()
    return found
