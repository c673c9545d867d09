"""Valid uses of the connectors' contract that no type checker flags."""

from __future__ import annotations

from psk import FileConnector, LocalConnector, ShmConnector
from psk.connectors import (
    Allocation,
    Connector,
    SupportsAllocate,
    SupportsAsync,
    SupportsBatch,
    SupportsTake,
    SupportsWatch,
    Watcher,
    capabilities_of,
)
from psk.connectors.multi import MultiConnector
from psk.connectors.toolkit import SimpleConnector


def connectors() -> None:
    local = LocalConnector()
    every: list[Connector] = [local, FileConnector("objects"), ShmConnector(), MultiConnector({"a": local})]
    allocating: list[SupportsAllocate] = [local, FileConnector("objects"), ShmConnector()]
    watching: SupportsWatch = local
    batching: SupportsBatch = local
    taking: SupportsTake = local
    asynchronous: SupportsAsync = local
    with allocating[0].allocate(64) as allocation:
        allocation.buffer[:4] = b"psk\0"
        key: str = allocation.commit(ttl=1)
    watcher: Watcher = watching.watcher()
    watcher.add(key, print)
    pause: float | None = watcher.dispatch()
    uris: list[str] = [connector.uri() for connector in every]
    known: frozenset[type] = capabilities_of(local)
    simple: type[Connector] = SimpleConnector
    another: Allocation = local.allocate(1)
    _ = (batching, taking, asynchronous, pause, uris, known, simple, another)
