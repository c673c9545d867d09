"""Compare the costs that the demo shows with measured ones."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
MEGABYTE = 1_000_000


@pytest.fixture
def examples(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in [path.stem for path in EXAMPLES.glob("*.py")]:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("examples")
def test_bytes_through_the_executor_are_counted_both_ways():
    from cost import Cost, counted
    from executors import open_executor

    cost = Cost()
    with open_executor("process", 1) as executor:
        with counted(cost):
            assert executor.submit(len, bytes(MEGABYTE)).result() == MEGABYTE
        assert MEGABYTE < cost.sent < 1.001 * MEGABYTE
        assert 0 < cost.received < 1000
        with counted(cost):
            executor.submit(bytes, 2 * MEGABYTE).result()
        assert 2 * MEGABYTE < cost.received < 2.001 * MEGABYTE
        before = cost.sent
        executor.submit(len, bytes(MEGABYTE)).result()
        assert cost.sent == before


@pytest.mark.usefixtures("examples")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_of_processes_and_of_the_channel_is_seen():
    from channel import temporary_store
    from executors import open_executor
    from memory import watch_memory

    def use_memory():
        held = np.ones(50 * MEGABYTE, dtype="u1")
        with temporary_store() as store:
            store.put(bytes(20 * MEGABYTE))
            time.sleep(0.2)
        return held[-1]

    with open_executor("process", 1), ThreadPoolExecutor(1) as threads:
        idle = watch_memory(os.getpid(), threads.submit(time.sleep, 0.1))
        busy = watch_memory(os.getpid(), threads.submit(use_memory))
    assert 45 * MEGABYTE < busy.driver - idle.driver < 110 * MEGABYTE
    assert idle.workers > MEGABYTE
    # A little less: what others free in shared memory meanwhile counts against it.
    assert busy.stored >= 19 * MEGABYTE
    assert busy.total >= busy.driver + busy.stored


@pytest.mark.usefixtures("examples")
def test_bars_are_as_long_as_what_they_show():
    from chart import BAR_WIDTH, draw_bar, megabytes

    assert draw_bar(1.0) == "█" * BAR_WIDTH
    assert draw_bar(0.5) == "█" * (BAR_WIDTH // 2)
    assert draw_bar(0.0) == ""
    assert draw_bar(1e-9) == "▏"
    assert [megabytes(size) for size in (0, 999, 1234, 12_345, 200e6, 1.6e9)] == [
        "0 B", "999 B", "1.23 kB", "12.3 kB", "200 MB", "1.60 GB"
    ]  # fmt: skip
