"""The suite finds each planted bug and names the rule it breaks. Broken connectors run in another process."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

HERE = Path(__file__).parent
FOLDERS = (HERE / "planted", HERE / "dictionary", HERE / "channels", HERE.parents[2] / "tests")

with pytest.MonkeyPatch.context() as patch:
    for folder in FOLDERS:
        patch.syspath_prepend(folder)
    from planted_suites import SUITES

#: The first test waits for all of them, which a busy machine may run several times as slowly.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """Run all of them, in two processes since most wait for something; give by suite the texts of its failures."""
    # What takes longest is at the end, where other processes and networks are: every second one shares it out.
    tests = [f"{suite.__name__}::{test}" for suite, (test, *_) in SUITES.items()]
    shares = [tests[start::2] for start in range(2)]
    with ExitStack() as stack:
        running = [begin(stack, share, tmp_path_factory.mktemp("planted")) for share in shares]
        found = {}
        for place, process in running:
            found |= failures_of(place, process)
        return found


def begin(stack, tests, place, *, timeout=60):
    """Start some tests of suites; give the place of their report, and the process."""
    file = HERE / "planted/planted_suites.py"
    options = ["-q", "--noconftest", f"--timeout={timeout}", "--import-mode=importlib", "--junitxml=report.xml"]
    options += ["-p", "no:cacheprovider", "-W", "ignore", "-c", "/dev/null", f"--rootdir={place}"]
    tests = [f"{file}::{test}" for test in tests]
    path = os.pathsep.join(map(str, FOLDERS))
    # Where CI is set, pytest shows values and their differences in full, and still has to come to an end.
    environment = {**os.environ, "CI": "true", "PYTHONPATH": path, "PSK_CONFORMANCE_SCALE": "0.3"}
    command = [sys.executable, "-m", "pytest", *options, *tests]
    output = stack.enter_context((place / "output").open("w"))
    process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=place)
    return place, stack.enter_context(process)


def failures_of(place, process):
    """Wait for the end of the tests, and read by suite how they failed."""
    assert process.wait() == 1, (place / "output").read_text()[-5000:]
    found = {}
    for case in ET.parse(place / "report.xml").iter("testcase"):
        texts = found.setdefault(case.get("classname").rpartition(".")[2], [])
        texts += [f"{failure.get('message')}\n{failure.text}" for failure in case.iter("failure")]
    return found


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.__name__)
def test_the_suite_names_the_rule_that_is_broken(failures, suite):
    texts = failures.get(suite.__name__)
    rules = SUITES[suite][1:]
    assert texts, "nothing failed"
    assert [rule for rule in rules if not any(f"rule {rule} of docs/contract.md" in text for text in texts)] == []
    assert all("likely fix: " in text for text in texts)
    assert not any("Timeout (>" in text for text in texts)


def test_a_hang_in_native_code_of_another_process_says_where(failures):
    (text,) = failures["TestFilesHangingElsewhere"]
    assert re.search(r"planted_files\.py.*, line \d+ in get", text)


def test_a_hang_in_native_code_ends_the_run_and_says_where(tmp_path):
    with ExitStack() as stack:
        test = "TestHangingInNativeCode::test_what_was_put_is_what_is_got"
        place, process = begin(stack, [test], tmp_path, timeout=1)
        stack.callback(process.kill)
        assert process.wait(timeout=60) == 1
    said = (place / "output").read_text()
    assert "Stack of MainThread" in said
    assert "in test_what_was_put_is_what_is_got" in said
    assert "pthread_mutex_lock" in said
