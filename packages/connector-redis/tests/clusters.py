"""Groups of servers for the tests: a cluster that shares names, and sentinels that watch a primary."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from servers import RedisServer, free_ports

READY_SECONDS = 30.0
SLOTS = 16384


class Group:
    """Several servers, started and stopped together."""

    def __init__(self):
        self.servers = []

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """End every server at once."""
        for server in self.servers:
            server.kill()


class Cluster(Group):
    """A cluster of primaries that share the slots evenly.

    Args:
        folder: Where the files of its nodes go.
        size: How many primaries.
        replicas: How many replicas the first primary has.
        kind: "redis" or "valkey".
        options: For each node, see `RedisServer`.
    """

    def __init__(self, folder, size=3, *, replicas=0, kind="redis", **options):
        super().__init__()
        self.size = size
        ports = iter(free_ports(2 * (size + replicas)))
        self.servers = [
            RedisServer(
                Path(folder) / f"node{place}",
                kind=kind,
                port=next(ports),
                cluster_enabled="yes",
                cluster_port=next(ports),
                cluster_node_timeout=1000,
                **options,
            )
            for place in range(size + replicas)
        ]

    @property
    def primaries(self):
        """The nodes that owned slots at the beginning."""
        return self.servers[: self.size]

    @property
    def uri(self):
        """The URI that opens a connector, with two nodes to ask."""
        first, second = self.servers[:2]
        options = f"&ca={first.tls.ca}" if first.tls else ""
        return f"{first.scheme}://{first.host}:{first.port},{second.host}:{second.port}?cluster=true{options}"

    def start(self):
        """Start the nodes, introduce them, and wait until all agree."""
        for server in self.servers:
            server.start()
        first = self.servers[0]
        for place, server in enumerate(self.primaries):
            start, end = (SLOTS * share // self.size for share in (place, place + 1))
            expect_ok(server, "CLUSTER", "ADDSLOTSRANGE", start, end - 1)
        for server in self.servers[1:]:
            cluster_port = next(line.split()[1] for line in server.lines if line.startswith("cluster-port "))
            expect_ok(first, "CLUSTER", "MEET", server.host, server.port, cluster_port)
        wait_until(lambda: all(self._is_agreed(server) for server in self.servers), "a cluster")
        identity = first.ask("CLUSTER", "MYID").split()[1]
        for server in self.servers[self.size :]:
            expect_ok(server, "CLUSTER", "REPLICATE", identity)
            wait_until(
                lambda replica=server: b"master_link_status:up" in replica.ask("INFO", "replication"), "a replica"
            )
        return self

    def node_of(self, slot):
        """The primary that owned a slot at the beginning."""
        return self.primaries[slot * self.size // SLOTS]

    def _is_agreed(self, server):
        state = server.ask("CLUSTER", "INFO")
        return b"cluster_state:ok" in state and f"cluster_known_nodes:{len(self.servers)}".encode() in state


class Sentinels(Group):
    """A primary, its replica, and three sentinels that let the replica take over.

    Args:
        folder: Where their files go.
        service: The name the sentinels know them by.
        kind: "redis" or "valkey".
        sentinel_password: What sentinels demand of their clients.
        options: For primary and replica, see `RedisServer`.
    """

    def __init__(self, folder, service="objects", *, kind="redis", sentinel_password=None, **options):
        super().__init__()
        folder = Path(folder)
        self.service = service
        self.primary, self.replica = (
            RedisServer(folder / name, kind=kind, **options) for name in ("primary", "replica")
        )
        self.replica.lines.append(f"replicaof {self.primary.host} {self.primary.port}")
        lines = [
            f"sentinel monitor {service} {self.primary.host} {self.primary.port} 2",
            f"sentinel down-after-milliseconds {service} 500",
            f"sentinel failover-timeout {service} 3000",
        ]
        if password := options.get("password"):
            lines.append(f"sentinel auth-pass {service} {password}")
            for server in (self.primary, self.replica):
                server.lines.append(f"masterauth {password}")
        self.sentinels = [
            RedisServer(folder / f"sentinel{place}", kind=kind, sentinel=True, lines=lines, password=sentinel_password)
            for place in range(3)
        ]
        self.servers = [self.primary, self.replica, *self.sentinels]

    @property
    def uri(self):
        """The URI that opens a connector."""
        places = ",".join(f"{one.host}:{one.port}" for one in self.sentinels)
        return f"{self.primary.kind}://{places}?sentinel={self.service}"

    def start(self):
        """Start all and wait until the sentinels know each other and the replica follows."""
        for server in self.servers:
            server.start()
        wait_until(lambda: b"state=online" in self.primary.ask("INFO", "replication"), "a replica")
        wait_until(lambda: all(self._knows_all(one) for one in self.sentinels), "three sentinels")
        return self

    def current(self):
        """The port of the server that the first sentinel takes for the primary."""
        with contextlib.closing(self.sentinels[0].client(decode_responses=True)) as client:
            return int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)[1])

    def _knows_all(self, sentinel):
        with contextlib.closing(sentinel.client(decode_responses=True)) as client:
            words = client.execute_command("SENTINEL", "MASTER", self.service)
            state = words if isinstance(words, dict) else dict(zip(words[::2], words[1::2], strict=True))
        return state["num-other-sentinels"] == "2" and state["num-slaves"] == "1"


def expect_ok(server, *words):
    """Send a command that has to succeed."""
    answer = server.ask(*words)
    if not answer.startswith(b"+OK"):
        raise AssertionError(f"{words} was answered with {answer}")


def wait_until(condition, what):
    """Wait until servers agree."""
    end = time.monotonic() + READY_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not get ready within {READY_SECONDS:g} s")
        time.sleep(0.02)
