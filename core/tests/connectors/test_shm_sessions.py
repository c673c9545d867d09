"""Sessions of shared memory: who owns their objects and when they are removed (P16, P18; C34, C38)."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from faults.killer import Victim
from psk.connectors import format_uri, open_connector
from psk.connectors.shm import ShmConnector, sweep
from psk.connectors.shm.liveness import ROOT, session_path
from psk.errors import ChannelUnavailableError, ConnectorConfigError, PskError
from psk.wire import encode
from psk_testing.timing import becomes, timed

ARRAY = np.arange(100_000)


@pytest.fixture
def owner():
    """A connector in a space of this process's own session."""
    opened = ShmConnector()
    yield opened
    with contextlib.suppress(PskError):
        opened.clear()
    opened.close()


def uri_of(connector):
    return format_uri(connector.config())


def started(code, *arguments):
    """Start a Python program; its first line of output comes with it."""
    program = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    return program, program.stdout.readline().strip()


OWNER = """
import sys, time, numpy
from psk.connectors import format_uri, open_connector
from psk.wire import encode
connector = open_connector("shm://")
keys = [connector.put(encode(numpy.arange(100_000))), connector.put(encode("small"), ttl=1000)]
connector.take(keys[0], "me")
connector.evict(connector.put(encode(bytes(100_000))))
print(format_uri(connector.config()), keys[0], flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_a_uri_is_short(owner):
    assert len(uri_of(owner)) <= 40


def test_what_a_worker_puts_outlives_it_and_belongs_to_the_owner(owner, decoded):
    def work(report):
        guest = open_connector(uri_of(owner))
        report(guest.put(encode(ARRAY)))
        os.kill(os.getpid(), signal.SIGKILL)

    (key,) = Victim(work).join()
    assert np.array_equal(decoded(owner.get(key)), ARRAY)
    assert key in os.listdir(owner._channel.path)


def test_the_end_of_a_process_is_the_end_of_its_session():
    program, line = started(OWNER, "0")
    path = session_path(ROOT, line.split("//")[1].split("/")[0])
    program.communicate()
    assert program.returncode == 0
    assert not os.path.exists(path)


def test_a_guest_frees_what_a_killed_owner_left(scale, decoded):
    for _ in range(scale("shm.killed_sessions")):
        program, line = started(OWNER, "60")
        uri, key = line.split()
        guest = open_connector(uri)
        array = decoded(guest.get(key))
        path = guest._channel.space.session.path
        with timed() as clock:
            program.kill()
            program.communicate()
            assert becomes(lambda path=path: not os.path.exists(path), within=10)
        assert not clock.late(0.5)
        assert array.sum() == ARRAY.sum()  # what was mapped stays
        for call in (lambda guest=guest, key=key: guest.get(key), lambda guest=guest: guest.put(encode(1))):
            with pytest.raises(ChannelUnavailableError, match="has ended"):
                call()
        guest.close()
        with pytest.raises(ChannelUnavailableError, match="has ended"):
            open_connector(uri)


def test_many_guests_of_a_killed_owner_sweep_together():
    program, line = started(OWNER, "60")
    here = os.pipe()

    def work(report):
        guest = open_connector(line.split()[0])
        os.write(here[1], b".")
        path = guest._channel.space.session.path
        report(str(becomes(lambda: not os.path.exists(path), within=10)))

    guests = [Victim(work) for _ in range(4)]
    for _ in guests:
        os.read(here[0], 1)
    program.kill()
    program.communicate()
    assert [guest.join() for guest in guests] == [["True"]] * 4
    for descriptor in here:
        os.close(descriptor)
    sweep()  # these processes end without exit handlers, perhaps in the middle of the removal


def test_the_next_one_to_open_sweeps_what_nobody_heard(owner):
    program, line = started(OWNER, "60")
    path = session_path(ROOT, line.split("//")[1].split("/")[0])
    program.kill()
    program.communicate()
    assert os.path.exists(path)
    ShmConnector().close()
    assert not os.path.exists(path)
    assert os.path.exists(owner._channel.path)  # the living are not touched


def test_sweep_counts_what_it_removed(owner):
    program, _ = started(OWNER, "60")
    program.kill()
    program.communicate()
    assert sweep() == 1
    assert sweep() == 0


def test_sweep_leaves_what_is_no_session(tmp_path):
    notes = tmp_path / f"psk-{os.geteuid()}-notes"
    notes.mkdir(mode=0o700)
    (notes / "mine.txt").touch()
    empty = tmp_path / f"psk-{os.geteuid()}-half"  # a creator was killed between its first two steps
    empty.mkdir(mode=0o700)
    strange = tmp_path / f"psk-{os.geteuid()}-link"
    strange.symlink_to(notes)
    assert sweep(str(tmp_path)) == 1
    assert sorted(os.listdir(tmp_path)) == sorted([notes.name, strange.name])


def test_a_directory_of_others_is_no_session(tmp_path):
    place = Path(session_path(str(tmp_path), "planted"))
    place.mkdir(mode=0o700)
    place.chmod(0o777)
    with pytest.raises(ChannelUnavailableError, match="not private to this user"):
        ShmConnector("planted", root=str(tmp_path))
    assert sweep(str(tmp_path)) == 0


def test_a_named_session_lasts_as_long_as_any_process_uses_it(decoded):
    name = f"test-{os.urandom(6).hex()}"
    go, ready = os.pipe(), os.pipe()

    def work(report):
        other = ShmConnector(name)
        os.write(ready[1], b".")
        os.read(go[0], 1)
        report(other.put(encode(ARRAY)))
        os.write(ready[1], b".")
        os.read(go[0], 1)

    worker = Victim(work)
    os.read(ready[0], 1)
    here = ShmConnector(name)
    path = here._channel.space.session.path
    here.close()  # empty, but another uses it
    assert os.path.exists(path)
    os.write(go[1], b".")
    os.read(ready[0], 1)
    here = ShmConnector(name)
    os.write(go[1], b".")
    (key,) = worker.join()
    assert np.array_equal(decoded(here.get(key)), ARRAY)
    here.close()
    assert os.path.exists(path)  # there is an object
    here = ShmConnector(name)
    assert here.clear() == 1
    here.close()
    assert not os.path.exists(path)
    for descriptor in (*go, *ready):
        os.close(descriptor)


@pytest.mark.parametrize("name", [None, "interrupted"])
@pytest.mark.parametrize("step", ["mkdir", "mknod"])
def test_a_session_that_is_interrupted_as_it_begins_leaves_nothing(tmp_path, monkeypatch, name, step):  # C34
    begin = getattr(os, step)

    def interrupted(*arguments):
        begin(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            ShmConnector(name, root=str(tmp_path))
    assert os.listdir(tmp_path) == []
    ShmConnector(name, root=str(tmp_path)).close()


def test_a_named_session_ends_with_the_last_process():
    code = "import sys; from psk.connectors.shm import ShmConnector as S; from psk.wire import encode\n"
    code += "c = S(sys.argv[1]); c.put(encode(bytes(100_000))); print(c._channel.space.session.path)"
    done = subprocess.run(
        [sys.executable, "-c", code, f"test-{os.urandom(6).hex()}"], capture_output=True, text=True, check=True
    )
    assert not os.path.exists(done.stdout.strip())


def test_racing_for_a_name_ends_in_one_session():
    name = f"test-{os.urandom(6).hex()}"

    def work(report):
        for _ in range(50):
            connector = ShmConnector(name)
            key = connector.put(encode(1))
            assert connector.exists(key)
            connector.evict(key)
            connector.close()
        report("done")

    assert [worker.join() for worker in [Victim(work) for _ in range(4)]] == [["done"]] * 4
    sweep()  # one may have ended, without its exit handlers, while it saw objects of others
    assert not os.path.exists(session_path(ROOT, name))


def test_opening_and_closing_leaks_nothing(scale):  # C34
    first = ShmConnector()
    name = f"test-{os.getpid()}"
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(scale("shm.open_close")):
        connector = ShmConnector(name if number % 2 else None)
        key = connector.put(encode(bytes(100_000 if number % 3 else 10)))
        again = open_connector(uri_of(connector))
        assert again.get(key) is not None
        again.evict(key)
        if number % 5:
            connector.close()
        again.close()
        del connector, again
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert not os.path.exists(session_path(ROOT, name))
    path = first._channel.space.session.path
    assert sorted(os.listdir(path)) == sorted([first._channel.space.name, "alive"])
    first.close()
    assert not os.path.exists(path)


def test_guests_that_come_and_go_leak_nothing(scale):
    program, line = started(OWNER, "60")
    uri, key = line.split()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(scale("shm.open_close") // 4):
        guest = open_connector(uri)
        assert guest.get(key) is not None
        guest.close()
    assert becomes(lambda: threading.active_count() == 1, within=10)
    assert len(os.listdir("/proc/self/fd")) == before
    program.kill()
    program.communicate()
    sweep()


def test_an_owner_that_closes_leaves_the_place_to_its_guests(owner, decoded):
    go, ready = os.pipe(), os.pipe()

    def work(report):
        guest = open_connector(uri_of(owner))
        os.write(ready[1], b".")
        os.read(go[0], 1)
        report(guest.put(encode("result")))

    worker = Victim(work)
    os.read(ready[0], 1)
    uri = uri_of(owner)
    owner.close()
    os.write(go[1], b".")
    (key,) = worker.join()
    again = open_connector(uri)
    assert decoded(again.get(key)) == "result"
    again.clear()
    again.close()
    for descriptor in (*go, *ready):
        os.close(descriptor)


def test_a_removed_session_is_an_error_and_comes_back_with_the_next_put(owner, decoded):
    key = owner.put(encode("lost"))
    shutil.rmtree(owner._channel.space.session.path)
    for call in (lambda: owner.get(key), lambda: owner.exists(key), lambda: list(owner.keys()), owner.clear):
        with pytest.raises(ChannelUnavailableError, match="was removed"):
            call()
    assert decoded(owner.get(owner.put(encode("back")))) == "back"
    guest = open_connector(uri_of(owner))
    assert guest.put(encode(ARRAY))
    guest.close()


@pytest.mark.parametrize("name", [None, "test-forking"])
def test_a_forked_child_goes_on_and_its_end_changes_nothing(owner, name, scale, decoded):
    connector = owner if name is None else ShmConnector(name)
    key = connector.put(encode(ARRAY))
    connector.evict(connector.put(encode(np.ones(500_000))))  # a segment that parent and child would share

    def work(report):
        assert np.array_equal(decoded(connector.get(key)), ARRAY)
        report(connector.put(encode(np.zeros(500_000))))
        assert connector._channel.space.session._is_guest == (name is None)
        own = ShmConnector()
        own.put(encode(bytes(100_000)))
        report(own._channel.space.session.path)
        own.clear()
        own.close()
        connector.close()

    for _ in range(scale("shm.forks")):
        put, path = Victim(work).join()
        assert not decoded(connector.get(put)).any()
        connector.evict(put)
        assert not os.path.exists(path)
    assert np.array_equal(decoded(connector.get(key)), ARRAY)
    connector.clear()
    connector.close()


def test_a_child_does_not_keep_a_dead_parents_session(decoded):
    go = os.pipe()

    def parent(report):
        connector = ShmConnector()
        connector.put(encode(ARRAY))
        report(connector._channel.space.session.path)
        if os.fork() == 0:
            os.read(go[0], 1)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)

    victim = Victim(parent)
    os.waitpid(victim.pid, 0)
    with os.fdopen(victim._pipe) as pipe:
        path = pipe.readline().strip()
        # The child needs an instant to let go.
        assert becomes(lambda: sweep() or not os.path.exists(path), within=10)
        os.write(go[1], b".")
        pipe.read()  # until the grandchild has ended
    for descriptor in go:
        os.close(descriptor)


def _open_and_leave_open(report):
    connector = ShmConnector()
    connector.put(encode(ARRAY))
    report.send(connector._channel.space.session.path)


def test_children_of_multiprocessing_leave_nothing():
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_open_and_leave_open, args=(there,))
    child.start()
    path = here.recv()
    child.join()
    assert not os.path.exists(path)
    for end in (here, there, child):
        end.close()


def test_exit_does_not_wait_for_pending_calls():
    code = OWNER.replace("time.sleep(float(sys.argv[1]))", "") + (
        "import threading, psk\n"
        "store = psk.Store.from_uri(format_uri(connector.config()))\n"
        "for _ in range(100):\n"
        "    threading.Thread(target=lambda: store.wait('0' * 32, timeout=50), daemon=True).start()\n"
        "print(time.monotonic(), flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "0"], capture_output=True, text=True, check=True)
    assert time.monotonic() - float(done.stdout.splitlines()[1]) < 20.0


@pytest.mark.parametrize(
    "address",
    ["shm://a/b", "shm://~0123456789abcdef", "shm://../x", "shm://~0123456789abcdef/../x", "shm://a%2Fb", "shm:///x"],
)
def test_a_senseless_address_is_refused(address):  # C4, C36
    with pytest.raises(ConnectorConfigError):
        open_connector(address)


def test_a_foreign_token_has_ended():
    with pytest.raises(ChannelUnavailableError, match=r"shm://~0123456789abcdef has ended.*keep the process running"):
        open_connector("shm://~0123456789abcdef/0123")


OPENING_AS_IT_ENDS = """
from psk.connectors import open_connector
from psk.connectors.shm.segments import Pool

connector = open_connector("shm://")
space = connector._channel.space
Pool.let_go = lambda _: space.session.spaces.setdefault("opened meanwhile", space)
"""


def test_a_session_ends_while_another_thread_opens_a_space_in_it():
    done = subprocess.run([sys.executable, "-c", OPENING_AS_IT_ENDS], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
