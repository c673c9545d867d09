"""Run a producer and a consumer under a lease, kill one of them, and show which objects are left.

The producer puts blocks and sends their proxies to the consumer, which sums them. Each block belongs to the producer's
lifetime: a lease that the producer renews while it lives. So the blocks may be far older than the lease, and go soon
after the producer ends, however it ends. This program runs without a lease, where the blocks of a killed process stay;
with one; and again with the consumer killed.

    python examples/long_lease.py [--ttl 1.0] [--seconds 3.0] [--kilobytes 1000]
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from channel import temporary_store
from executors import interrupts_put_off
from saved import count, megabytes, table

from psk import Store, StoreConfig, get_or_create_store
from psk_patterns import LeaseLifetime

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    Started = tuple[BaseProcess, BaseProcess, Connection, Any]

BLOCKS_PER_SECOND = 10
SPAWN = get_context("spawn")


@dataclass
class Ending:
    """What was seen of one run.

    Attributes:
        before: Objects just before the end.
        after: Objects when the last one had gone, or when a lease and a second were over.
        seconds: How long after the end that was.
        consumed: How many blocks the consumer has reported.
    """

    before: int
    after: int = 0
    seconds: float = 0.0
    consumed: list[int] = field(default_factory=list)


def produce(config: StoreConfig, ttl: float | None, nbytes: int, proxies: Connection, stop: Any) -> None:
    """Put a block at a time until told to stop; then the lifetime ends, and its blocks with it."""
    with get_or_create_store(config) as store, LeaseLifetime(store, ttl) if ttl else nullcontext() as lifetime:
        while not stop.wait(1 / BLOCKS_PER_SECOND):
            proxies.send(store.proxy(bytes(nbytes), lifetime=lifetime))


def consume(proxies: Connection, report: Connection) -> None:
    """Use every block that comes, and one of the first again and again, old as it may be."""
    received: list[Any] = []
    while True:
        received.append(proxies.recv())
        oldest = received[0]
        del oldest.__proxy_wrapped__  # fetch it anew: it is still there
        report.send(len(received[-1]) + len(oldest))


@contextmanager
def processes(
    store: Store, ttl: float | None, nbytes: int
) -> Iterator[tuple[BaseProcess, BaseProcess, Connection, Any]]:
    """Start a producer and a consumer for a `with` block; return them, the consumer's reports, and what stops them."""
    with ExitStack() as stack:
        (here, sent), (reports, reported) = SPAWN.Pipe(duplex=False), SPAWN.Pipe(duplex=False)
        ends = [stack.enter_context(end) for end in (here, sent, reports, reported)]
        stop = SPAWN.Event()
        producer = SPAWN.Process(target=produce, args=(store.config(), ttl, nbytes, sent, stop), daemon=True)
        consumer = SPAWN.Process(target=consume, args=(here, reported), daemon=True)
        for each in (producer, consumer):
            with interrupts_put_off():
                each.start()
            stack.callback(each.join)
            stack.callback(each.kill)
        del ends
        yield producer, consumer, reports, stop


def run(store: Store, options: Namespace, ttl: float | None, *, killed: str) -> Ending:
    """Let both work for a while, kill one, end the other, and look how long the objects stay."""
    with processes(store, ttl, options.kilobytes * 1000) as (producer, consumer, reports, stop):
        consumed = [reports.recv()]  # both have started
        deadline = time.monotonic() + options.seconds
        while time.monotonic() < deadline:
            if reports.poll(0.05):
                consumed.append(reports.recv())
        ending = Ending(len(store.list()), consumed=consumed)
        victim = producer if killed == "producer" else consumer
        victim.kill()
        victim.join()
        if killed == "consumer":
            stop.set()
            producer.join()
        end = time.monotonic()
        # Without a lease nothing goes, so that long a wait is enough; with one, a busy machine may take its time.
        while (left := len(store.list())) and time.monotonic() < end + options.ttl + (10 if ttl else 1):
            time.sleep(0.01)
        ending.after, ending.seconds = left, time.monotonic() - end
    store.clear()
    return ending


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ttl", type=float, default=1.0, help="seconds of the lease; default 1")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long they work before one is killed; default 3")
    parser.add_argument("--kilobytes", type=int, default=1000, help="size of a block; default 1,000")
    options = parser.parse_args()
    nbytes = options.kilobytes * 1000
    with temporary_store() as store:
        forgotten = run(store, options, None, killed="producer")
        leased = run(store, options, options.ttl, killed="producer")
        ended = run(store, options, options.ttl, killed="consumer")
    assert leased.before > 0 == leased.after, "objects outlived their lease"
    assert ended.before > 0 == ended.after, "objects outlived their lifetime"
    print(
        f"A producer puts {BLOCKS_PER_SECOND} blocks of {megabytes(nbytes)} a second for {options.seconds:g} s,", end=""
    )
    print(f" and is killed; {options.ttl + 1:g} s later:\n")
    figures = [
        ("objects left", forgotten.after, leased.after, count),
        ("bytes left", forgotten.after * nbytes, leased.after * nbytes, megabytes),
    ]
    print(table("without a lease", f"lease of {options.ttl:g} s", figures))
    print(f"\nkilled producer: its {leased.before} objects were gone {leased.seconds:.2f} s later", end="")
    print(f" (at most {options.ttl:g} s + 1 s); while it lived, none was: {len(leased.consumed)} blocks were used")
    print(f"killed consumer: the producer ended by itself, and its {ended.before} objects with it")


if __name__ == "__main__":
    main()
