"""Wait on a future while its server is restarted or frozen."""

import os
import threading
import time

import pytest
from servers import MissingServerError, RedisServer

from psk import Store
from psk.errors import DeadlineError, PskError
from psk.store import close_opened_stores
from psk_patterns import as_completed, future
from psk_patterns.errors import ProducerDied
from psk_testing.timing import timed


@pytest.fixture
def server(tmp_path):
    try:
        made = RedisServer(tmp_path / "outages")
    except MissingServerError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    with made:
        yield made


@pytest.fixture
def far_store(server):
    with Store("far", server.uri) as store:
        yield store
        close_opened_stores()


def until_it_serves(store):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            return store.list()
        except PskError:
            time.sleep(0.05)
    raise AssertionError(store)


def test_waiting_goes_on_after_a_restart(server, far_store):
    made, other, heard, called = future(far_store), future(far_store), [], []
    waiting = threading.Thread(target=lambda: heard.append(made.result(30)))
    waiting.start()
    other.add_done_callback(called.append)
    time.sleep(0.2)
    server.restart()
    until_it_serves(far_store)
    made.set_result(1)
    other.set_result(2)
    waiting.join()
    assert heard == [1]
    assert list(as_completed([other], 10)) == [other]
    end = time.monotonic() + 10
    while not called and time.monotonic() < end:
        time.sleep(0.01)
    assert called == [other]
    for each in (made, other):
        each.release()


def test_a_claim_that_the_server_forgot_is_death(server, far_store):
    made = future(far_store, ttl=0.5)
    made.claim()
    assert made.running()
    server.restart()
    until_it_serves(far_store)
    with pytest.raises(ProducerDied):
        made.result(20)
    made.release()


@pytest.mark.parametrize("claimed", [False, True])
def test_waiting_ends_in_its_time_whatever_the_server_does(server, far_store, claimed):
    made = future(far_store, ttl=5)
    if claimed:
        made.claim()
    server.stop()
    try:
        with timed() as clock, pytest.raises(DeadlineError):
            made.result(0.5)
        assert not clock.late(0.5)
        with timed() as clock, pytest.raises(DeadlineError):
            list(as_completed([made], 0.5))
        assert not clock.late(0.5)
    finally:
        server.cont()
    until_it_serves(far_store)
    made.set_result("in the end")
    assert made.result(10) == "in the end"
    made.release()
