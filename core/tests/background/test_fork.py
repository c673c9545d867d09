"""Call registered functions in forked children, as long as their owner lives."""

import gc
import os
import sys

import pytest

from psk import fork
from psk.fork import after_fork_in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


class Owner:
    """Notes what is called with it."""

    def __init__(self, calls, name):
        self.calls = calls
        self.name = name

    def note(self):
        self.calls.append(self.name)

    def fail(self):
        self.note()
        sys.exit("this owner cannot start afresh")


@pytest.fixture
def entries():
    """Keep the callbacks of other tests and of psk itself out of this test."""
    before = dict(fork._entries)
    fork._entries.clear()
    yield fork._entries
    fork._entries.clear()
    fork._entries.update(before)


def in_child(function):
    """Run a function in a forked child and give what it returned, as text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        text = answer.read().decode()
    os.waitpid(child, 0)
    return text


@pytest.mark.usefixtures("entries")
def test_callbacks_run_in_the_child_alone_in_the_order_of_registration():
    calls = []
    owners = [after_fork_in_child(Owner(calls, name), Owner.note) for name in "abc"]
    assert in_child(lambda: "".join(calls)) == "abc"
    assert calls == []
    del owners


@pytest.mark.usefixtures("entries")
def test_it_decorates_a_function_of_a_module():
    calls = []

    @after_fork_in_child
    def reset():
        calls.append("reset")

    assert in_child(lambda: "".join(calls)) == "reset"
    assert in_child(lambda: in_child(lambda: " ".join(calls))) == "reset reset"
    reset()
    assert calls == ["reset"]


def test_an_owner_is_held_weakly(entries):
    calls = []
    kept, dropped = (after_fork_in_child(Owner(calls, name), Owner.note) for name in ("kept", "dropped"))
    del dropped
    gc.collect()
    assert len(entries) == 1
    assert in_child(lambda: "".join(calls)) == "kept"
    del kept
    gc.collect()
    assert not entries


@pytest.mark.usefixtures("entries")
def test_a_callback_that_raises_is_reported_and_does_not_stop_the_others(monkeypatch):
    calls = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: calls.append(report.exc_type.__name__))
    owners = [
        after_fork_in_child(Owner(calls, "first"), Owner.fail),
        after_fork_in_child(Owner(calls, "second"), Owner.note),
    ]
    assert in_child(lambda: " ".join(calls)) == "first SystemExit second"
    del owners


@pytest.mark.usefixtures("entries")
def test_an_owner_may_register_more_owners_while_it_is_called():
    calls = []
    more = []

    def register():
        more.append(after_fork_in_child(Owner(calls, "later"), Owner.note))

    after_fork_in_child(register)
    assert in_child(lambda: len(more)) == "1"
