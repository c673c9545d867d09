"""The tools for authors of connectors: pools, retries, foreign calls, transfers, addresses, secrets and notices."""

import asyncio
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from faults.interrupts import finalised_in
from psk.connectors import Frames, Payload, Wake, toolkit
from psk.connectors.toolkit import (
    Address,
    Listener,
    LoopThread,
    Patience,
    PerProcess,
    Pool,
    Subscriber,
    SubscriptionRefusedError,
    Summing,
    Trouble,
    WakePipe,
    gather_send,
    read_secret,
    receive_into,
    retry,
    seconds_left,
    tls_context,
    within,
)
from psk.connectors.toolkit import subscriber as subscriber_module
from psk.connectors.toolkit.subscriber import Notice
from psk.connectors.toolkit.transfer import JOINED_BYTES, join_short
from psk.errors import ChannelUnavailableError, DeadlineError
from psk.wire import decode, encode


def soon(seconds=10.0):
    return time.monotonic() + seconds


def eventually(condition, seconds=10):
    end = soon(seconds)
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.002)
    return met


@contextmanager
def forked():
    """Run the block in a forked child; its failure is that of the test."""
    pid = os.fork()
    if pid:
        yield False
        assert os.waitpid(pid, 0)[1] == 0
        return
    status = 1
    try:
        yield True
        status = 0
    finally:
        os._exit(status)


def test_every_name_is_there_and_none_is_loaded_with_the_contract():
    assert sorted(toolkit.__all__) == toolkit.__all__
    assert all(getattr(toolkit, name) for name in toolkit.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = toolkit.nothing
    program = "import sys, psk.connectors; print([name for name in sys.modules if 'toolkit' in name])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


class Connection:
    """A connection that counts what is done with it."""

    def __init__(self):
        self.is_open = True
        self.is_forgotten = False

    def is_usable(self):
        return self.is_open

    def close(self):
        self.is_open = False

    def forget(self):
        self.is_forgotten = True


def test_a_pool_lends_the_connection_that_was_used_last():
    pool = Pool(lambda _: Connection(), 2)
    with pool.borrow(soon()) as first:
        pass
    with pool.borrow(soon()) as again:
        assert again is first
    first.close()  # as a server does that ends an idle connection
    with pool.borrow(soon()) as another:
        assert another is not first


def test_a_pool_is_bounded_for_other_threads_and_not_for_a_call_within_a_call():
    pool = Pool(lambda _: Connection(), 1)
    errors = []

    def borrow():
        try:
            with pool.borrow(soon(0.05)):
                pass
        except DeadlineError as error:
            errors.append(error)

    with pool.borrow(soon()), pool.borrow(soon()):
        thread = threading.Thread(target=borrow)
        thread.start()
        thread.join()
    assert "one of 1 connections" in str(errors[0])
    borrow()
    assert len(errors) == 1


def test_a_call_that_waits_for_a_connection_gets_the_one_that_comes_back():
    pool = Pool(lambda _: Connection(), 1)
    lent = []
    with pool.borrow(soon()) as first:
        thread = threading.Thread(target=lambda: lent.append(pool.borrow(soon()).__enter__()))
        thread.start()
        time.sleep(0.01)
    thread.join()
    assert lent == [first]


def test_an_error_closes_a_connection_and_a_broken_one_the_idle_ones_too():
    pool = Pool(lambda _: Connection(), 3)
    with pool.borrow(soon()) as first, pool.borrow(soon()) as second:
        pass
    with pytest.raises(ValueError, match="an answer is due"), pool.borrow(soon()):
        raise ValueError("an answer is due")
    assert [first.is_open, second.is_open] == [False, True]
    with pytest.raises(OSError, match="reset"), pool.borrow(soon()), pool.borrow(soon()) as third:
        raise ConnectionResetError("reset")
    assert not second.is_open
    assert not third.is_open


def test_a_closed_pool_closes_what_comes_back():
    pool = Pool(lambda _: Connection(), 2)
    with pool.borrow(soon()) as lent:
        pool.close()
        assert lent.is_open
    assert not lent.is_open


def test_a_connection_that_nobody_holds_makes_room():
    pool = Pool(lambda _: Connection(), 1)
    lost = pool.borrow(soon())
    lost.__enter__()  # and cut short before the block
    del lost
    with pool.borrow(soon()):
        pass


def test_a_forked_child_begins_with_an_empty_pool():
    pool = Pool(lambda _: Connection(), 1)
    with pool.borrow(soon()) as mine:
        with forked() as is_child:
            if is_child:
                with pool.borrow(soon(0.1)) as other:
                    assert other is not mine
                assert mine.is_forgotten
                assert mine.is_open
        assert not mine.is_forgotten


def tried(patience, error, most=100):
    count = 1
    while count < most and patience.after(error):
        count += 1
    return count


@pytest.mark.parametrize(
    ("trouble", "count"), [(Trouble.FINAL, 1), (Trouble.BROKEN, 3), (Trouble.MOVED, 17), (Trouble.PASSING, 100)]
)
def test_patience_tries_again_what_may_help(trouble, count, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert tried(Patience(soon(), lambda _: trouble, retries=2), OSError()) == count
    assert max(pauses, default=0) <= 0.5
    assert len(pauses) == {1: 0, 3: 1, 17: 15, 100: 99}[count]


def test_patience_ends_with_the_outage_and_the_deadline(monkeypatch):
    monkeypatch.setattr(retry, "OUTAGE_SECONDS", 0.0)
    assert tried(Patience(soon(), lambda _: Trouble.PASSING), OSError()) == 1
    start = time.monotonic()
    assert tried(Patience(start + 0.1, lambda _: Trouble.STARTING), OSError()) > 1
    assert 0.1 <= time.monotonic() - start < 1


def test_a_foreign_call_is_abandoned_and_its_late_result_discarded():
    assert within(soon(), lambda: 7) == 7
    with pytest.raises(KeyError, match="own"):
        within(soon(), lambda: {}["own"])
    gate, discarded = threading.Event(), []

    def late():
        gate.wait(10)
        return "late"

    with pytest.raises(TimeoutError):
        within(soon(0.02), late, discard=discarded.append)
    gate.set()
    assert eventually(lambda: discarded == ["late"])


def test_a_foreign_call_is_made_at_once_where_no_thread_can_be_had(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert within(soon(), lambda: 7) == 7


def test_a_loop_runs_coroutines_of_every_thread_and_of_a_forked_child():
    loop = LoopThread("psk-test-loop")

    async def double(value):
        await asyncio.sleep(0)
        return 2 * value

    assert loop.run(double(3), soon()) == 6
    with pytest.raises(ZeroDivisionError):
        loop.run(failing(), soon())
    with forked() as is_child:
        if is_child:
            assert loop.run(double(4), soon()) == 8
    assert loop.run(double(5), soon()) == 10
    loop.close()
    assert loop.run(double(6), soon()) == 12
    loop.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "psk-test-loop"]


async def failing():
    raise ZeroDivisionError


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_loop_survives_what_ends_programs(error):
    loop = LoopThread()

    async def end():
        raise error

    async def answer():
        return 5

    for _ in range(3):
        with pytest.raises(error):
            loop.run(end(), time.monotonic() + 10)
        assert loop.run(answer(), time.monotonic() + 10) == 5
    loop.close()


def test_a_coroutine_that_is_late_is_cancelled():
    loop, cancelled = LoopThread(), threading.Event()

    async def late():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(TimeoutError):
        loop.run(late(), soon(0.02))
    assert cancelled.wait(10)
    loop.close()


def test_each_process_makes_its_own_value():
    forgotten = []
    held = PerProcess(os.getpid, forget=forgotten.append)
    assert held.get() == held.get() == os.getpid()
    with forked() as is_child:
        if is_child:
            assert forgotten == [os.getppid()]
            assert held.get() == os.getpid()
    assert held.clear() == os.getpid()
    assert held.clear() is None
    assert held.get() == os.getpid()


@pytest.mark.parametrize(
    ("text", "address"),
    [("Host", ("host", 7)), ("a.b:80", ("a.b", 80)), ("[::1]", ("::1", 7)), ("[FE80::1%eth0]:9", ("fe80::1%eth0", 9))],
)
def test_an_address_is_read_and_written(text, address):
    found = Address.parse(text, 7)
    assert found == address
    assert Address.parse(str(found), 1) == found
    assert not found.is_socket


@pytest.mark.parametrize("text", ["", ":7", "host:", "host:0", "host:65536", "::1", "a b", "user@host", "[x]"])
def test_what_is_not_an_address_is_refused(text):
    with pytest.raises(ValueError, match="address"):
        Address.parse(text, 7)


def test_the_address_of_a_socket_is_its_path():
    assert str(Address("/run/x.sock", 0)) == "/run/x.sock"
    assert Address("/run/x.sock", 0).is_socket


def test_certificates_that_cannot_be_used_are_named(tmp_path):
    assert tls_context("here").check_hostname
    assert tls_context("here", verify_host=False).verify_mode is ssl.CERT_REQUIRED
    (tmp_path / "no.pem").write_text("nothing")
    os.mkfifo(tmp_path / "pipe.pem")
    for name, reason in [
        ("missing.pem", "No such file"),
        ("no.pem", "NO_CERTIFICATE"),
        ("pipe.pem", "not a regular file"),
    ]:
        with pytest.raises(
            ChannelUnavailableError, match=rf"certificates for here cannot be used: .*{reason}"
        ) as caught:
            tls_context("here", ca=str(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)


def test_a_secret_is_read_from_a_private_file_alone(tmp_path):
    path = tmp_path / "secret"
    options = {"what": "password file", "error": ChannelUnavailableError}
    assert read_secret(str(path), **options) is None
    path.write_bytes(b"hunter2\n")
    path.chmod(0o600)
    assert read_secret(str(path), **options) == b"hunter2\n"
    (tmp_path / "link").symlink_to(path)
    assert read_secret(str(tmp_path / "link"), **options) == b"hunter2\n"
    for wrong, more in [("link", {"follow_links": False}), (".", {}), ("secret", {"most_bytes": 3})]:
        with pytest.raises(ChannelUnavailableError, match="password file") as caught:
            read_secret(str(tmp_path / wrong), **options, **more)
        assert "hunter2" not in str(caught.value)
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "empty").chmod(0o600)
    for wrong, message in [("empty", "is empty"), ("nul\0", "cannot be opened: embedded null")]:
        with pytest.raises(ChannelUnavailableError, match=message):
            read_secret(str(tmp_path / wrong), **options)
    path.chmod(0o640)
    with pytest.raises(ChannelUnavailableError, match=r"not private.*chmod 600.*mode 0640"):
        read_secret(str(path), **options)


def test_short_buffers_are_joined_and_long_ones_left_alone():
    long = os.urandom(JOINED_BYTES)
    pieces = list(join_short([b"a", bytearray(b"b"), long, memoryview(b"c"), b"", long, long, b"d"]))
    assert [bytes(piece) for piece in pieces] == [b"ab", long, b"c", long, long, b"d"]
    assert sum(piece is long for piece in pieces) == 3
    many = [os.urandom(1000) for _ in range(1000)]
    pieces = list(join_short(many))
    assert b"".join(pieces) == b"".join(many)
    assert max(map(len, pieces)) <= JOINED_BYTES
    assert len(pieces) < 20


def test_a_payload_crosses_a_socket_and_is_summed_on_its_way():
    payload = encode(bytearray(os.urandom(3_000_000)), checksum=True)
    sending, receiving = socket.socketpair()
    memory, summing = memoryview(bytearray(payload.nbytes)), Summing()
    with sending, receiving:
        thread = threading.Thread(target=gather_send, args=(sending, payload.buffers(), soon()))
        thread.start()
        receive_into(receiving, memory, soon(), reach=summing.reach)
        thread.join()
    assert summing.of(memory) is not None
    found = Payload.parse(Frames([memory], summing.of(memory)))
    found.verify()
    assert decode(found) == decode(payload)


def test_a_peer_that_drips_or_does_not_read_does_not_outlast_the_deadline():
    near, far = socket.socketpair()
    with near, far:
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            gather_send(near, [bytes(50_000_000)], start + 0.1)
        far.sendall(b"x")
        with pytest.raises(TimeoutError):
            receive_into(near, memoryview(bytearray(2)), start + 0.2)
        assert 0.2 <= time.monotonic() - start < 1
        with pytest.raises(TimeoutError):
            seconds_left(start)
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionResetError):
            receive_into(near, memoryview(bytearray(2)), soon())


def test_a_pipe_wakes_what_polls_it():
    pipe = WakePipe()
    assert select.select([pipe], [], [], 0)[0] == []
    for _ in range(100_000):
        pipe.set()
    assert select.select([pipe], [], [], 0)[0] == [pipe]
    while select.select([pipe], [], [], 0)[0]:
        pipe.clear()
    pipe.close()


class Hub:
    """A server of notices, and the feeds that are connected to it."""

    def __init__(self):
        self.feeds = []
        self.is_closed_to_all = False

    def connect(self, topic):
        if self.is_closed_to_all:
            raise SubscriptionRefusedError
        self.feeds.append(HubFeed())
        return self.feeds[-1]

    def publish(self, topic):
        self.feeds[-1].there.sendall(topic + b"\n")


class HubFeed:
    """One connection to the hub: lines, which begin with a plus where they confirm."""

    def __init__(self):
        self.here, self.there = socket.socketpair()
        self.pings = 0
        self.is_open = True

    def fileno(self):
        return self.here.fileno()

    def change(self, new, old):
        self.there.sendall(b"".join(b"+%b\n" % topic for topic in new))

    def receive(self):
        received = self.here.recv(1000)
        if not received:
            raise ConnectionResetError
        return [Notice(line.removeprefix(b"+"), line.startswith(b"+")) for line in received.split()]

    def ping(self):
        self.pings += 1

    def close(self):
        self.is_open = False
        self.here.close()
        self.there.close()

    def forget(self):
        self.close()


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(subscriber_module, "IDLE_SECONDS", 0.05)
    hub = Hub()
    yield hub
    assert eventually(lambda: not any(feed.is_open for feed in hub.feeds))
    assert eventually(lambda: not any(thread.name == "psk-subscriber" for thread in threading.enumerate()))


def test_listeners_share_a_connection_and_are_told_of_their_topics(hub):
    subscriber = Subscriber(hub.connect)
    first, second = Wake(), Wake()
    with (
        Listener(subscriber, [b"one"], first),
        Listener(subscriber, [b"two"], second),
    ):
        assert first.wait(10)  # subscribed: time to look
        assert second.wait(10)
        hub.publish(b"two")
        assert second.wait(10)
        assert not first.wait(0)
        assert len(hub.feeds) == 1


def test_a_finaliser_in_a_thread_that_starts_waits_for_no_lock(hub):
    subscriber, closed = Subscriber(hub.connect), Subscriber(hub.connect)
    other = Listener(subscriber, [], Wake())

    def finalise():
        closed.close()
        subscriber.leave(other)

    wake = Wake()
    with finalised_in("psk-subscriber", finalise) as finished:
        with Listener(subscriber, [b"one"], wake):
            assert wake.wait(10)
        assert finished == ["psk-subscriber"]


def test_a_connection_that_breaks_or_falls_silent_is_replaced(hub, monkeypatch):
    monkeypatch.setattr(subscriber_module, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(subscriber_module, "IDLE_SECONDS", 0.02)
    wake = Wake()
    with Listener(Subscriber(hub.connect), [b"one"], wake):
        assert wake.wait(10)
        hub.feeds[0].there.shutdown(socket.SHUT_RDWR)
        assert wake.wait(10)
        assert eventually(lambda: len(hub.feeds) > 2)
        assert hub.feeds[1].pings == 1


def test_a_listener_is_told_that_the_server_refuses_or_its_connector_was_closed(hub):
    wake = Wake()
    subscriber = Subscriber(hub.connect)
    with Listener(subscriber, [b"one"], wake) as listener:
        assert wake.wait(10)
        assert not wake.wait(0)
        subscriber.close()
        assert wake.wait(10)
        assert not listener.is_refused
    with Listener(subscriber, [b"one"], wake):
        assert wake.wait(10)
    hub.is_closed_to_all = True
    with Listener(Subscriber(hub.connect), [b"one"], wake) as listener:
        assert wake.wait(10)
        assert listener.is_refused


def test_a_call_that_vanished_is_forgotten_and_a_forked_child_listens_for_itself(hub):
    subscriber, wake = Subscriber(hub.connect), Wake()
    Listener(subscriber, [b"one"], wake).__enter__()
    assert wake.wait(10)
    with forked() as is_child:
        if is_child:
            assert not hub.feeds[0].is_open
            woken = Wake()
            with Listener(subscriber, [b"two"], woken):
                assert woken.wait(10)
    del wake
    assert eventually(lambda: not subscriber._listeners)
