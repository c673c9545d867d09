"""Measure the copies that docs/arrays.md states."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = ROOT / "benchmarks" / "copies.py"
# Of an object of 8 MB; what is copied at all is copied as a whole.
NONE, WHOLE = 0.15, 0.7


def rows(text):
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:2] == "| "]
    return [(name, float(put), float(get)) for name, put, get, *_ in cells[2:]]


def class_of(copies):
    return "none" if copies < NONE else "whole" if copies > WHOLE else f"a part ({copies})"


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells how far a process grew")
def test_the_table_is_what_is_measured():
    for library in ("numpy", "scipy", "pandas", "pyarrow", "polars", "torch"):
        pytest.importorskip(library)
    done = subprocess.run([sys.executable, PROGRAM, "8"], capture_output=True, text=True, timeout=100, check=True)
    measured = [(name, class_of(put), class_of(get)) for name, put, get in rows(done.stdout)]
    written = rows((ROOT / "docs" / "arrays.md").read_text())
    assert measured == [(name, class_of(put), class_of(get)) for name, put, get in written]
    assert len(measured) == 30
    assert {entry for row in measured for entry in row[1:]} == {"none", "whole"}
