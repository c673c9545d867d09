"""Processor time, threads and descriptors used by waits for files, and what is left after them."""

import errno
import gc
import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from psk.connectors import SupportsWait
from psk.connectors.directory import directory as directories
from psk.connectors.directory import waiting as inotify
from psk.connectors.file import FileConnector
from psk.errors import DeadlineError
from psk.wire import encode

MISSING = "0" * 32


def instances():
    """Count the inotify instances that this process has open."""
    count = 0
    for number in os.listdir("/proc/self/fd"):
        try:
            count += "inotify" in os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
    return count


def wait_in_vain(connector, timeout=0.01):
    with pytest.raises(DeadlineError):
        connector.wait([MISSING], timeout=timeout)


def test_a_waiting_wait_costs_next_to_nothing(connector):
    if not isinstance(connector, SupportsWait):
        pytest.skip(f"the map of docs/contract.md says that {connector.scheme} has no SupportsWait")
    assert processor_share(connector) <= 0.05


def test_many_waiting_waits_cost_no_more(files):
    assert processor_share(files, 100) <= 0.05


def test_looking_costs_little_too(directory, monkeypatch):
    monkeypatch.setattr(directories, "filesystem_of", lambda *_: "nfs4")
    connector = FileConnector(directory)
    assert processor_share(connector) <= 0.2
    connector.close()


def processor_share(connector, waiters=1):
    """Give the part of one processor that some threads take which wait for 2 s."""
    wait_in_vain(connector)
    threads = [threading.Thread(target=wait_in_vain, args=(connector, 2.0)) for _ in range(waiters)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    before, start = time.process_time(), time.monotonic()
    time.sleep(1.7)
    share = (time.process_time() - before) / (time.monotonic() - start)
    for thread in threads:
        thread.join()
    return share


def test_one_instance_serves_all_and_the_last_close_ends_it(tmp_path):
    connectors = [FileConnector(tmp_path / f"objects-{number // 2}") for number in range(6)]
    assert instances() == 0
    for connector in connectors:
        wait_in_vain(connector)
        assert instances() == 1
    for connector in connectors:
        assert instances() == 1
        connector.close()
    assert instances() == 0


def test_a_forgotten_connector_keeps_no_instance(directory):  # C34
    connector = FileConnector(directory)
    wait_in_vain(connector)
    assert instances() == 1
    del connector
    gc.collect()
    assert instances() == 0


def test_no_directory_is_watched_while_nobody_waits(files):
    wait_in_vain(files)
    assert watches() == 0
    thread = threading.Thread(target=wait_in_vain, args=(files, 0.5))
    thread.start()
    deadline = time.monotonic() + 10
    while not watches():
        assert time.monotonic() < deadline
    thread.join()
    assert watches() == 0


def watches():
    """Count the directories that this process watches, as in proc(5)."""
    count = 0
    for number in os.listdir("/proc/self/fdinfo"):
        try:
            with open(f"/proc/self/fdinfo/{number}") as info:
                count += info.read().count("inotify wd:")
        except OSError:
            continue
    return count


def test_waits_leave_nothing_behind(directory, scale):
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for number in range(scale("waiting.waits")):
        connector = FileConnector(directory)
        wait_in_vain(connector, 0.0001)
        assert connector.wait([connector.put(encode(number))]) != []
        connector.close()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


def test_when_no_more_directories_can_be_watched_it_looks_instead(files, monkeypatch):  # C42
    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # The limit itself is some 100,000 directories, and all programs of the user share it.
    monkeypatch.setattr(inotify.Inotify, "watch", refuse)
    payload = encode("found by looking")
    timer = threading.Timer(0.1, files.put, [payload])
    timer.start()
    assert files.wait([payload.key], timeout=20) == [payload.key]
    timer.join()


def test_without_ctypes_it_looks_instead(files, monkeypatch):  # C42
    monkeypatch.setitem(sys.modules, "ctypes", None)
    payload = encode("found by looking")
    timer = threading.Timer(0.1, files.put, [payload])
    timer.start()
    assert files.wait([payload.key], timeout=20) == [payload.key]
    timer.join()
    assert instances() == 0


def test_when_the_user_has_no_instance_left_it_looks_instead(directory, in_child):  # C42
    with open("/proc/sys/fs/inotify/max_user_instances") as file:
        if int(file.read()) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100:
            pytest.skip("this user may have more instances of inotify than descriptors")

    def child():
        connector, payload = FileConnector(directory), encode("found by looking")
        used_up = []
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                used_up.append(inotify.Inotify())
        timer = threading.Timer(0.1, connector.put, [payload])
        timer.start()
        found = connector.wait([payload.key], timeout=20)
        timer.join()
        return found == [payload.key] and instances() == len(used_up)

    assert in_child(child) == "True"


def test_only_who_waits_loads_what_waiting_needs(directory):
    program = (
        "import sys; from psk.connectors import open_connector;"
        f"connector = open_connector('file://{directory}'); connector.close();"
        "print({'ctypes', 'select', 'psk.connectors.directory.waiting'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
