"""A connection reads what was sent, in whatever pieces it arrives, and never waits longer than it may."""

import contextlib
import os
import socket
import threading
import time

import pytest

from psk.connectors.toolkit import Address
from psk_connector_redis.connection import Connection, Dialer
from psk_connector_redis.credentials import Credentials
from psk_connector_redis.protocol import LONGEST_STRING, GarbledError, Refusal, UnexpectedError, pack, pack_around
from psk_connector_redis.settings import Settings


def soon(seconds=5.0):
    return time.monotonic() + seconds


@pytest.fixture
def pair():
    """A link, and the other end of its socket."""
    ours, theirs = socket.socketpair()
    link = Connection(ours)
    yield link, theirs
    link.close()
    theirs.close()


@contextlib.contextmanager
def sending(there, pieces, pause=0.0):
    """Send pieces from another thread, each after a pause."""

    def send():
        with contextlib.suppress(OSError):
            for piece in pieces:
                time.sleep(pause)
                there.sendall(piece)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


@pytest.fixture
def real(redis_server):
    """A link to a real server."""
    link = Dialer(Settings(), Credentials(Settings(), user=None), db=0).dial(
        Address(redis_server.host, redis_server.port), soon()
    )
    yield link
    link.close()


@pytest.mark.parametrize("size", [0, 1, 31, 32, 1000, 65_529, 65_530, 65_536, 70_000, 3_000_000])
def test_a_string_of_any_length_comes_back(real, prefix, size):
    data = os.urandom(size)
    name = prefix.encode()
    real.send(pack_around((b"SET", name), [data[:7], memoryview(data)[7:]], size, (b"PX", b"60000")), soon())
    assert real.reply(soon()) == b"OK"
    real.send((pack(b"GET", name),), soon())
    assert real.reply_into(soon()) == data
    # Several answers in one packet, the string in their midst.
    real.send((pack(b"EXISTS", name), pack(b"GET", name), pack(b"GET", b"nothing"), pack(b"NONSENSE")), soon())
    assert real.replies(3, soon()) == [1, data, None]
    refused = real.reply_into(soon())
    assert isinstance(refused, Refusal)
    assert refused.code == "ERR"
    assert real.is_usable()
    real.send((pack(b"GET", name), pack(b"DEL", name)), soon())
    assert real.reply_into(soon()) == data
    assert real.reply(soon()) == 1
    assert real.is_usable()


@pytest.mark.parametrize(
    ("question", "answer"),
    [((b"GET", b"nothing"), None), ((b"EXISTS", b"nothing"), 0), ((b"TIME",), list), ((b"SPOP", b"nothing"), None)],
)
def test_an_answer_that_is_no_string_is_told_as_it_is(real, question, answer):
    real.send((pack(*question),), soon())
    found = real.reply_into(soon())
    assert type(found) is answer if isinstance(answer, type) else found == answer
    assert real.is_usable()


def test_a_refusal_keeps_its_code(real, prefix):
    name = prefix.encode()
    questions = (pack(b"RPUSH", name, b"1"), pack(b"GET", name), pack(b"EVALSHA", b"0" * 40, b"0"), pack(b"DEL", name))
    real.send(questions, soon())
    assert [getattr(answer, "code", answer) for answer in real.replies(4, soon())] == [1, "WRONGTYPE", "NOSCRIPT", 1]


def test_an_answer_may_arrive_byte_by_byte(pair):
    link, there = pair
    data = os.urandom(70)
    for answer in (b"$70\r\n%b\r\n" % data, b"*2\r\n:1\r\n$-1\r\n", b"$-1\r\n", b"_\r\n", b"-OOM none\r\n"):
        with sending(there, [bytes([byte]) for byte in answer * 2], pause=0.0002):
            first, second = link.reply_into(soon()), link.reply(soon())
        assert repr(bytes(first) if isinstance(first, memoryview) else first) == repr(second)
        assert link.is_usable()


def test_a_long_string_goes_into_the_memory_that_is_given(pair):
    link, there = pair
    data = os.urandom(500_000)
    memory = bytearray(500_000)
    with sending(there, [b"$400000\r\n", data[:400_000], b"\r\n$100000\r\n", data[400_000:] + b"\r\n+next\r\n"]):
        link.string_into(memoryview(memory)[:400_000], soon())
        link.string_into(memoryview(memory)[400_000:], soon())
        assert link.reply(soon()) == b"next"
    assert memory == data
    assert link.is_usable()


@pytest.mark.parametrize(
    "answer", [b"$0\r\n\r\n", b"$-1\r\n", b"$9\r\n", b"$70\r\n", b"-ERR no\r\n", b"$7\r\n1234567?"]
)
def test_another_answer_is_told_from_a_string_of_the_expected_length(pair, answer):
    link, there = pair
    with sending(there, [answer]), pytest.raises(UnexpectedError):
        link.string_into(memoryview(bytearray(7)), soon())


def test_what_nobody_asked_for_is_no_answer(pair):
    link, there = pair
    there.sendall(b">2\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n>1\r\n:1\r\n$2\r\nho\r\n")
    assert link.reply_into(soon()) == b"hi"
    assert link.reply_into(soon()) == b"ho"


@pytest.mark.parametrize(
    "answer",
    [
        b"$5\r\nlonger\r\n",
        b"$100000\r\n" + bytes(100_002),
        b"$12x\r\n",
        b"$-5\r\n",
        b"$%d\r\n" % (LONGEST_STRING + 1),
        b"$99999999999999999999\r\n",
        b"$" + b"1" * 100,
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\r\n",
        b"\x16\x03\x01" * 20,
    ],
)
def test_garbage_is_found_and_nothing_is_allocated_for_it(pair, answer, monkeypatch):
    link, there = pair
    asked = []

    def memory(size):
        asked.append(size)
        return memoryview(bytearray(size))

    monkeypatch.setattr("psk_connector_redis.connection.allocate", memory)
    with sending(there, [answer]), pytest.raises(GarbledError):
        link.reply_into(soon())
    assert asked in ([], [100_000])


@pytest.mark.parametrize(
    "answer", [b"", b"$", b"$10", b"$10\r\n", b"$10\r\n12345", b"$70000\r\n12345", b"*3\r\n:1\r\n"]
)
@pytest.mark.parametrize("read", ["reply", "reply_into"])
def test_the_end_in_the_midst_of_an_answer_is_a_broken_connection(pair, answer, read):
    link, there = pair
    there.sendall(answer)
    there.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionError):
        getattr(link, read)(soon())


@pytest.mark.parametrize("read", ["reply", "reply_into"])
def test_a_server_that_drips_does_not_outlast_the_deadline(pair, read):
    link, there = pair
    answer = b"$100000\r\n" + bytes(100_002)
    with sending(there, [answer[start : start + 1] for start in range(60)], pause=0.01):
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            getattr(link, read)(begin + 0.2)
        assert 0.2 <= time.monotonic() - begin < 0.6


def test_a_server_that_does_not_read_does_not_outlast_the_deadline(pair):
    link, _ = pair
    begin = time.monotonic()
    with pytest.raises(TimeoutError):
        link.send([bytes(50_000_000)], begin + 0.2)
    assert 0.2 <= time.monotonic() - begin < 0.6


@pytest.mark.parametrize("do", [lambda link: link.send((b"PING\r\n",), 0.0), lambda link: link.reply(0.0)])
def test_nothing_is_done_when_time_is_up(pair, do):
    link, there = pair
    with pytest.raises(TimeoutError):
        do(link)
    there.setblocking(False)
    with pytest.raises(BlockingIOError):
        there.recv(1)


def test_what_arrives_unasked_makes_a_link_unusable(pair):
    link, there = pair
    assert link.is_usable()
    there.sendall(b"+late\r\n")
    assert not link.is_usable()
    assert link.reply(soon()) == b"late"
    assert link.is_usable()
    there.close()
    assert not link.is_usable()


def test_the_end_makes_either_link_unusable(real, redis_server):
    real.send((pack(b"CLIENT", b"ID"),), soon())
    number = real.reply(soon())
    with contextlib.closing(redis_server.client()) as client:
        client.client_kill_filter(_id=str(number))
    end = soon()
    while real.is_usable() and time.monotonic() < end:
        time.sleep(0.005)
    assert not real.is_usable()
