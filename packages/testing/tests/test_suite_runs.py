"""Output of the suite when an author runs it on a connector."""

import os
import re
import subprocess
import sys

import pytest

MISSING = "test_a_missing_object_is_none"
HOSTILE = "test_a_hostile_key_is_refused_shortly"
BATCHES = "test_batches_answer_in_order"
SUITES = f"""
import pytest
from psk.connectors import parse_uri
from psk.connectors.file import FileConnector
from psk_testing import ConnectorTests

class Broken(FileConnector):
    def exists(self, key, **options):
        return "perhaps"

class Mine(ConnectorTests):
    @pytest.fixture
    def uri(self, tmp_path):
        return f"file://{{tmp_path}}/objects"

class BrokenMine(Mine):
    @pytest.fixture
    def opener(self):
        return lambda uri: Broken.from_config(parse_uri(uri))

class TestFine(Mine):
    pass

class TestFineAfterAll(Mine):
    expected_failures = {{"{MISSING}": "mine cannot tell"}}

class TestBroken(BrokenMine):
    pass

class TestExpected(BrokenMine):
    expected_failures = {{"{MISSING}": "mine cannot tell", "{HOSTILE}[None]": "None is welcome"}}

class TestNameless(ConnectorTests):
    pass
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Run some tests of the suites with nothing of ours around them."""
    place = tmp_path_factory.mktemp("author")
    (place / "test_mine.py").write_text(SUITES)
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--strict-markers", "-W", "error"]
    command += ["-c", "/dev/null", f"--rootdir={place}", "-k", f"{MISSING} or {HOSTILE} or {BATCHES}"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"} | {"COLUMNS": "300"}
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, env=environment)
    assert " passed" in done.stdout, done.stdout + done.stderr
    return done.stdout


def outcomes(printed, suite, test):
    """Give the outcome of each case of a test, in the words of pytest's summary, and what stands behind it."""
    lines = re.findall(rf"^(\w+) test_mine\.py::{suite}::{test}(.*)$", printed, re.MULTILINE)
    return [f"{outcome}{rest}" for outcome, rest in lines]


def test_a_connector_that_keeps_the_contract_passes(printed):
    assert outcomes(printed, "TestFine", MISSING) == ["PASSED"]
    assert {outcome.partition("[")[0] for outcome in outcomes(printed, "TestFine", HOSTILE)} == {"PASSED"}


def test_a_failure_shows_values_rule_and_fix(printed):
    assert outcomes(printed, "TestBroken", MISSING)[0].startswith("FAILED - AssertionError: assert 'perhaps' is False")
    assert "rule C22 of docs/contract.md: `None` means that the channel holds no object" in printed
    assert "likely fix: return None, not an error" in printed


def test_a_failure_that_is_expected_is_shown_with_its_reason(printed):
    assert outcomes(printed, "TestExpected", MISSING) == ["XFAIL - mine cannot tell"]


def test_a_failure_that_is_expected_must_happen(printed):
    assert outcomes(printed, "TestFineAfterAll", MISSING) == ["FAILED - [XPASS(strict)] mine cannot tell"]


def test_one_case_of_a_test_may_be_expected_to_fail(printed):
    found = outcomes(printed, "TestExpected", HOSTILE)
    assert "XFAIL[None] - None is welcome" in found
    assert sum(outcome.startswith("FAILED") for outcome in found) == len(found) - 1 > 10


def test_a_missing_capability_is_a_reason_to_skip(printed):
    assert re.search(r"^SKIPPED .*file has no SupportsBatch, an optional capability$", printed, re.MULTILINE)


def test_a_suite_without_a_channel_says_so(printed):
    assert outcomes(printed, "TestNameless", MISSING)[0].startswith("ERROR")
    assert "TestNameless names no channel: give it a fixture `uri`" in printed
