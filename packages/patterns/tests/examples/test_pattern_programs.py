"""Run the examples of the patterns and check their output and cleanup, also when they are interrupted."""

import os
import re
from importlib.util import find_spec

import pytest
from core_tests import ROOT, load

from faults.leaks import named_residue

programs = load("examples/test_example_programs.py")

#: Small sizes for tests, by program.
SMALL = {
    "task_chain.py": ("--start-up", "0.05", "--variants", "4000", "--workers", "3"),
    "ensemble.py": ("--forests", "4", "--trees", "5", "--rounds", "1"),
    "long_lease.py": ("--ttl", "0.5", "--seconds", "0.7", "--kilobytes", "100"),
}
SKLEARN = pytest.mark.skipif(
    find_spec("sklearn") is None and not os.environ.get("CI"),
    reason="scikit-learn is not here: uv pip install --group examples",
)
SOAK = pytest.mark.skipif(os.environ.get("PSK_SCALE") != "soak", reason="several seconds: tried by `make soak`")


def run(program, *options):
    before = named_residue()
    printed = programs.run(program, *SMALL[program], *options)
    assert named_residue() <= before
    return printed


def saved(printed, label):
    """Give the last cell of a line of figures: what was saved, in percent."""
    (line,) = [line for line in printed.splitlines() if line.startswith(label)]
    return int(re.search(r"\((-?\d+)%\)$", line)[1])


@pytest.mark.parametrize("executor", ["process", "thread", pytest.param("fork", marks=SOAK)])
def test_a_chain_is_the_same_by_value_and_by_future(executor):
    printed = run("task_chain.py", "--executor", executor)
    assert "(the same by value and by future)" in printed
    assert printed.endswith("objects left: 0\n")
    if executor != "thread":
        assert saved(printed, "bytes through the executor") > 90


@SKLEARN
def test_an_ensemble_is_the_same_by_value_and_owned():
    printed = run("ensemble.py", "--executor", "fork")  # which need not import scikit-learn again
    assert "(the same by value and owned)" in printed
    assert printed.endswith("objects left: 0\n")
    assert saved(printed, "bytes through the executor") > 50


def test_a_lease_takes_everything_from_a_killed_producer():
    printed = run("long_lease.py")
    assert saved(printed, "objects left") == 100
    assert "killed consumer: the producer ended by itself" in printed


def test_no_program_is_left_out():
    texts = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}
    assert {name for name, text in texts.items() if "__main__" in text and "psk_patterns" in text} == set(SMALL)


@pytest.mark.parametrize(
    ("program", "seconds"),
    [
        pytest.param("task_chain.py", 0.0, marks=SOAK),
        ("task_chain.py", 1.5),
        ("long_lease.py", 1.0),
        pytest.param("ensemble.py", 1.5, marks=[SKLEARN, SOAK]),
    ],
)
def test_an_interrupted_example_leaves_nothing(program, seconds, tmp_path):
    programs.test_an_interrupted_example_leaves_nothing(program, seconds, tmp_path)
