"""A process that lacks descriptors, memory or modules gets errors of psk, and answers that are right (C5, P19)."""

import faulthandler
import os
import pickle
import random
import resource
import subprocess
import sys
from functools import partial
from importlib.abc import MetaPathFinder

import pytest

import psk
from psk import Store
from psk.errors import PskError

LARGE = bytes(3_000_000)
NOWHERE = "0" * 32


class Trial:
    """One operation on a store of its own, in a child that then runs short of something."""

    def __init__(self, uri):
        self.uri = uri
        self.store = Store("short", uri)
        self.small, self.large = self.store.put([1]), self.store.put(LARGE)
        self.travelled = pickle.loads(pickle.dumps(self.store.proxy([1])))


OPERATIONS = {
    "open": lambda trial: Store("other", trial.uri).get(trial.small),
    "open signed": lambda trial: Store("signed", trial.uri, signing_key="team", metrics=True).put([1]) and [1],
    "put": lambda trial: trial.store.get(trial.store.put([1])),
    "put large": lambda trial: trial.store.get(trial.store.put(bytearray(LARGE))),
    "put with ttl": lambda trial: trial.store.get(trial.store.put([1], ttl=60)),
    "put what cannot be": lambda trial: trial.store.put(sys._getframe()),
    "get": lambda trial: trial.store.get(trial.small),
    "get large": lambda trial: trial.store.get(trial.large),
    "take": lambda trial: trial.store.take(trial.small, "me"),
    "renew": lambda trial: trial.store.renew(trial.large, 60),
    "exists": lambda trial: trial.store.exists(trial.large),
    "list": lambda trial: {trial.small, trial.large} <= {*trial.store.list()},
    "evict": lambda trial: trial.store.evict(trial.large),
    "clear": lambda trial: trial.store.clear() >= 2,
    "stat": lambda trial: trial.store.stat(trial.large).nbytes > len(LARGE),
    "wait": lambda trial: trial.store.wait(trial.small, timeout=5) == [trial.small],
    "wait in vain": lambda trial: trial.store.wait([NOWHERE], timeout=0.05),
    "unknown": lambda trial: Store("unknown", "nothing://here"),
    "batch": lambda trial: trial.store.get_batch([trial.small, trial.large]) == [[1], LARGE],
    "resolve": lambda trial: psk.resolve(trial.travelled),
    "reserve": lambda trial: trial.store.fulfil(trial.store.reserve(), [1]),
    "close": lambda trial: trial.store.close(),
}


class Blocked(MetaPathFinder):
    def find_spec(self, name, _path, _target=None):
        raise ImportError(f"blocked: {name}")


def few_descriptors(left):
    highest = max(map(int, os.listdir("/proc/self/fd"))) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        for descriptor in held[len(held) - left :]:
            os.close(descriptor)


def little_memory(left):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + left, resource.getrlimit(resource.RLIMIT_AS)[1]))


#: They start a thread: one that dies for want of memory before it has begun is awaited by `Thread.start` for ever.
STARTERS = {"put with ttl", "renew", "wait", "wait in vain"}
SHORTAGES = [
    *[(few_descriptors, left) for left in range(6)],
    *[(little_memory, left) for left in (0, 200_000, 2_500_000)],
    (lambda _left: sys.meta_path.insert(0, Blocked()), 0),
]


def outcome(uri, name, shortage, left):
    """What comes of an operation under a shortage, as text; `right` for a right answer or an error of psk."""
    trial = Trial(uri)
    shortage(left)
    try:
        found = OPERATIONS[name](trial)
        right = found in (None, True, [1], LARGE)
        said = "right" if right else f"wrong: {found!r:.80}"
    except (PskError, MemoryError):
        said = "right"
    except BaseException as error:  # noqa: BLE001  what comes out is what is tested
        said = f"{type(error).__name__}: {error}"
    return said


def in_child(work):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            faulthandler.dump_traceback_later(20, exit=True)  # so that the test says where, rather than hang
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        return os.read(reader, 4096).decode() or "died"
    finally:
        os.close(reader)
        os.waitpid(child, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, and limits that Linux keeps")
def test_whatever_is_short_comes_out_as_an_error_of_psk(uri, monkeypatch, scale, seed):
    monkeypatch.setenv("PSK_SIGNING_KEY_TEAM", "00" * 32)
    trials = [(name, *shortage) for name in OPERATIONS for shortage in SHORTAGES]
    trials = [trial for trial in trials if not (trial[0] in STARTERS and trial[1] is little_memory)]
    chosen = random.Random(seed).sample(trials, min(scale("store.shortages"), len(trials)))
    for name, shortage, left in chosen:
        said = in_child(partial(outcome, uri, name, shortage, left))
        assert said == "right", (name, shortage, left, said)


SESSION = """
import os, resource, sys, psk
from psk.errors import PskError
from psk.connectors import find_connector
find_connector("shm")
uri, left = sys.argv[1], int(sys.argv[2])
before = len(os.listdir("/proc/self/fd"))
resource.setrlimit(resource.RLIMIT_NOFILE, (before + left - 1, 4096))
try:
    store = psk.Store("short", uri)
except PskError:
    pass
except BaseException as error:
    sys.exit(repr(error))
else:
    store.close()
    store = None
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
with psk.Store("enough", uri) as store:
    assert store.get(store.put([1])) == [1]
"""


@pytest.mark.parametrize("name", ["", "few-descriptors"])
def test_shared_memory_opens_and_closes_with_few_descriptors(name):
    for left in (1, 2, 4):
        command = [sys.executable, "-c", SESSION, f"shm://{name}", str(left)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (left, done.stderr)


BLOCKED = """
import sys, psk
with psk.Store("blocked", "shm://") as store:
    sys.modules["psk.connectors.directory.waiting"] = None
    try:
        store.wait("0" * 32, timeout=0.01)
    except psk.errors.ShortageError as error:
        print(error)
"""


def test_a_module_that_cannot_be_imported_is_named():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert "psk.connectors.directory.waiting" in done.stdout, done.stderr
