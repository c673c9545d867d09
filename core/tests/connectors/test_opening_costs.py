"""Opening takes the same time whatever the channel holds (C64), and leftovers of dead processes are removed."""

import os
import subprocess
import sys
import threading
import time

import pytest

from psk.connectors import open_connector
from psk.connectors.directory.channel import LOOKS_AT_OPENING
from psk.connectors.directory.expiry import DOUBTED, MARK
from psk.connectors.directory.objects import Objects
from psk.connectors.shm import ShmConnector, liveness, sweep
from psk.wire import encode
from psk_testing.timing import becomes

MANY = 2 * LOOKS_AT_OPENING


@pytest.fixture(params=["file", "shm"])
def channel(request, new_address, tmp_path):
    opened = open_connector(new_address(request.param, tmp_path))
    yield opened
    opened.clear()
    opened.close()


@pytest.fixture
def looks(monkeypatch):
    """Give the names of files that sweeps look at, and the thread that does."""
    seen, look = [], Objects._needs_mark

    def noted(self, name):
        seen.append((threading.current_thread().name, name))
        return look(self, name)

    monkeypatch.setattr(Objects, "_needs_mark", noted)
    return seen


def again(channel):
    return type(channel).from_config(channel.config())


def test_where_nothing_expires_no_object_is_looked_at(channel, looks):
    for number in range(100):
        channel.put(encode(number))
    again(channel).close()
    assert looks == []


def test_an_opening_looks_at_so_many_and_the_background_at_the_rest(channel, looks):  # C46, C64
    payloads = [encode(number) for number in range(MANY)]
    keys = {channel.put(payload, ttl=1.5) for payload in payloads}
    channel._channel._due.clear()  # nobody else removes them
    time.sleep(1.6)
    opened = again(channel)
    here = [name for thread, name in looks if thread == threading.current_thread().name]
    assert 0 < len(here) <= LOOKS_AT_OPENING
    assert becomes(lambda: not keys & set(os.listdir(opened._channel.path)), within=10)
    assert {thread for thread, _ in looks} == {threading.current_thread().name, "psk-reaper"}
    assert becomes(lambda: MARK not in os.listdir(opened._channel.path), within=10)
    opened.close()


def test_a_sweep_that_did_not_come_to_its_end_is_begun_again(channel, looks):
    for number in range(MANY):
        channel.put(encode(number), ttl=1000)
    again(channel).close()
    count = len(looks)
    again(channel).close()
    assert len(looks) > count
    assert MARK in os.listdir(channel._channel.path)
    assert len(list(channel.keys())) == MANY


def test_where_nothing_expires_a_listing_looks_at_no_file(channel, monkeypatch):
    keys = {channel.put(encode(number)) for number in range(100)}
    looked = []
    for call in ("stat", "open"):
        real = getattr(os, call)
        monkeypatch.setattr(os, call, lambda *how, real=real, **at: (looked.append(how[0]), real(*how, **at))[1])
    assert set(channel.keys()) == keys
    assert looked
    assert not keys & set(looked)


def test_an_expired_object_is_not_listed_while_a_sweep_makes_sure_of_the_mark(channel):
    """Nor is the mark lost if the sweep ends there, with its process or its connector."""
    objects, place = channel._channel.opened(), channel._channel.path
    channel.put(encode("kept"))
    objects.mark.set()
    sweep = objects.sweep()
    while DOUBTED not in os.listdir(place):
        next(sweep)
    assert MARK not in os.listdir(place)
    key = channel.put(encode("brief"), ttl=0.01)
    channel._channel._due.clear()  # nobody else removes it
    objects.directory.remove(MARK)  # as if it had been put before the sweep gave the mark its other name
    time.sleep(0.02)
    assert key not in set(channel.keys())
    sweep.close()
    again(channel).close()
    assert becomes(lambda: not {MARK, DOUBTED} & set(os.listdir(place)), within=10)


@pytest.mark.parametrize("ttl", [None, 1000])
def test_clear_deletes_all_sizes(channel, ttl):
    """Small ones, of which some have a length as if a record were behind them, and segments."""
    sizes = (*range(100, 164), 65_536, 3_000_000)
    for size in sizes:
        channel.put(encode(bytes(size)))
    channel.put(encode("may expire, or not"), ttl=ttl)
    assert channel.clear() == len(sizes) + 1
    assert list(channel.keys()) == []
    assert [name for name in os.listdir(channel._channel.path) if not name.startswith(".")] == []


KILLED = """
import os, sys
from psk.connectors import open_connector
from psk.wire import encode
connector = open_connector("shm://")
for number in range(int(sys.argv[1])):
    connector.put(encode(number))
os.kill(os.getpid(), 9)
"""


def test_a_dead_session_goes_in_one_step_and_its_memory_in_the_background(tmp_path, monkeypatch):  # C38, C64
    environment = {**os.environ, "PSK_SHM_ROOT": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KILLED, "300"], env=environment, check=False)
    (left,) = os.listdir(tmp_path)
    go, remove = threading.Event(), liveness.remove_tree
    monkeypatch.setattr(liveness, "remove_tree", lambda path: (go.wait(10), remove(path))[1])
    connector = ShmConnector(root=str(tmp_path))
    names = os.listdir(tmp_path)
    assert left not in names
    assert len(names) == 2  # of this process, and what is to be removed
    go.set()
    assert becomes(lambda: len(os.listdir(tmp_path)) == 1, within=10)
    connector.close()
    assert os.listdir(tmp_path) == []


def test_who_is_killed_while_it_removes_a_session_leaves_the_rest_to_the_next(tmp_path):
    environment = {**os.environ, "PSK_SHM_ROOT": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KILLED, "300"], env=environment, check=False)
    (left,) = os.listdir(tmp_path)
    assert liveness.set_aside(f"{tmp_path}/{left}")
    assert len(os.listdir(tmp_path)) == 1
    assert sweep(str(tmp_path)) == 1
    assert os.listdir(tmp_path) == []


def test_a_process_that_ends_at_once_removes_what_it_set_aside(tmp_path):
    environment = {**os.environ, "PSK_SHM_ROOT": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KILLED, "3000"], env=environment, check=False)
    code = "from psk.connectors import open_connector; open_connector('shm://')"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert os.listdir(tmp_path) == []
