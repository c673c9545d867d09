"""Background work runs in few threads, which end when idle and hold up nothing."""

import contextvars
import subprocess
import sys
import threading
import time

import pytest

from faults.interrupts import finalised_in
from psk import background


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "psk-background"]


def test_submit_returns_a_future():
    assert background.submit(pow, 2, 5).result(10) == 32
    assert background.submit(int, "11", base=2).result(10) == 3


def test_an_error_is_raised_where_the_result_is_asked_for():
    with pytest.raises(ZeroDivisionError):
        background.submit(lambda: 1 / 0).result(10)


def test_a_waiting_task_can_be_cancelled():
    release = threading.Event()
    blockers = [background.submit(release.wait) for _ in range(background.MAX_THREADS)]
    waiting = background.submit(len, "")
    assert waiting.cancel()
    release.set()
    assert all(blocker.result(10) for blocker in blockers)


def test_threads_are_bounded_and_end_when_idle():
    peak = []

    def task():
        peak.append(len(workers()))
        time.sleep(0.01)

    futures = [background.submit(task) for _ in range(200)]
    for future in futures:
        future.result(20)
    assert max(peak) <= background.MAX_THREADS
    deadline = time.monotonic() + background.IDLE_SECONDS + 2
    while workers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not workers()
    assert background.submit(len, "ab").result(10) == 2


def test_idle_threads_are_used_again():
    background.submit(len, "").result(10)
    time.sleep(0.02)
    before = set(workers())
    background.submit(len, "").result(10)
    assert set(workers()) <= before


def test_tasks_that_wait_for_their_own_tasks_do_not_deadlock():
    def outer():
        return background.submit(len, "abc").result(20)

    futures = [background.submit(outer) for _ in range(background.MAX_THREADS * 2)]
    assert [future.result(30) for future in futures] == [3] * len(futures)


def test_tasks_run_in_the_context_of_their_submitter():
    name = contextvars.ContextVar("name", default="nobody")
    name.set("somebody")
    assert background.submit(name.get).result(10) == "somebody"


def test_an_error_that_nobody_waits_for_is_reported(monkeypatch):
    reports = []
    done = threading.Event()

    def hook(report):
        reports.append((report.exc_type, report.err_msg))
        done.set()

    monkeypatch.setattr(sys, "unraisablehook", hook)
    background.start(int, "no number")
    assert done.wait(10)
    assert reports == [(ValueError, "Exception ignored in background task")]
    assert background.submit(len, "a").result(10) == 1


def test_a_failure_is_printed_where_nobody_put_a_hook_and_the_thread_goes_on():
    code = """if True:
        import io, sys, time
        from psk import background
        sys.stderr = io.StringIO()
        background.start(int, "no number")
        while "ValueError" not in sys.stderr.getvalue():
            time.sleep(0.01)
        print(background.submit(len, "a").result(10))
        print(sys.stderr.getvalue())
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.startswith("1\nException ignored in background task: <class 'int'>\nTraceback ")
    assert "ValueError: invalid literal for int()" in done.stdout


@pytest.mark.parametrize("hook", ["lambda report: 1 / 0", "sys.__unraisablehook__"])
def test_nobody_to_report_to_is_no_failure(hook):
    code = f"import sys; from psk import background; sys.stderr = None; sys.unraisablehook = {hook}\n"
    code += "background.start(int, 'no'); print(background.submit(len, 'a').result(10))"
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == "1\n"


def test_the_interpreter_does_not_wait_for_it():
    code = "from psk import background; import time; background.start(time.sleep, 60); print('end')"
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert time.monotonic() - started < 20


def test_a_finaliser_in_a_thread_that_starts_waits_for_no_lock():
    done = threading.Event()
    once = iter([True])
    with finalised_in("psk-background", lambda: next(once, None) and background.start(done.set)) as finished:
        assert background.submit(len, "a").result(20) == 1
        assert done.wait(10)
    assert finished
    assert set(finished) == {"psk-background"}
