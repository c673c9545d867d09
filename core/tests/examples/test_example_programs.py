"""Run every program in examples/ on every kind of executor and check its output."""

import ast
import io
import os
import signal
import subprocess
import sys
import time
import tokenize
from pathlib import Path

import pytest

from faults.leaks import named_residue

EXAMPLES = Path(__file__).parents[3] / "examples"
SMALL = {"map_reduce.py": ("--files", "60"), "fan_out.py": ("--megabytes", "1")}
PROGRAMS = {"quickstart.py", "demo.py", *SMALL}


def run(program, *options):
    finished = subprocess.run(
        [sys.executable, EXAMPLES / program, *options], capture_output=True, text=True, timeout=100, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("program", SMALL)
@pytest.mark.parametrize("executor", ["process", "thread", "fork"])
def test_an_example_prints_the_same_by_value_and_by_proxy(program, executor):
    options = (*SMALL[program], "--executor", executor)
    by_value, by_proxy = (run(program, *options, "--by", way) for way in ("value", "proxy"))
    assert by_value == by_proxy
    assert by_value.startswith({"map_reduce.py": "60 files: ", "fan_out.py": "1 MB: 8 statistics"}[program])


@pytest.mark.parametrize("executor", ["process", "thread", "fork"])
def test_the_demo_shows_what_both_ways_cost(executor):
    printed = run("demo.py", "--files", "60", "--megabytes", "1", "--rounds", "1", "--executor", executor)
    assert printed.count("the same by value and by proxy") == 2
    assert printed.count("bytes through the executor") == 4
    assert printed.count("█" * 44) >= 4


def test_the_quickstart_prints_eight_means():
    assert ast.literal_eval(run("quickstart.py").replace("np.float64", "")) == [12499999.5] * 8


def test_the_quickstart_has_at_most_12_lines_of_code():
    source = (EXAMPLES / "quickstart.py").read_text()
    docstring = ast.parse(source).body[0].end_lineno
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {token.start[0] for token in tokens if token.type not in layout}
    assert len([line for line in lines if line > docstring]) <= 12


def test_no_program_is_left_out():
    texts = {path.name: path.read_text() for path in EXAMPLES.glob("*.py")}
    # Those of psk-patterns are run by its own tests.
    assert {name for name, text in texts.items() if "__main__" in text and "psk_patterns" not in text} == PROGRAMS


def group_ends(group):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1.5], ids=["starting", "half started", "running"])
@pytest.mark.parametrize("program", ["demo.py", "fan_out.py"])
def test_an_interrupted_example_leaves_nothing(program, seconds, tmp_path):
    before = named_residue()
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / program],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not named_residue() - before:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(seconds)
    # As Ctrl-C in a terminal: every process of the group gets the signal.
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=60)
    assert group_ends(process.pid)
    assert named_residue() <= before
