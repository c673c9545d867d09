"""Do many processes share a directory without losing, mixing or sharing what only one may have?"""

import os
import pickle
import random
import traceback

import numpy as np

from psk.connectors.file import FileConnector
from psk.wire import Payload, decode, encode

PROCESSES = 8


def run_processes(work):
    """Run `work(number)` in forked processes; return what each returned, or raise what one raised."""
    pipes = []
    for number in range(PROCESSES):
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


def test_mixed_operations_lose_and_mix_nothing(directory, scale, seed):
    operations = scale("file.mixed_operations")

    def work(number):
        chance = random.Random(seed * 100 + number)
        connector = FileConnector(directory)
        mine, wrong = set(), []
        for step in range(operations):
            shared = chance.randrange(20)
            action = chance.randrange(10)
            if action <= 1:
                identity = 1000 + number * 10**6 + step
                connector.put(payload_of(identity), ttl=chance.choice([None, 1000]))
                mine.add(identity)
            elif action <= 3 and mine:
                identity = chance.choice(sorted(mine))
                frames = connector.get(identity.to_bytes(16, "little").hex())
                if frames is None or not is_right(frames, identity):
                    wrong.append(("lost", identity))
            elif action == 4 and mine:
                identity = mine.pop()
                connector.evict(identity.to_bytes(16, "little").hex())
            elif action == 5:
                connector.put(payload_of(shared))
            elif action == 6:
                connector.evict(shared.to_bytes(16, "little").hex())
            elif action == 7:
                connector.renew(shared.to_bytes(16, "little").hex(), 1000)
            elif action == 8 and step % 10 == 0:
                connector.close()
                connector = FileConnector(directory)
                missing = {one.to_bytes(16, "little").hex() for one in mine} - set(connector.keys())
                wrong.extend(("not listed", key) for key in missing)
            else:
                frames = connector.get(shared.to_bytes(16, "little").hex())
                if frames is not None and not is_right(frames, shared):
                    wrong.append(("wrong", shared))
        connector.close()
        return mine, wrong

    answers = run_processes(work)
    assert [wrong for _, wrong in answers] == [[]] * PROCESSES
    connector = FileConnector(directory)
    expected = set().union(*(mine for mine, _ in answers))
    found = {int.from_bytes(bytes.fromhex(key), "little") for key in connector.keys()}  # noqa: SIM118  not a dictionary
    assert {identity for identity in found if identity >= 1000} == expected
    assert all(is_right(connector.get(key), int.from_bytes(bytes.fromhex(key), "little")) for key in connector.keys())  # noqa: SIM118
    assert not any(name.startswith(".tmp-") for name in os.listdir(directory))
    connector.close()


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


def test_a_connector_works_in_forked_children(files, decoded):  # C8
    kept = files.put(encode("from the parent"))

    def work(number):
        assert decoded(files.get(kept)) == "from the parent"
        return files.put(encode(number), ttl=1000)

    assert [decoded(files.get(key)) for key in run_processes(work)] == list(range(PROCESSES))
