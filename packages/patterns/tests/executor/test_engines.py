"""Engines that are not the standard library's run the same tasks: joblib's loky, and Dask."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not (find_spec("distributed") and find_spec("joblib")) and not os.environ.get("CI"),
    reason="Dask or joblib is not here: uv pip install --group engines",
)
PROGRAM = Path(__file__).parent / "engine_program.py"


def run(engine):
    """Run the program in a process of its own, whose end takes the engine's along."""
    done = subprocess.run([sys.executable, PROGRAM, engine], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_client_of_dask_and_its_executor_run_tasks():
    run("dask")


def test_loky_runs_tasks_and_is_told_what_its_workers_cannot_import():
    printed = run("loky")
    assert "'Model'" in printed
    assert 'put with serializer="cloudpickle"' in printed
