"""How many trials does a test run, from which seed, and how many of them failed?"""

from __future__ import annotations

import os
import random
import tomllib
from pathlib import Path

import pytest

SCALE_FILE = Path(__file__).parents[1] / "scale.toml"
COLUMN = os.environ.get("PSK_SCALE", "test")


@pytest.fixture
def scale(request):
    """Look up the number of trials of a promise, as in `scale("file.bit_flips")`, and have it reported."""
    table = tomllib.loads(SCALE_FILE.read_text())

    def count(name):
        area, _, trial = name.partition(".")
        try:
            trials = table[area][trial][COLUMN]
        except KeyError:
            pytest.fail(f"{SCALE_FILE.name} has no count for {name!r} in column {COLUMN!r}")
        request.node.user_properties.append(("trials", (name, trials)))
        return trials

    return count


@pytest.fixture
def seed(request):
    """Give the seed of a randomised test; set PSK_SEED to repeat a run that failed."""
    value = int(os.environ.get("PSK_SEED") or random.SystemRandom().randrange(2**32))
    request.node.user_properties.append(("seed", value))
    print(f"{request.node.name}: PSK_SEED={value}")  # noqa: T201  captured, shown when the test fails
    return value


def pytest_terminal_summary(terminalreporter):
    """Print a line per counted promise and test: trials, seed, failures."""
    rows = {}
    for outcome, reports in terminalreporter.stats.items():
        if outcome not in {"passed", "failed", "error"}:
            continue
        for report in reports:
            properties = getattr(report, "user_properties", [])
            seeds = [value for name, value in properties if name == "seed"]
            for name, trials in (value for name, value in properties if name == "trials"):
                test = report.nodeid.rpartition("::")[2]
                failed = rows.get((name, test), (0, "", 0))[2] or int(outcome != "passed")
                rows[name, test] = (trials, str(seeds[0]) if seeds else "-", failed)
    if not rows:
        return
    terminalreporter.section(f"promises, counted (column {COLUMN!r})")
    terminalreporter.write_line(f"{'count of':<28}{'trials':>8}{'seed':>12}{'failed':>8}  test")
    for (name, test), (trials, seed_used, failed) in sorted(rows.items()):
        terminalreporter.write_line(f"{name:<28}{trials:>8}{seed_used:>12}{failed:>8}  {test}")
