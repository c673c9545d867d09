"""Do the examples of the patterns run, show what was saved, and leave nothing, also when they are interrupted?"""

import os
import re
from importlib.util import find_spec

import pytest
from core_tests import load

from faults.leaks import named_residue

programs = load("examples/test_example_programs.py")

#: Small sizes for tests, by program.
SMALL = {
    "task_chain.py": ("--start-up", "0.05", "--variants", "4000", "--workers", "3"),
    "ensemble.py": ("--trees", "6"),
    "long_lease.py": ("--ttl", "0.6", "--seconds", "1.0", "--kilobytes", "100"),
}
SKLEARN = pytest.mark.skipif(
    find_spec("sklearn") is None and not os.environ.get("CI"),
    reason="scikit-learn is not here: uv pip install --group examples",
)
PROGRAMS = [pytest.param(name, marks=[SKLEARN] if name == "ensemble.py" else []) for name in SMALL]


def saved(printed, label):
    """Give the last cell of a line of figures: what was saved, in percent."""
    (line,) = [line for line in printed.splitlines() if line.startswith(label)]
    return int(re.search(r"\((-?\d+)%\)$", line)[1])


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_runs_and_leaves_nothing(program):
    before = named_residue()
    printed = programs.run(program, *SMALL[program])
    assert named_residue() <= before
    assert "saved" in printed


@pytest.mark.parametrize("executor", ["process", "thread", "fork"])
def test_a_chain_is_the_same_by_value_and_by_future(executor):
    printed = programs.run("task_chain.py", *SMALL["task_chain.py"], "--executor", executor)
    assert "(the same by value and by future)" in printed
    assert printed.endswith("objects left: 0\n")
    if executor != "thread":
        assert saved(printed, "bytes through the executor") > 90


@SKLEARN
@pytest.mark.parametrize("executor", ["process", "thread", "fork"])
def test_an_ensemble_is_the_same_by_value_and_owned(executor):
    printed = programs.run("ensemble.py", *SMALL["ensemble.py"], "--executor", executor)
    assert "(the same by value and owned)" in printed
    assert printed.endswith("objects left: 0\n")
    if executor != "thread":
        assert saved(printed, "bytes through the executor") > 50


def test_a_lease_takes_everything_from_a_killed_producer():
    printed = programs.run("long_lease.py", *SMALL["long_lease.py"])
    assert saved(printed, "objects left") == 100
    assert float(re.search(r"were gone ([\d.]+) s later", printed)[1]) <= 1.6


@pytest.mark.parametrize("seconds", [0.0, 1.5], ids=["starting", "running"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_interrupted_example_leaves_nothing(program, seconds, tmp_path):
    programs.test_an_interrupted_example_leaves_nothing(program, seconds, tmp_path)
