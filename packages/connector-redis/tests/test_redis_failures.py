"""Each failure of a server, or of the way to it, arrives as the typed error that names the remedy."""

import contextlib
import socket
import threading
import time

import pytest
from certificates import Certificates
from servers import free_ports, packed

from psk.connectors import open_connector
from psk.errors import (
    ChannelDataError,
    ChannelFullError,
    ChannelUnavailableError,
    DeadlineError,
)
from psk_connector_redis.failures import failure
from psk_connector_redis.protocol import Refusal, pack


def ask(server, *words, seconds=5.0):
    """Put one command, as the operations do: a refusal is raised, and judged by the server object."""
    deadline = time.monotonic() + seconds

    def exchange(link):
        link.send((packed(*words),), deadline)
        answer = link.reply(deadline)
        if isinstance(answer, Refusal):
            raise answer
        return answer

    return server.run(exchange, name=b"psk:{x}", deadline=deadline, doing="asking", nbytes=4000)


def said(error):
    """What an error says, and all those say that led to it."""
    chain = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__context__
    return " ".join(f"{one!r} {one}" for one in chain)


@contextlib.contextmanager
def listening(answer):
    """Listen on loopback, and answer each connection in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    end, _ = listener.accept()
                    with end, contextlib.suppress(OSError):
                        answer(end)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_a_full_server_says_so_with_size_and_remedy(start, new_server):
    server = new_server(start(maxmemory="1mb").uri)
    with pytest.raises(
        ChannelFullError, match="evict objects, clear the store, or raise the server's maxmemory"
    ) as caught:
        for number in range(1000):
            ask(server, "SET", f"psk:{number}", "1" * 4000)
    assert "4000 bytes" in str(caught.value)


def test_something_else_under_a_name_is_foreign_data(redis_server, new_server, prefix):
    server = new_server(redis_server.uri)
    ask(server, "RPUSH", prefix, "1")
    with pytest.raises(ChannelDataError, match="something other than an object of psk"):
        ask(server, "GET", prefix)
    ask(server, "DEL", prefix)


def test_a_command_that_is_forbidden_says_which_rules_to_change(start, new_server):
    server = start(lines=["user lab on nopass ~psk* +@all -set"])
    lab = new_server(server.uri.replace("://", "://lab@"))
    with pytest.raises(ChannelUnavailableError, match=r"NOPERM.*set.*; grant this user"):
        ask(lab, "SET", "psk:{x}", "1")


def test_a_server_that_repeats_what_it_was_sent_is_not_repeated(start, new_server):
    server = start(lines=['rename-command AUTH ""', 'rename-command SELECT ""'])
    with pytest.raises(ChannelUnavailableError) as caught:
        new_server(server.uri, password="hunter2-hunter2")
    assert "hunter2" not in said(caught.value)
    with pytest.raises(ChannelUnavailableError, match="unknown command"):
        new_server(f"{server.uri}/7")


def test_a_database_that_does_not_exist_is_named(redis_server, new_server):
    with pytest.raises(
        ChannelUnavailableError, match="database 99999 refused opening it: ERR DB index is out of range"
    ):
        new_server(f"{redis_server.uri}/99999")


def test_nobody_who_listens_is_an_error_at_once(new_server):
    began = time.monotonic()
    with pytest.raises(ChannelUnavailableError, match="Connection refused; start the server, or correct host and port"):
        new_server(f"redis://127.0.0.1:{free_ports()[0]}")
    assert time.monotonic() - began < 5


def test_a_missing_socket_is_named(new_server, tmp_path):
    with pytest.raises(ChannelUnavailableError, match=r"No such file.*; correct the path"):
        new_server(f"redis+unix://{tmp_path}/none.sock")


def test_an_unknown_host_is_named(new_server):
    with pytest.raises(ChannelUnavailableError, match="correct the name of the host"):
        new_server("redis://no-such-host.invalid?connect_timeout=5&retries=0")


def test_a_frozen_server_costs_the_deadline_and_no_more(start, new_server):
    real = start()
    server = new_server(real.uri)
    real.stop()
    began = time.monotonic()
    with pytest.raises(DeadlineError, match=r"no time left while asking in redis at 127.0.0.1"):
        ask(server, "PING", seconds=0.3)
    with pytest.raises(DeadlineError):  # with a new connection, which the kernel accepts
        ask(server, "PING", seconds=0.3)
    assert time.monotonic() - began < 1.6
    real.cont()
    assert ask(server, "PING") == b"PONG"


def test_a_frozen_server_cannot_be_opened_for_longer_than_connecting_may_take(start, new_server):
    real = start()
    real.stop()
    began = time.monotonic()
    with pytest.raises((ChannelUnavailableError, DeadlineError)):
        new_server(f"{real.uri}?connect_timeout=0.4")
    assert time.monotonic() - began < 0.9
    real.cont()


def test_a_server_that_drips_its_greeting_does_not_outlast_the_deadline(new_server):
    def drip(end):
        for letter in b"+OK\r\n" * 100:
            end.send(bytes([letter]))
            time.sleep(0.1)

    with listening(drip) as port:
        began = time.monotonic()
        with pytest.raises((ChannelUnavailableError, DeadlineError)):
            new_server(f"redis://127.0.0.1:{port}/1?connect_timeout=0.5", password="x")
        assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 50, b"$-7\r\n", b"*9999999\r\n"]
)
def test_something_else_than_a_redis_server_is_an_error(new_server, greeting):
    def answer(end):
        end.recv(1000)
        end.sendall(greeting)

    with listening(answer) as port, pytest.raises((ChannelUnavailableError, DeadlineError)):
        new_server(f"redis://127.0.0.1:{port}?connect_timeout=1&retries=1")


def test_a_replica_does_not_take_writes(start, new_server):
    primary = start()
    replica = start(lines=[f"replicaof 127.0.0.1 {primary.port}"])
    server = new_server(f"{replica.uri}?retries=0")
    began = time.monotonic()
    with pytest.raises((ChannelUnavailableError, DeadlineError), match=r"READONLY|no time left"):
        ask(server, "SET", "psk:{x}", "1", seconds=0.6)
    assert time.monotonic() - began < 1.1


def test_a_primary_that_comes_back_in_time_is_waited_for(start, new_server):
    primary = start()
    replica = start(lines=[f"replicaof 127.0.0.1 {primary.port}"])
    server = new_server(replica.uri)
    promote = threading.Timer(0.4, lambda: replica.ask("REPLICAOF", "NO", "ONE"))
    promote.start()
    assert ask(server, "SET", "psk:{x}", "1", seconds=10) == b"OK"
    promote.join()


def test_a_server_that_was_restarted_is_used_again_without_an_error(start, new_server):
    real = start()
    server = new_server(real.uri)
    for _ in range(3):
        assert ask(server, "PING") == b"PONG"
        real.restart()
    assert ask(server, "PING") == b"PONG"


def test_a_server_that_comes_back_within_the_retries_is_waited_for(start, new_server):
    real = start()
    server = new_server(f"{real.uri}?retries=20")
    real.kill()
    again = threading.Timer(0.3, real.start)
    again.start()
    assert ask(server, "PING", seconds=10) == b"PONG"
    again.join()


def test_tls_says_what_is_wrong_with_it(tls_server, redis_server, new_server, certificates, tmp_path):
    plain = tls_server.uri.partition("?")[0]
    assert ask(new_server(tls_server.uri), "PING") == b"PONG"
    assert ask(new_server(tls_server.uri.replace("127.0.0.1", "localhost")), "PING") == b"PONG"
    with pytest.raises(ChannelUnavailableError, match=r"self-signed certificate.*give ca="):
        new_server(plain)
    with pytest.raises(ChannelUnavailableError, match="TLS needs a scheme with an s"):
        new_server(plain.replace("rediss", "redis"))
    with pytest.raises(ChannelUnavailableError, match="for a server without TLS use a scheme without s"):
        new_server(redis_server.uri.replace("redis", "rediss") + "?connect_timeout=0.5")
    with pytest.raises(ChannelUnavailableError, match=r"No such file.*name PEM files .*ca=/no/such/file"):
        new_server(f"{plain}?ca=/no/such/file")
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(ChannelUnavailableError, match=r"certificates for redis at .* cannot be used"):
        new_server(f"{plain}?ca={tmp_path}/no.pem")
    with pytest.raises(ChannelUnavailableError, match=r"certificates for redis at .* cannot be used"):
        new_server(f"{plain}?cert={certificates.client}&key={certificates.server_key}")


def test_all_connections_of_a_channel_share_one_context(tls_server, new_server, monkeypatch):
    server = new_server(tls_server.uri)
    monkeypatch.setattr("psk_connector_redis.connection.tls_context", lambda *_, **__: pytest.fail("made anew"))
    server.connect(None, time.monotonic() + 5).close()


def test_a_certificate_must_be_for_the_host_unless_told_otherwise(start, new_server, tmp_path):
    elsewhere = Certificates(tmp_path / "elsewhere", names="subjectAltName=DNS:elsewhere,DNS:localhost")
    server = start(tls=elsewhere)
    with pytest.raises(ChannelUnavailableError, match="IP address mismatch"):
        new_server(server.uri)
    assert ask(new_server(f"{server.uri}&verify_host=false"), "PING") == b"PONG"


def test_a_server_can_demand_a_certificate_of_its_clients(start, new_server, tmp_path):
    own = Certificates(tmp_path / "own", clients=True)
    server = start(tls=own)
    with pytest.raises(ChannelUnavailableError, match="cert= and key= if it wants to know its clients"):
        new_server(server.uri)
    assert ask(new_server(f"{server.uri}&cert={own.client}&key={own.client_key}"), "PING") == b"PONG"


def test_a_server_with_too_many_clients_is_waited_for(start, new_server):
    password = "of-the-server"
    real = start(password=password, maxclients=3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection((real.host, real.port)))
        with pytest.raises(ChannelUnavailableError, match=r"max number of clients reached; raise .* maxclients"):
            new_server(f"{real.uri}?connect_timeout=0.4", password=password)
        waiting = threading.Timer(0.3, stack.close)
        waiting.start()
        assert ask(new_server(real.uri, password=password), "PING") == b"PONG"
        waiting.join()


def test_an_unknown_answer_is_repeated_without_its_arguments():
    refusal = Refusal("ERR unknown command 'X', with args beginning with: 'hunter2'")
    assert "hunter2" not in str(failure(refusal, "asking", "redis"))
    refusal = Refusal("ERR wrong number of arguments for 'auth' command hunter2 AUTH")
    assert "hunter2" not in str(failure(refusal, "asking", "redis"))
    assert len(str(failure(Refusal("ERR " + "\x00" * 5000), "asking", "redis"))) < 1200


def test_an_error_of_psk_stays_what_it_is():
    error = ChannelDataError("this")
    assert failure(error, "asking", "redis") is error


def test_the_connector_raises_the_same(start):
    server = start()
    with contextlib.closing(open_connector(f"{server.uri}?timeout=0.4")) as connector:
        server.stop()
        with pytest.raises(DeadlineError):
            connector.exists("0" * 32)
        server.cont()
        assert connector.exists("0" * 32) is False


def test_packing_is_what_the_servers_read():
    assert pack(b"GET", b"x") == packed("GET", "x")
