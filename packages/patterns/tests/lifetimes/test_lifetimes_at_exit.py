"""End lifetimes when the program exits, in order and without delaying the exit."""

import subprocess
import sys
import time

import pytest

import psk
from psk_patterns import ContextLifetime, StaticLifetime, register_lifetime_atexit

PRELUDE = """
import os, sys, time
import psk
from psk_patterns import ContextLifetime, LeaseLifetime, StaticLifetime, register_lifetime_atexit
store = psk.Store("program", sys.argv[1])
"""
END = "\nprint('ended', time.monotonic(), flush=True)\n"


def run(uri, program):
    """Run a program; give the words it printed, and the seconds from its last line to its end."""
    command = [sys.executable, "-c", PRELUDE + program + END, uri]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    after = time.monotonic()
    assert done.returncode == 0, done.stderr
    *words, _, ended = done.stdout.split()
    return words, after - float(ended), done.stderr


@pytest.fixture
def store(open_channel):
    return open_channel("file")


def test_what_is_static_goes_with_the_program(store):
    program = """
static = StaticLifetime()
assert static is StaticLifetime() and not static.done()
store.put("static", lifetime=static)
static.add_proxy(store.proxy("static too"))
print(store.put("stays"))
"""
    words, _, stderr = run(store.uri, program)
    assert store.list() == words
    assert stderr == ""


def test_a_registered_lifetime_goes_with_the_program(store):
    program = """
for close_stores in (False, True):
    lifetime = ContextLifetime(store)
    store.put("registered", lifetime=lifetime)
    register_lifetime_atexit(lifetime, close_stores)
import atexit
lifetime = ContextLifetime(store)
print(store.put("unregistered", lifetime=lifetime))
atexit.unregister(register_lifetime_atexit(lifetime))
"""
    words, _, stderr = run(store.uri, program)
    assert store.list() == words
    assert stderr == ""


def test_lifetimes_end_before_the_sessions_of_channels_opened_later(open_channel):
    program = """
lifetime = ContextLifetime(psk.Store("first", "local://first"))
register_lifetime_atexit(lifetime)
static = StaticLifetime()
session = psk.Store("session", sys.argv[1])
for number in range(3):
    session.put("registered", lifetime=lifetime)
    session.put("static", lifetime=static)
print(session.put("stays"))
"""
    store = open_channel("shm")
    words, seconds, stderr = run("local://other", program.replace("sys.argv[1]", repr(store.uri)))
    assert store.list() == words
    assert stderr == ""
    assert seconds < 1


def test_objects_that_went_with_their_session_are_not_mentioned():
    program = """
ready, say_ready = os.pipe()
over, never_said = os.pipe()
if os.fork() == 0:
    os.close(never_said)
    store.put("static", lifetime=StaticLifetime())
    os.write(say_ready, b"1")
    os.read(over, 1)  # until the parent has ended
    sys.exit()
os.read(ready, 1)
print("put")
"""
    _, _, stderr = run("shm://", program)
    assert stderr == ""


def test_a_session_that_the_program_alone_has_ends_in_silence(uri_of):
    _, seconds, stderr = run(uri_of("shm"), 'store.put("static", lifetime=StaticLifetime())')
    assert stderr == ""
    assert seconds < 1


def test_a_registered_lifetime_that_was_taken_back_stays_so_when_a_store_is_new_to_it(store):
    program = """
import atexit
lifetime = ContextLifetime(store)
print(store.put("unregistered", lifetime=lifetime))
atexit.unregister(register_lifetime_atexit(lifetime))
psk.Store("other", "local://other").put("as well", lifetime=lifetime)
"""
    words, _, stderr = run(store.uri, program)
    assert store.list() == words
    assert stderr == ""


CHILDREN = """
import multiprocessing, os, sys
import psk
from psk_patterns import ContextLifetime, StaticLifetime, register_lifetime_atexit
def put(config):
    store = psk.Store.from_config(config, register=False)
    store.put("static", lifetime=StaticLifetime())
    lifetime = ContextLifetime(store)
    store.put("registered", lifetime=lifetime)
    register_lifetime_atexit(lifetime)
if __name__ == "__main__":
    with psk.Store("parent", sys.argv[1]) as store:
        print(store.put("the parent's", lifetime=StaticLifetime()))
        child = multiprocessing.get_context(sys.argv[2]).Process(target=put, args=(store.config(),))
        child.start()
        child.join()
        print(*store.list())
"""


@pytest.mark.parametrize("kind", ["file", "shm"])
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_end_their_own_lifetimes(open_channel, tmp_path, kind, method):
    store = open_channel(kind)
    (tmp_path / "children.py").write_text(CHILDREN)
    command = [sys.executable, "-W", "ignore", tmp_path / "children.py", store.uri, method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    key, *left = done.stdout.split()
    assert left == [key]
    assert store.list() == []
    assert done.stderr == ""


def test_a_forked_child_ends_nothing_at_its_exit(store):
    program = """
lifetime = ContextLifetime(store)
register_lifetime_atexit(lifetime)
store.put("registered", lifetime=lifetime)
store.put("static", lifetime=StaticLifetime())
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
print(len(store.list()))
"""
    words, _, _ = run(store.uri, program)
    assert words == ["2"]
    assert store.list() == []


@pytest.mark.parametrize("lifetime", ["LeaseLifetime(store, 30)", "LeaseLifetime(store, 30, renew=False)"])
def test_no_lease_delays_the_end_of_the_program(store, lifetime):  # B10
    words, seconds, stderr = run(store.uri, f"lease = {lifetime}\nprint(store.put('leased', lifetime=lease))")
    assert seconds < 1
    assert store.list() == words
    assert stderr == ""


def test_a_channel_that_hangs_delays_the_end_of_the_program_by_less_than_a_second(open_channel, tmp_path):
    program = """
from psk import FileConnector
def hang(*_, **__):
    time.sleep(30)
store.put("static", lifetime=StaticLifetime())
lifetime = ContextLifetime(store)
store.put("registered", lifetime=lifetime)
register_lifetime_atexit(lifetime)
FileConnector.evict = hang
"""
    store = open_channel("file")
    _, seconds, _ = run(store.uri, program)
    assert seconds < 1.3
    assert len(store.list()) == 2


def test_a_registered_lifetime_can_be_ended_before(open_channel):
    from psk_patterns import deferred_cleanup

    store = open_channel("local")
    lifetime = ContextLifetime(store)
    key = store.put("brief", lifetime=lifetime)
    end = register_lifetime_atexit(lifetime)
    end()
    assert deferred_cleanup.flush(5)
    assert lifetime.done()
    assert not store.exists(key)
    import atexit

    atexit.unregister(end)


def test_there_is_one_static_lifetime():
    with psk.Store("static", "local://static") as store:
        key = store.put("stays for now", lifetime=StaticLifetime())
        assert store.exists(key)
        assert StaticLifetime() is StaticLifetime()
        store.clear()
