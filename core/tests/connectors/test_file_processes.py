"""Share one directory between many processes without losing, mixing or duplicating objects."""

import os
import pickle
import random
import traceback
from pathlib import Path

import numpy as np

from psk.connectors.file import FileConnector
from psk.wire import Payload, decode, encode

PROCESSES = 8


def run_processes(work, processes=PROCESSES):
    """Run `work(number)` in forked processes; return what each returned, or raise what one raised."""
    pipes = []
    for number in range(processes):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                answer = (True, work(number))
            except BaseException:  # noqa: BLE001  shown by the parent
                answer = (False, traceback.format_exc())
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(answer, pipe)
            os._exit(0)
        os.close(write)
        pipes.append((pid, read))
    answers = []
    for pid, read in pipes:
        with os.fdopen(read, "rb") as pipe:
            answers.append(pickle.load(pipe))
        os.waitpid(pid, 0)
    failures = [text for ok, text in answers if not ok]
    assert not failures, failures[0]
    return [answer for _, answer in answers]


def value_of(frames):
    payload = Payload.parse(frames)
    payload.verify()
    return decode(payload)


def content(identity):
    """Return what belongs under an object id, so that a mix-up is noticed."""
    chance = np.random.default_rng(identity)
    return identity, chance.integers(0, 255, chance.integers(10, 60_000), dtype=np.uint8)


def payload_of(identity):
    return encode(content(identity), object_id=identity.to_bytes(16, "little"))


def is_right(frames, identity):
    found, array = value_of(frames)
    return found == identity and np.array_equal(array, content(identity)[1])


def key_of(identity):
    return identity.to_bytes(16, "little").hex()


def identity_of(key):
    return int.from_bytes(bytes.fromhex(key), "little")


class Worker:
    """One process: objects of its own that nobody else touches, and 20 that all put, evict, renew and read."""

    OWN = 1000

    def __init__(self, directory, number, seed):
        self.directory, self.number = directory, number
        self.chance = random.Random(seed * 100 + number)
        self.connector = FileConnector(directory)
        self.mine, self.wrong = set(), []

    def put(self, step):
        identity = self.OWN + self.number * 10**6 + step
        self.connector.put(payload_of(identity), ttl=self.chance.choice([None, 1000]))
        self.mine.add(identity)

    def check(self, _):
        for identity in self.chance.sample(sorted(self.mine), min(1, len(self.mine))):
            frames = self.connector.get(key_of(identity))
            if frames is None or not is_right(frames, identity):
                self.wrong.append(("lost", identity))

    def evict(self, _):
        if self.mine:
            self.connector.evict(key_of(self.mine.pop()))

    def put_shared(self, _):
        self.connector.put(payload_of(self.chance.randrange(20)))

    def evict_shared(self, _):
        self.connector.evict(key_of(self.chance.randrange(20)))

    def renew_shared(self, _):
        self.connector.renew(key_of(self.chance.randrange(20)), self.chance.choice([0.001, 1000]))

    def check_shared(self, _):
        identity = self.chance.randrange(20)
        frames = self.connector.get(key_of(identity))
        if frames is not None and not is_right(frames, identity):
            self.wrong.append(("wrong", identity))

    def list_and_reopen(self, step):
        if step % 10 == 0:
            self.connector.close()
            self.connector = FileConnector(self.directory)
            missing = {key_of(identity) for identity in self.mine} - set(self.connector.keys())
            self.wrong.extend(("not listed", key) for key in missing)

    def run(self, operations):
        actions = (self.put, self.check, self.evict, self.put_shared, self.evict_shared)
        actions += (self.renew_shared, self.check_shared, self.list_and_reopen)
        for step in range(operations):
            self.chance.choice(actions)(step)
        self.connector.close()
        return self.mine, self.wrong


def test_mixed_operations_lose_and_mix_nothing(directory, scale, seed):
    operations, processes = scale("file.mixed_operations"), scale("file.mixed_processes")
    answers = run_processes(lambda number: Worker(directory, number, seed).run(operations), processes)
    assert [wrong for _, wrong in answers] == [[]] * processes
    connector = FileConnector(directory)
    found = list(connector.keys())
    expected = set().union(*(mine for mine, _ in answers))
    assert {identity for identity in map(identity_of, found) if identity >= Worker.OWN} == expected
    assert all(is_right(connector.get(key), identity_of(key)) for key in found)
    assert not any(name.startswith(".tmp-") for name in os.listdir(directory))
    connector.close()


def test_the_check_sees_a_lost_and_a_mixed_object(directory, seed):
    worker = Worker(directory, 0, seed)
    worker.put(1)
    worker.check(1)
    assert worker.wrong == []
    key = key_of(worker.OWN + 1)
    os.unlink(f"{directory}/{key}")
    worker.check(1)
    foreign = payload_of(5).tobytes()
    (Path(directory) / key).write_bytes(foreign)
    os.chmod(f"{directory}/{key}", 0o400)
    worker.check(1)
    assert worker.wrong == [("lost", worker.OWN + 1)] * 2
    worker.connector.close()


def test_a_take_has_one_winner_among_processes(files, directory, scale):  # C47
    keys = [files.put(encode(number)) for number in range(scale("file.take_races"))]

    def work(number):
        connector = FileConnector(directory)
        return [key for key in keys if connector.take(key, f"process {number}") is not None]

    won = run_processes(work)
    assert sorted(key for keys_won in won for key in keys_won) == sorted(keys)


def test_of_two_processes_with_one_object_both_succeed(directory):  # C15
    def work(_):
        connector = FileConnector(directory)
        return [connector.put(payload_of(identity)) for identity in range(50)]

    answers = run_processes(work)
    assert all(answer == answers[0] for answer in answers)
    assert len(os.listdir(directory)) == 50


def test_a_connector_works_after_each_of_many_forks(files, decoded, scale, in_child):  # C8
    kept = files.put(encode("from the parent"))
    for number in range(scale("file.forks")):
        key = in_child(lambda number=number: decoded(files.get(kept)) + files.put(encode(number)))
        assert decoded(files.get(key.strip("'").removeprefix("from the parent"))) == number
        assert decoded(files.get(kept)) == "from the parent"


def test_a_connector_works_in_forked_children(files, decoded):  # C8
    kept = files.put(encode("from the parent"))

    def work(number):
        assert decoded(files.get(kept)) == "from the parent"
        return files.put(encode(number), ttl=1000)

    assert [decoded(files.get(key)) for key in run_processes(work)] == list(range(PROCESSES))
