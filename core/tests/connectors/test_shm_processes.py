"""Share a space between processes that are killed, without losing, mixing or leaking objects (P5, P8, P16)."""

import os
import random
import time

import numpy as np
import pytest

from faults.history import Event, record, violations
from faults.killer import Victim, random_delays
from psk.connectors import format_uri, open_connector
from psk.connectors.shm import ShmConnector, objects
from psk.connectors.shm.segments import free_segments
from psk.wire import Frames, encode
from psk_testing.timing import becomes, timed

PROCESSES = 16
SIZES = (100, 70_000, 300_000, 2_500_000)


@pytest.fixture
def shared():
    """A connector in an empty space."""
    opened = ShmConnector()
    yield opened
    opened.clear()
    opened.close()


def uri_of(connector):
    return format_uri(connector.config())


def path_of(connector):
    return connector._channel.path


def payload_of(identity):
    size = SIZES[identity % len(SIZES)]
    return encode(np.full(size, identity % 251, np.uint8), object_id=identity.to_bytes(16, "little"), checksum=False)


def key_of(identity):
    return identity.to_bytes(16, "little").hex()


def content(decoded, frames):
    """Describe what was read by all its bytes, or None."""
    if frames is None:
        return None
    array = decoded(frames)
    low, high = int(array.min()), int(array.max())
    return f"{len(array)} x {low}" if low == high else f"a mixture of {low} to {high}"


def expected(identity):
    return f"{SIZES[identity % len(SIZES)]} x {identity % 251}"


class Worker:
    """One process: puts and evicts objects of its own, and reads its own and others'."""

    def __init__(self, uri, number, seed, decoded):
        self.number, self.decoded = number, decoded
        self.chance = random.Random(seed * 100 + number)
        self.connector = open_connector(uri)
        self.mine = []

    def run(self, operations, place):
        with open(place, "w") as history:
            for step in range(operations):
                action = self.chance.choice([self.put, self.put, self.evict, self.get, self.get, self.peek])
                history.write(action(step).line() + "\n")
        self.connector.close()

    def put(self, step):
        identity = self.number * 10**6 + step
        self.mine.append(identity)
        return record("put", key_of(identity), lambda: self.place(identity))

    def place(self, identity):
        self.connector.put(payload_of(identity), ttl=self.chance.choice([None, 1000]))
        return expected(identity)

    def evict(self, step):
        if not self.mine:
            return self.put(step)
        key = key_of(self.mine.pop(self.chance.randrange(len(self.mine))))
        return record("evict", key, lambda: self.connector.evict(key))

    def get(self, step):
        return self.look(self.chance.choice(self.mine)) if self.mine else self.put(step)

    def peek(self, step):
        return self.look(self.chance.randrange(PROCESSES) * 10**6 + self.chance.randrange(step + 1))

    def look(self, identity):
        key = key_of(identity)
        return record("get", key, lambda: content(self.decoded, self.connector.get(key)))


def test_mixed_operations_lose_and_mix_nothing(shared, scale, seed, decoded, tmp_path):
    operations, uri = scale("shm.mixed_operations"), uri_of(shared)

    def work(_, number):
        Worker(uri, number, seed, decoded).run(operations, tmp_path / str(number))

    for worker in [Victim(work, number) for number in range(PROCESSES)]:
        worker.join()
    events = [Event.of_line(line) for place in tmp_path.iterdir() for line in place.read_text().splitlines()]
    assert len(events) == PROCESSES * operations
    assert violations(events) == []
    evicted = {event.key for event in events if event.operation == "evict"}
    put = {event.key for event in events if event.operation == "put"}
    assert set(shared.keys()) == put - evicted
    assert sum(event.value is not None for event in events if event.operation == "get") > operations


def test_the_check_sees_a_mixture(decoded):
    frames = [bytes(payload_of(1).tobytes())]
    assert content(decoded, None) is None
    assert content(decoded, Frames(frames)) == expected(1)
    mixed = bytearray(frames[0])
    mixed[-1] ^= 1
    assert "mixture" in content(decoded, Frames([mixed]))


STABLE = {key_of(number): number for number in range(8)}


def write_and_evict(report, uri, first):
    connector = open_connector(uri)
    for identity in range(first, first + 10**5):
        report(connector.put(payload_of(identity)))
        if identity % 3:
            report("-" + key_of(identity))
            connector.evict(key_of(identity))


def read_stable(_, uri, decoded, first):
    connector = open_connector(uri)
    chance = random.Random(first)
    while True:
        key = chance.choice(sorted(STABLE))
        assert content(decoded, connector.get(key)) == expected(STABLE[key])


def check_after_killing(shared, decoded, acknowledged):
    """Check that all that was acknowledged is there, unless its eviction had begun, and that all there is is whole."""
    present = set(shared.keys())
    assert STABLE.keys() <= present
    evicted = {line[1:] for line in acknowledged if line.startswith("-")}
    assert {line for line in acknowledged if not line.startswith("-")} - evicted <= present
    for key in present:
        identity = int.from_bytes(bytes.fromhex(key), "little")
        assert content(decoded, shared.get(key)) == expected(identity)


def test_writers_and_readers_killed_at_random_times(shared, scale, seed, decoded):
    uri, count = uri_of(shared), scale("shm.killed_processes")
    for number in STABLE.values():
        shared.put(payload_of(number))
    acknowledged = set()
    delays = random_delays(seed, count, 0.03)
    for turn in range(0, count, 6):
        victims = [Victim(write_and_evict, uri, (turn + number + 1) * 10**6) for number in range(3)]
        victims += [Victim(read_stable, uri, decoded, number) for number in range(3)]
        time.sleep(0.01)
        for victim, delay in zip(victims, delays[turn : turn + 6] + [0.0] * 6, strict=False):
            acknowledged.update(victim.kill(delay))
        check_after_killing(shared, decoded, acknowledged)
    assert acknowledged
    shared.clear()
    assert free_segments(shared._channel.opened().directory) == []
    assert set(os.listdir(path_of(shared))) <= {".free"}


@pytest.mark.parametrize("bug", ["lost", "partial"])
def test_the_check_after_killing_sees_what_it_looks_for(shared, decoded, bug):
    for number in STABLE.values():
        shared.put(payload_of(number))
    check_after_killing(shared, decoded, set(STABLE))
    place = f"{path_of(shared)}/{key_of(1)}"
    if bug == "partial":
        with open(place, "r+b") as file:
            file.seek(60_000)
            file.write(b"x")
    else:
        os.unlink(place)
    with pytest.raises(AssertionError):
        check_after_killing(shared, decoded, set(STABLE))


def test_a_take_has_one_winner_among_processes(shared, scale, decoded):  # C47
    keys = [shared.put(payload_of(number % 3 + 4 * number)) for number in range(scale("shm.take_races"))]
    gate = os.pipe()

    def work(report, number):
        connector = open_connector(uri_of(shared))
        os.read(gate[0], 1)
        for key in keys:
            if connector.take(key, f"process {number}") is not None:
                report(key)

    contenders = [Victim(work, number) for number in range(8)]
    os.write(gate[1], b"." * 8)
    won = [contender.join() for contender in contenders]
    assert sorted(key for own in won for key in own) == sorted(keys)
    for descriptor in gate:
        os.close(descriptor)


def test_of_two_processes_with_one_object_both_succeed(shared):  # C15
    def work(report, _):
        connector = open_connector(uri_of(shared))
        for identity in range(40):
            report(connector.put(payload_of(identity)))

    answers = [victim.join() for victim in [Victim(work, number) for number in range(4)]]
    assert answers == [[key_of(identity) for identity in range(40)]] * 4
    assert len(list(shared.keys())) == 40


def test_an_expired_object_that_is_read_frees_its_name(shared, decoded):  # C44
    payload = payload_of(3)
    shared.put(payload, ttl=1)
    array = decoded(shared.get(payload.key))
    assert becomes(lambda: shared.get(payload.key) is None, within=10)
    shared.put(payload)
    assert shared.exists(payload.key)
    assert (array == 3).all()


def test_expired_memory_is_freed_within_a_second(shared):  # C46
    with timed() as clock:
        key = shared.put(payload_of(3), ttl=0.1)
        assert becomes(lambda: key not in os.listdir(path_of(shared)), within=10)
    assert not clock.late(1.1)


def test_expiry_goes_by_a_clock_that_nobody_sets(shared, monkeypatch):  # C44
    key = shared.put(payload_of(1), ttl=100)
    for name, value in (("time", 4e9), ("time_ns", 4 * 10**18)):
        monkeypatch.setattr(time, name, lambda value=value: value)
    assert shared.exists(key)
    assert shared.renew(key, 50)
    assert shared.get(key) is not None


def test_a_renewal_does_not_reach_the_next_object_in_the_segment(shared, monkeypatch):
    """Between looking up the object and being alone with it, it is evicted and its memory used again."""
    first, second = payload_of(1), payload_of(5)
    shared.put(first)
    exclusively = objects.exclusively

    def meanwhile(*arguments, **options):
        shared.evict(first.key)
        shared.put(second)
        return exclusively(*arguments, **options)

    monkeypatch.setattr(objects, "exclusively", meanwhile)
    assert not shared.renew(first.key, 0.01)
    time.sleep(0.02)
    assert shared.exists(second.key)
