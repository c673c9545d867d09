"""Fault tools do what they say, and checkers catch the bugs planted here."""

import contextlib
import errno
import os
import socket
import threading
import time

import pytest

from faults import audit, killer
from faults.history import Event, record, violations
from psk_testing.network import FaultProxy

pytest_plugins = ["faults.tmpfs"]


def test_a_victim_reports_until_it_is_killed():
    def count(report):
        for number in range(10**9):
            report(number)

    lines = killer.Victim(count).kill(after=0.05)
    assert lines == [str(number) for number in range(len(lines))]
    assert lines


def test_a_failure_of_the_victim_is_not_taken_for_its_death():
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        killer.Victim(lambda report: report(1 / 0)).join()


def test_a_victim_dies_at_the_named_point(tmp_path):
    def work(report):
        killer.die_at("os.link", 2)
        for number in range(5):
            (tmp_path / f"{number}").touch()
            report(number)
            os.link(tmp_path / f"{number}", tmp_path / f"{number}.linked")

    assert killer.Victim(work).join() == ["0", "1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "0.linked", "1"]


def test_delays_repeat_with_their_seed():
    assert killer.random_delays(7, 5, 1.0) == killer.random_delays(7, 5, 1.0)
    assert all(0 <= delay <= 1 for delay in killer.random_delays(7, 100, 1.0))


def test_the_small_file_system_is_small(small_tmpfs):
    with pytest.raises(OSError, match="space") as caught:
        (small_tmpfs / "large").write_bytes(bytes(5_000_000))
    assert caught.value.errno == errno.ENOSPC


PUT = Event("put", "k", "v", 1.0, 2.0)
EVICT = Event("evict", "k", None, 5.0, 6.0)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Event("get", "k", "v", 3.0, 4.0), None),
        (Event("get", "k", None, 0.0, 0.5), None),
        (Event("get", "k", None, 1.5, 3.0), None),
        (Event("get", "k", "v", 1.5, 3.0), None),
        (Event("get", "k", None, 5.5, 5.6), None),
        (Event("get", "k", "v", 5.5, 7.0), None),
        (Event("get", "k", None, 7.0, 8.0), None),
        (Event("get", "k", "x", 3.0, 4.0), "wrong"),
        (Event("get", "k", "v", 0.1, 0.2), "wrong"),
        (Event("get", "k", None, 3.0, 4.0), "lost"),
        (Event("get", "k", "v", 7.0, 8.0), "back from the dead"),
    ],
)
def test_the_history_checker_catches_planted_bugs_and_nothing_else(seen, verdict):
    found = violations([PUT, EVICT, Event.of_line(seen.line())])
    assert [line.partition(":")[0] for line in found] == ([verdict] if verdict else [])


def test_a_recorded_event_spans_its_call():
    event = record("get", "k", lambda: time.sleep(0.01))
    assert event.end - event.begin >= 0.01


@pytest.fixture
def echo():
    """A server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection):
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def asked(proxy, data, timeout=1.0):
    """Send data through a proxy and give the answer: as much as was sent, or what came before the end."""
    with socket.create_connection(proxy.address, timeout=timeout) as client:
        client.settimeout(timeout)
        client.sendall(data)
        got = b""
        while len(got) < len(data) and (more := client.recv(65536)):
            got += more
        return got


def test_the_fault_proxy_passes_everything_on_when_told_nothing(echo):
    data = os.urandom(1_000_000)
    with FaultProxy(echo) as proxy:
        assert asked(proxy, data, 10) == data


def test_each_fault_happens(echo):
    data = bytes(10_000)
    with FaultProxy(echo) as proxy:
        proxy.latency = 0.1
        start = time.monotonic()
        asked(proxy, data)
        assert time.monotonic() - start >= 0.2
        proxy.latency = 0.0
        proxy.corrupt_every = 1000
        assert asked(proxy, data).count(b"\x01") >= 10
        proxy.corrupt_every = None
        proxy.drip = 40_000
        start = time.monotonic()
        assert asked(proxy, data, 10) == data
        assert time.monotonic() - start >= 0.2
        proxy.drip = None
        for fault in ("black_hole", "half_open"):
            setattr(proxy, fault, True)
            with pytest.raises(TimeoutError):
                asked(proxy, data, 0.2)
            setattr(proxy, fault, False)
        proxy.corrupt_requests_every = 1000
        assert asked(proxy, data).count(b"\x01") >= 10
        proxy.calm()
        proxy.cut_after = 15_000
        with contextlib.suppress(ConnectionError):
            assert len(asked(proxy, data)) < len(data)


def test_the_fault_proxy_refuses_and_accepts_again(echo):
    with FaultProxy(echo) as proxy:
        client = socket.create_connection(proxy.address, timeout=5)
        client.sendall(b"there")
        assert client.recv(10) == b"there"
        assert proxy.connections == 1
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            asked(proxy, b"again")
        proxy.accept()
        assert asked(proxy, b"again") == b"again"
        client.close()


def test_the_audit_hook_sees_a_planted_gadget():
    prepare = (
        "import os, pickle\n"
        "class Gadget:\n"
        "    def __reduce__(self):\n"
        "        return os.system, ('true',)\n"
        "body = pickle.dumps(Gadget())"
    )
    assert any("os.system" in event for event in audit.forbidden_events(prepare, "pickle.loads(body)"))
    assert any("import" in event for event in audit.forbidden_events("", "import wave"))
    assert audit.forbidden_events(prepare, "len(body)") == []
