"""Promises of the suite itself: no silent overrides, counts that scale, messages with rule and fix."""

import subprocess
import sys
import threading

import pytest

from psk.errors import PskError
from psk_testing import ConnectorTests, concurrency, rule
from psk_testing.concurrency import beside, in_forked_child, in_threads
from psk_testing.conformance import suite as suites
from psk_testing.conformance.suite import COUNTS, SCALE, count_of

OVERRIDDEN = "test_evict_removes_and_may_be_repeated"


def test_an_overridden_test_is_refused():
    with pytest.raises(TypeError, match=rf"TestMine replaces .*{OVERRIDDEN}.*expected_failures"):
        type("TestMine", (ConnectorTests,), {OVERRIDDEN: lambda self: None})


def test_a_removed_test_is_refused():
    with pytest.raises(TypeError, match=OVERRIDDEN):
        type("TestMine", (ConnectorTests,), {OVERRIDDEN: None})


def test_a_test_that_comes_from_elsewhere_is_refused():
    class Kind:
        def test_evict_removes_and_may_be_repeated(self):
            pass

    with pytest.raises(TypeError, match=OVERRIDDEN):
        type("TestMine", (Kind, ConnectorTests), {})


def test_more_tests_are_welcome():
    class TestMine(ConnectorTests):
        def test_my_own_rule(self):
            pass

    class TestMineAgain(TestMine):
        def test_my_own_rule(self):
            pass


@pytest.mark.parametrize("expected", [{"test_nothing_of_the_kind": "why"}, {OVERRIDDEN: ""}, {OVERRIDDEN: None}])
def test_expected_failures_name_a_test_and_a_reason(expected):
    with pytest.raises(TypeError, match="expected_failures names"):
        type("TestMine", (ConnectorTests,), {"expected_failures": expected})
    type("TestMine", (ConnectorTests,), {"expected_failures": {OVERRIDDEN: "evict of mine is slow to forget"}})


def test_every_test_cites_a_rule():
    uncited = [name for name in dir(ConnectorTests) if name.startswith("test_")]
    assert sorted(suites.conformance_tests(ConnectorTests)) == sorted(uncited)
    with pytest.raises(ValueError, match="C999"):
        rule("C999", fix="none")
    with pytest.raises(ValueError, match="cites rules"):
        rule(fix="none")


def test_a_failure_says_the_rule_and_the_fix():
    @rule("C16", fix="use a link")
    def test_something():
        raise PskError("it was overwritten")

    with pytest.raises(PskError) as caught:
        test_something()
    note = "\n".join(caught.value.__notes__)
    assert "rule C16 of docs/contract.md: A `put` never overwrites." in note
    assert "likely fix: use a link" in note


def test_counts_are_scaled(monkeypatch):
    monkeypatch.delenv(SCALE, raising=False)
    assert count_of("model_runs", {}) == COUNTS["model_runs"]
    assert count_of("model_runs", {"model_runs": 7}) == 7
    monkeypatch.setenv(SCALE, "0.001")
    assert count_of("model_runs", {}) == 1
    monkeypatch.setenv(SCALE, "10")
    assert count_of("model_runs", {"model_runs": 7}) == 70
    with pytest.raises(LookupError, match=r"has no 'runs'"):
        count_of("runs", {})
    with pytest.raises(LookupError, match=r"has no 'walks'"):
        count_of("model_runs", {"walks": 3})
    monkeypatch.setenv(SCALE, "-1")
    with pytest.raises(ValueError, match="positive"):
        count_of("model_runs", {})


def test_a_failure_in_a_thread_is_the_tests():
    with pytest.raises(ZeroDivisionError):
        in_threads(3, lambda number: 1 / (number - 1))
    with pytest.raises(ZeroDivisionError), beside(lambda: 1 / 0):
        pass
    assert in_threads(3, lambda number: number) == [0, 1, 2]


def test_a_child_that_hangs_is_noticed(monkeypatch):
    monkeypatch.setattr(concurrency, "PATIENCE_SECONDS", 0.2)
    calls = {"right": lambda: 7, "wrong": lambda: 1 / 0, "late": threading.Event().wait, "never": lambda: 1}
    assert in_forked_child(calls) == {"right": "7", "wrong": "ZeroDivisionError", "late": "hangs"}


def test_the_commands_do_not_import_pytest():
    program = "import sys, psk_testing.plugin, psk_testing.scaffold, psk_testing.checking.command; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pytest", "hypothesis"}.intersection(loaded)
