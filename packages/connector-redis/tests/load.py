"""Clients of a server that dies again and again: they put, get, take and evict, and record all of it."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path

from usage import opened

from faults.history import CLOCK, Event
from faults.killer import Victim
from psk.errors import PskError
from psk.wire import Payload, decode, encode
from psk_testing.timing import GRACE_SECONDS, timed

TIMEOUT = 2.0
RECOVERY_SECONDS = 5.0
SETTLING_SECONDS = 0.05
KEPT = 100
SIZES = (10, 500, 5_000, 5_000, 100_000)
FOREVER = float("inf")


def payload_of(process, counter):
    """Make an object that says which one it is."""
    value = f"{process}-{counter}"
    size = SIZES[counter % len(SIZES)]
    return encode((value, bytes([counter % 256]) * size), object_id=identity(process, counter))


def identity(process, counter):
    """Give an object's id, which other processes know too."""
    return process.to_bytes(4, "big") + counter.to_bytes(12, "big")


def value_of(frames):
    """Say which object arrived; anything else than the whole of one is an error of its own."""
    if frames is None:
        return None
    payload = Payload.parse(frames)
    payload.verify()
    value, filling = decode(payload)
    counter = int(value.partition("-")[2])
    whole = bytes([counter % 256]) * SIZES[counter % len(SIZES)]
    return value if filling == whole else f"{value}, damaged"


class Client:
    """One process under load.

    Args:
        uri: The server.
        process: Its number.
        folder: Where it writes its journal, and where `stop` says that it is over.
        seed: Of its choices.
    """

    def __init__(self, uri, process, folder, seed):
        self.connector = opened(uri)
        self.process = process
        self.folder = Path(folder)
        self.chance = random.Random(seed * 1000 + process)
        self.counter = 0
        self.own = []

    def run(self):
        """Work until it is over."""
        with (self.folder / f"{self.process}.journal").open("a", buffering=1) as self.journal, timed() as self.clock:
            while not (self.folder / "stop").exists():
                self.chance.choices((self.put, self.get, self.take, self.evict), (4, 4, 2, 1))[0]()
        self.connector.close()

    def put(self):
        self.counter += 1
        counter, payload = self.counter, payload_of(self.process, self.counter)
        if self.call(
            "put", payload.key, f"{self.process}-{counter}", lambda: self.connector.put(payload, timeout=TIMEOUT)
        ):
            self.own.append(payload.key)
        while len(self.own) > KEPT:
            self.evict(0)

    def get(self):
        key = self.somebodys()
        self.call("get", key, None, lambda: value_of(self.connector.get(key, timeout=TIMEOUT)))

    def take(self):
        key, claim = self.somebodys(), f"process {self.process}"
        self.call("take", key, None, lambda: value_of(self.connector.take(key, claim, timeout=TIMEOUT)))

    def evict(self, place=None):
        if self.own:
            key = self.own.pop(self.chance.randrange(len(self.own)) if place is None else place)
            self.call("evict", key, None, lambda: self.connector.evict(key, timeout=TIMEOUT))

    def somebodys(self):
        """Name an object that is likely to be there; what others have put lately is only guessed."""
        counter = max(1, self.counter - self.chance.randrange(KEPT))
        return identity(self.chance.randrange(8), counter).hex()

    def call(self, operation, key, value, function):
        """Make a call and write down what came of it; one that failed may have been done, at any time from now on."""
        stalled, begin = self.clock.stalled, time.clock_gettime(CLOCK)
        error, got = None, None
        try:
            got = function()
        except PskError as failure:
            error = f"{type(failure).__name__}: {failure}"
        except Exception as failure:  # noqa: BLE001  found by the check
            error = f"untyped {type(failure).__name__}: {failure}"
        end = time.clock_gettime(CLOCK)
        if end - begin > TIMEOUT:
            time.sleep(SETTLING_SECONDS)  # the clock may not know yet that the machine was busy until now
        entry = {
            "process": self.process,
            "operation": operation,
            "key": key,
            "value": value if operation in {"put", "evict"} else got,
            "begin": begin,
            "end": end,
            "stalled": self.clock.stalled - stalled,
            "error": error,
        }
        self.journal.write(json.dumps(entry) + "\n")
        return error is None


def start_clients(uri, folder, seed, count=8):
    """Start processes; `stop_clients` ends them."""
    return [Victim(lambda _, number=number: Client(uri, number, folder, seed).run()) for number in range(count)]


class Journals:
    """What the clients write down, as far as it was read.

    Args:
        folder: Where they write.
        count: Of the clients.
    """

    def __init__(self, folder, count=8):
        self.folder = Path(folder)
        self.places = [0] * count

    def await_calls(self, count, seconds=30):
        """Wait until so many more calls have succeeded."""
        end = time.monotonic() + seconds
        while (count := count - self._new_calls()) > 0:
            assert time.monotonic() < end, "the clients do nothing"
            time.sleep(0.005)

    def _new_calls(self):
        found = 0
        for process, place in enumerate(self.places):
            path = self.folder / f"{process}.journal"
            if path.exists():
                with path.open() as journal:
                    journal.seek(place)
                    found += journal.read().count('"error": null')
                    self.places[process] = journal.tell()
        return found


def stop_clients(clients, folder):
    """End the processes, and read what all of them wrote down."""
    (Path(folder) / "stop").touch()
    for client in clients:
        client.join()
    os.unlink(Path(folder) / "stop")
    journals = sorted(Path(folder).glob("*.journal"))
    return [json.loads(line) for journal in journals for line in journal.read_text().splitlines()]


def history(entries):
    """Give the events for `faults.history.violations`."""
    events = []
    for entry in entries:
        fields = (entry["operation"], entry["key"], entry["value"], entry["begin"])
        if entry["error"] is None and entry["operation"] != "take":
            events.append(Event(*fields, entry["end"]))
        elif entry["operation"] in {"put", "evict"}:
            events.append(Event(*fields, FOREVER))
    return events


def late(entries):
    """List calls that ended after their deadline and half a second, or in something else than a typed error."""
    found = [
        f"{entry['operation']} by {entry['process']} took {entry['end'] - entry['begin']:.2f} s"
        for entry in entries
        if entry["end"] - entry["begin"] - entry["stalled"] > TIMEOUT + GRACE_SECONDS
    ]
    return found + [entry["error"] for entry in entries if (entry["error"] or "").startswith("untyped")]


def slow_recoveries(entries, ready):
    """List processes of which no call succeeded soon enough after a restart.

    Args:
        entries: What all of them wrote down.
        ready: When the server was ready again, each time.
    """
    found = []
    for process in sorted({entry["process"] for entry in entries}):
        own = [entry for entry in entries if entry["process"] == process]
        done = sorted(entry["end"] for entry in own if entry["error"] is None)
        for moment in ready:
            after = next((end for end in done if end > moment), FOREVER)
            stalled = sum(entry["stalled"] for entry in own if moment < entry["end"] <= after)
            if after - moment - stalled > RECOVERY_SECONDS:
                found.append(f"process {process} did nothing for {after - moment:.1f} s after a restart")
    return found


def shared_prizes(entries):
    """List objects that more than one process was given by `take`."""
    winners = {}
    for entry in entries:
        if entry["operation"] == "take" and entry["value"] is not None:
            winners.setdefault(entry["key"], set()).add(entry["process"])
    return [f"{key} was taken by {sorted(each)}" for key, each in winners.items() if len(each) > 1]
